"""`saccade train classify`, `val`, `predict` and `models`."""

import json
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter, validators
from rich.table import Table
from tqdm.auto import tqdm

from saccade.cli import say
from saccade.cli.source import Source
from saccade.data import output
from saccade.errors import SaccadeError, printable
from saccade.tasks import ClassifyRecipe, ClassifyTask, embedded, load
from saccade.train import TrainConfig, as_started

Json = Annotated[bool, Parameter(name="--json", negative=())]


def train(
    *,
    name: str = "classify",
    resume: Annotated[bool, Parameter(negative=())] = False,
    source: Annotated[Source | None, Parameter(name="*", group="Data")] = None,
    recipe: Annotated[ClassifyRecipe | None, Parameter(name="*", group="Model and augmentation")] = None,
    config: Annotated[TrainConfig | None, Parameter(name="*", group="Training")] = None,
) -> None:
    """Train a classifier on pictures in one folder a class (or a tar of them).

    The result is in runs/NAME: the model to use in model/, curves in log.jsonl and TensorBoard files, and what
    --resume needs in state/. On several processors or machines, start it with torchrun.

    Examples:

        saccade train classify --data pets/ --name pets

        saccade train classify --data pets/ --name pets --start cifar --epochs 50

        saccade train classify --name pets --resume

        torchrun --nproc-per-node 8 -m saccade train classify --data pets/

    Parameters
    ----------
    name
        Name of the run.
    resume
        Go on with the run of this name, with the options it was started with.
    """
    from saccade.data import splits
    from saccade.device import first_process
    from saccade.tasks import ClassifyTraining
    from saccade.train import train as run

    console, screen = say.to(stderr=True), say.to()
    console.quiet = screen.quiet = not first_process()
    source, recipe, config = source or Source(), recipe or ClassifyRecipe(), config or TrainConfig()
    if name in ("", ".", "..") or Path(name).name != name:
        raise say.UsageError(f"--name {name!r} is a path; expected a plain name, under which runs/ gets a folder")
    folder = Path("runs") / name
    if not resume and any((folder / part).exists() for part in ("state", "model", "log.jsonl")):
        way = "--resume goes on with it" if (folder / "state").exists() else "it saved no state to go on from"
        raise SaccadeError(f"{folder} already holds a run: {way}, another --name starts a new one")
    if resume:
        config, recipe = as_started(folder, config), as_started(folder, recipe, "recipe")
        source = as_started(folder, source, "source")
    if source.data is None:
        raise say.UsageError("--data is not given: a folder (or a tar) with one folder a class is needed")
    training, held = splits(source.data, source.val, fraction=source.hold_out, bad=source.bad)
    for note in dict.fromkeys([*training.notes, *held.notes]):
        say.note(console, note)
    start = None if source.start is None else load(source.start)
    task = ClassifyTraining(training, held, recipe, config.seed, start)
    scores = run(task, config, folder, resume, source)
    for dataset in (training, held):
        say.skipped(console, dataset.skipped)
    say.line(screen, f"{folder / 'model'}: " + "  ".join(f"{key} {value:.4f}" for key, value in scores.items()))


def val(
    data: Path,
    *,
    model: str = "cifar",
    out: Path | None = None,
    split: str | None = None,
    bad: Literal["skip", "fail"] = "skip",
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto",
    precision: Literal["auto", "bf16", "fp32"] = "auto",
    as_json: Json = False,
) -> None:
    """Score a classifier on labelled pictures: top1, top5, every class, confusion matrix, calibration.

    Example:

        saccade val pets/test --model runs/pets

    Parameters
    ----------
    data
        Folder or tar with one folder a class.
    model
        As for look.
    out
        Folder for confusion.png, calibration.png and scores.json; default runs/val-MODEL.
    split
        Which folder of the data to use, where it holds several.
    bad
        What to do with a picture that cannot be read.
    """
    from saccade.data import ImageFolder
    from saccade.device import join
    from saccade.tasks.classify import confusion, score
    from saccade.tasks.pictures import draw_calibration, draw_confusion

    task = _classifier(model)
    dataset = ImageFolder(data, classes=task.labels, bad=bad, split=split)
    place = join(device, precision)
    said, truth = task.val(dataset, place)
    matrix, scores = confusion(said, truth), score(said, truth)
    counts = zip(matrix.diagonal().tolist(), matrix.sum(dim=1).tolist(), strict=True)
    each = [right / there if there else None for right, there in counts]  # a class without pictures has no score
    per_class = dict(zip(task.labels, each, strict=True))
    result = {**scores, "pictures": len(truth), "per_class": per_class, "skipped": dataset.skipped}
    out = out or Path("runs") / f"val-{task.name}"
    out.mkdir(parents=True, exist_ok=True)
    draw_confusion(matrix, task.labels).save(out / "confusion.png")
    draw_calibration(said, truth).save(out / "calibration.png")
    (out / "scores.json").write_text(json.dumps(result, ensure_ascii=False, indent=1), encoding="utf-8")
    if as_json:
        print(json.dumps(result, ensure_ascii=False))
        return
    from saccade.studio.terminal import bars

    console = say.to()
    say.line(console, f"{task.name} on {len(truth)} pictures, {place}")
    say.line(console, *(p for key, value in scores.items() for p in (f"{key} ", (f"{value:.4f}", "bold"), "  ")))
    scored = {label: share for label, share in per_class.items() if share is not None}
    console.print(bars(list(scored), list(scored.values())))
    say.skipped(console, dataset.skipped)
    say.line(console, f"Pictures of the confusion and the calibration are in {out}")


