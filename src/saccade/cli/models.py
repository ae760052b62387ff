"""`saccade val`, `predict` and `models`: what there is to do with a trained model, whatever its task."""

import json
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter, validators
from rich.table import Table

from saccade.cli import say
from saccade.cli.asked import Asked
from saccade.cli.kinds import usable
from saccade.data import output
from saccade.data.films import is_film
from saccade.data.preprocess import MOST
from saccade.errors import SaccadeError
from saccade.tasks import Task, embedded, load

Json = Annotated[bool, Parameter(name="--json", negative=())]
Where = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["auto", "bf16", "fp32"]


def val(
    data: Path,
    *,
    model: str = "cifar",
    out: Path | None = None,
    split: str | None = None,
    bad: Literal["skip", "fail"] = "skip",
    device: Where = "auto",
    precision: Precision = "auto",
    as_json: Json = False,
) -> None:
    """Score a model on pictures of which the truth is known.

    A classifier: top1, top5, every class, calibration, on one folder a class. A detector: mAP, every class, relations,
    on COCO JSON, Pascal VOC or YOLO files. A segmenter: mIoU, every class, borders, on index PNGs, colour-coded masks
    or COCO JSON.

    Examples:

        saccade val pets/test --model runs/pets

        saccade val cells/ --split test --model runs/cells

        saccade val scenes --model runs/scenes

    Parameters
    ----------
    data
        Folder or tar; for a detector or segmenter also a COCO .json, or scenes:N for N drawn pictures.
    model
        As for look.
    out
        Folder for scores.json and pictures of the scores; default runs/val-MODEL.
    split
        Which part of the data to use, where it holds several.
    bad
        What to do with a picture that cannot be read.
    """
    from saccade.device import join

    task, kind = usable(model)
    place = join(device, precision)
    out = out or Path("runs") / f"val-{task.name}"
    out.mkdir(parents=True, exist_ok=True)
    result, each = kind.val(task, data, split, bad, place, out)
    (out / "scores.json").write_text(json.dumps(result, ensure_ascii=False, indent=1), encoding="utf-8")
    if as_json:
        print(json.dumps(result, ensure_ascii=False))
        return
    from saccade.studio.terminal import bars

    console = say.to()
    say.line(console, f"{task.name} on {result['pictures']} pictures, {place}")
    scores = {key: value for key, value in result.items() if value is None or isinstance(value, float)}
    shown = {key: "n/a" if value is None else f"{value:.4f}" for key, value in scores.items()}
    say.line(console, *(p for key, value in shown.items() for p in (f"{key} ", (value, "bold"), "  ")))
    say.line(console, f"{kind.EACH}:")
    scored = {label: share for label, share in each.items() if share is not None}
    console.print(bars(list(scored), list(scored.values())))
    say.skipped(console, result["skipped"], kind.SKIPS)
    say.line(console, f"Pictures of the scores are in {out}")