def predict(
    pictures: Annotated[list[str], Parameter(negative=())],
    *,
    model: str = "cifar",
    top: Annotated[int, Parameter(validator=validators.Number(gte=1))] = 3,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    bad: Literal["skip", "fail"] = "skip",
    as_json: Json = False,
    as_csv: Annotated[bool, Parameter(name="--csv", negative=())] = False,
) -> None:
    """Name what is in pictures: files, folders, or patterns such as "holiday/*.jpg".

    Examples:

        saccade predict photo.jpg

        saccade predict photos/ --csv --out names.csv

    Parameters
    ----------
    pictures
        Files, folders (with all that is in them) or patterns.
    model
        As for look.
    top
        How many classes a picture.
    out
        File to write to instead of the screen.
    bad
        What to do with a picture that cannot be read: skip it, counted and named, or fail.
    as_json
        A JSON list.
    as_csv
        A CSV table. Names and labels that spreadsheets would take for formulas begin with an apostrophe.
    """
    from saccade.data import find_images
    from saccade.tasks.classify import to_csv

    if as_json and as_csv:
        raise say.UsageError("--json and --csv exclude each other: choose one")
    files = find_images(pictures)
    if out is not None:
        output.check(out, files)
    task = _classifier(model)
    skipped: dict[str, str] = {}
    bar = tqdm(files, unit="pictures", delay=1, disable=None)
    results = list(task.predict_all(_readable(bar, bad, skipped), top))
    if not results:
        raise SaccadeError(f"none of {len(files)} pictures could be read: {next(iter(skipped.values()))}")
    if as_json:
        said = json.dumps([result.to_dict() for result in results], ensure_ascii=False)
    elif as_csv:
        said = to_csv(results).rstrip("\n")
    else:
        said = ""
    if out is not None:
        output.write(out, ((said or "\n".join(map(str, results))) + "\n").encode())
    elif said:
        print(said)
    else:
        say.to().print(_table(results))
    say.skipped(say.to(stderr=True), skipped)


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
    table = Table("name", "task", "parameters", "picture", "scores")
    for name, task in found.items():
        scores = "  ".join(f"{key} {value:.3f}" for key, value in task.card.get("scores", {}).items())
        size = " x ".join(map(str, reversed(task.preprocess.size)))
        table.add_row(name, "classify", f"{task.parameters / 1e6:.1f} M", size, scores)
    console = say.to()
    console.print(table)
    console.print("Others: hf:OWNER/NAME, timm:NAME, a folder, a safetensors file.", style="dim")


def _classifier(model: str) -> ClassifyTask:
    task = load(model)
    if not isinstance(task, ClassifyTask):
        raise SaccadeError(f"{model} has no classifier to predict with; `saccade look` can look into it")
    for note in task.notes:
        say.note(say.to(stderr=True), note)
    return task


def _readable(files, bad: str, skipped: dict[str, str]):
    from saccade.data import read_image
    from saccade.errors import DataError

    for file in files:
        try:
            yield read_image(file)
        except DataError as error:
            if bad == "fail":
                raise
            skipped[str(file)] = str(error)


def _table(results) -> Table:
    table = Table("picture", *(f"{i + 1}." for i in range(len(results[0].labels))))
    for result in results:
        pairs = zip(result.labels, result.probabilities, strict=True)
        table.add_row(printable(result.name), *(f"{printable(label)} {share:.0%}" for label, share in pairs))
    return table