def predict(
    pictures: Annotated[list[str], Parameter(negative=())],
    *,
    model: str = "cifar",
    top: Annotated[int, Parameter(validator=validators.Number(gte=1))] = 3,
    threshold: Annotated[float, Parameter(validator=validators.Number(gte=0, lte=1))] = 0.5,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    draw: Path | None = None,
    masks: Path | None = None,
    coco: Path | None = None,
    size: Annotated[int | None, Parameter(validator=validators.Number(gte=1, lte=MOST))] = None,
    bad: Literal["skip", "fail"] = "skip",
    device: Where = "auto",
    precision: Precision = "fp32",
    as_json: Json = False,
    as_csv: Annotated[bool, Parameter(name="--csv", negative=())] = False,
) -> None:
    """Say what is in pictures, and where: files, folders, or patterns such as "holiday/*.jpg". Films are seen frame
    by frame.

    Examples:

        saccade predict photo.jpg

        saccade predict photos/ --csv --out names.csv

        saccade predict slides/ --model runs/cells --draw found/

        saccade predict street.jpg --model runs/streets --masks masks/ --coco areas.json

        saccade predict drive.mp4 --model runs/streets --draw seen/ --json --out drive.json

    Parameters
    ----------
    pictures
        Files, folders (with all pictures in them) or patterns. Films (MP4, MOV, MKV, WebM, AVI and more) are named as
        files or by a pattern, and need saccade[film]; an animated GIF is a picture.
    model
        As for look.
    top
        Of a classifier: how many classes a picture.
    threshold
        Of a detector: how sure an object must be, 0 to 1.
    out
        File to write to instead of the screen.
    draw
        Of a detector or segmenter: folder for the pictures with their boxes or areas; of a film, an MP4 without
        sound, its frames shown when the film's are.
    masks
        Of a segmenter: folder for PNGs that hold the index of each pixel's class; of a film, a folder in it with one
        a frame, 000000.png and on.
    coco
        Of a segmenter: file for the areas of all pictures as COCO JSON, exact to the pixel, holes too: an annotation in
        run lengths for each class in a picture. A first class called background, void, null or unlabelled is left out.
    size
        Of a segmenter: shorter side in pixels to which pictures are brought before, as trained by default. More shows
        finer borders and smaller things, and takes longer.
    bad
        What to do with a picture that cannot be read: skip it, counted and named, or fail. Of a film that is damaged
        or cut short, skip uses the frames that there are, and says so.
    device
        Where to compute.
    precision
        auto: bf16 where the processor computes in it, which is faster and changes the last digits.
    as_json
        A JSON list, of a film with the index and the time in seconds of every frame.
    as_csv
        A CSV table. Names and labels that spreadsheets would take for formulas begin with an apostrophe.
    """
    from saccade.cli.answers import Answers, Form
    from saccade.cli.keeping import Keeping
    from saccade.cli.shots import Shots
    from saccade.data import find_images
    from saccade.device import join

    if as_json and as_csv:
        raise say.UsageError("--json and --csv exclude each other: choose one")
    if coco is not None and out is not None and coco.absolute() == out.absolute():
        raise say.UsageError("--coco and --out name the same file: choose another for one of them")
    files = find_images(pictures, also=is_film)
    if out is not None:
        output.check(out, files)
    shots = Shots(files, bad, keep=draw is not None)
    task, kind = usable(model)
    # of a film, not more than a few frames are held
    asked = Asked(top, threshold, draw, masks, coco, size, batch=4 if shots.films else 16)
    asked.claim(files, kind.TAKES, model)
    form: Form = "json" if as_json else "csv" if as_csv else "table" if out is None else "text"
    place = join(device, precision)
    task.model.to(place.device)
    with Answers(kind, form) as answers:
        with place.precision(), Keeping(asked, task, kind, files) as kept:
            for result in kind.predicted(task, shots, asked):
                shot = shots.pending.popleft()
                kept.add(shot, result)
                answers.add(shot, result)
            if not answers.count:
                why = next(iter(shots.skipped.values()))
                raise SaccadeError(f"none of {len(files)} {shots.what} could be read: {why}")
        for option, what in (("draw", "pictures with what was found are"), ("coco", "areas are")):
            if (where := getattr(asked, option)) is not None:
                say.line(say.to(stderr=True), f"The {what} in {where}")
        answers.tell(out)
    say.skipped(say.to(stderr=True), shots.skipped, shots.what)


def models(*, as_json: Json = False) -> None:
    """List the embedded models with what their cards say.

    For example:

        saccade models --json

    Parameters
    ----------
    as_json
        As JSON, with all that the cards hold.
    """
    found = {name: load(name) for name in embedded()}
    if as_json:
        print(json.dumps({name: {"parameters": t.parameters, **t.card} for name, t in found.items()}))
        return
    table = Table("name", "task", "parameters", "picture", "first scores on held-out pictures")
    for name, task in found.items():
        assert isinstance(task, Task)
        scores = "  ".join(f"{key} {value:.3f}" for key, value in list(task.card.get("scores", {}).items())[:4])
        size = " x ".join(map(str, reversed(task.preprocess.size)))
        table.add_row(name, getattr(task, "kind", ""), f"{task.parameters / 1e6:.1f} M", size, scores)
    console = say.to()
    console.print(table)
    console.print("Others: hf:OWNER/NAME, timm:NAME, a folder, a safetensors file.", style="dim")
