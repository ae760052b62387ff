"""`saccade look`."""

import json
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter, validators
from rich.console import Console
from rich.table import Table

from saccade.cli import console
from saccade.cli.console import DeviceName, Json, int_range
from saccade.cli.interrupt import import_torch
from saccade.errors import SaccadeError, printable
from saccade.language import set_label_translations
from saccade.tasks.bundled_models import DEFAULT_CLASSIFIER

if TYPE_CHECKING:
    from saccade.data import Picture
    from saccade.studio.page.page import PageReport
    from saccade.studio.views import View
    from saccade.tasks.match.unrelated_texts import UnrelatedTextComparison


def look(
    picture: Path | None = None,
    *others: Path,
    model: str = DEFAULT_CLASSIFIER,
    out: Annotated[Path, Parameter(name=["--out", "-o"])] = Path("saccade-look.html"),
    size: Annotated[int | None, int_range(1)] = None,
    threshold: Annotated[float | None, Parameter(validator=validators.Number(gte=0, lte=1))] = None,
    text: Annotated[list[str] | None, Parameter(negative=())] = None,
    ask: str | None = None,
    classes: Annotated[list[str] | None, Parameter(name="--class", negative=())] = None,
    module: str = "",
    device: DeviceName = "auto",
    open_page: Annotated[bool, Parameter(name="--open", negative=())] = False,
    as_json: Json = False,
) -> None:
    """Say what a model sees in a picture or a video and where it looks, and write a page on which to explore it.

    The page is one HTML file that needs no network: click any patch and see what it attends to, in every layer
    and head, and how each weight is computed. Of a detector, click a found object and see where its query looked,
    which other objects it attended to and how it relates to them. Of a segmenter, click a class or its area and see
    where its token looked, and any patch to see what it is taken for. With --text, click a word. With --ask, read what
    the model writes, and click one of its words.

    Examples:

        saccade look photo.jpg

        saccade look photo.jpg --model hf:google/vit-base-patch16-224 --open

        saccade look photo.jpg --model hf:facebook/dinov3-vits16-pretrain-lvd1689m

        saccade look photo.jpg --model hf:microsoft/swin-tiny-patch4-window7-224 --module "*layers.2.*"

        saccade look photo.jpg --model hf:openai/clip-vit-base-patch32 --text "a red ball on a table"

        saccade look photo.jpg --model hf:openai/clip-vit-base-patch32 --text "a cat" --text "a dog"

        saccade look monday.jpg tuesday.jpg --model hf:facebook/dinov2-small

        saccade look scene.png --model matcher --text "a red star left of a blue ring"

        saccade look photo.jpg --model hf:llava-hf/llava-1.5-7b-hf --ask "What is in the picture?"

        saccade look dance.mp4 --model hf:MCG-NJU/videomae-base-finetuned-kinetics

    Parameters
    ----------
    picture
        A picture file, or a video for a model that classifies videos: click a place in any frame and see where it
        looks in all of them. Without one, a picture is drawn for you.
    others
        A second picture: click a patch in either and see where in the other one its features are found. With --ask, all
        pictures are given to the model together.
    model
        The name of a bundled model, hf:OWNER/NAME, timm:NAME, a folder (a run's too), or a safetensors file. Models of
        transformers that no reader here is for are read in their own class (DINOv3, BEiT, SigLIP, Swin, SegFormer,
        Hiera, SAM and others): layers in windows, pyramids and queries are shown on their own grids.
    out
        Where the page goes.
    size
        Side in pixels (of a segmenter, the shorter one) at which the model sees the picture, instead of its own; more
        makes a finer grid.
    threshold
        The least score, 0 to 1, of an object that a detector finds, and of a relation; default: as for predict.
    text
        Of a model that matches text with pictures (the bundled matcher, or CLIP, SigLIP and others): what the
        picture may show. Click a word on the page and see which patches answer it, or a patch and see which words.
        Repeated, the texts are ranked; the page shows the words of the best one, with the bundled matcher those of all.
    ask
        A question, for a model of transformers that writes about pictures (LLaVA, Qwen-VL, PaliGemma, InternVL,
        SmolVLM, Florence-2, BLIP, Donut and others): click a word of its answer and see where it looked, or a place
        and see which words looked there. "" for a model that only describes. Of a video, four frames are shown to it.
    classes
        Of a classifier, a class by its name: see which patches speak for it, besides those that are most likely. May
        be given several times.
    module
        A pattern of names of modules, such as "*layers.2.*": the page shows these layers alone. Of models read in their
        own class.
    device
        Where to compute, in fp32: the page shows numbers.
    open_page
        Open the page in the browser.
    as_json
        Print prediction, grid and heat map as JSON instead.
    """
    texts = text or []
    if not all(each.strip() for each in texts):
        raise SaccadeError('--text is empty: give the words to look for, such as "a red ball on a table"')
    from saccade.data.files import check_file, is_video

    pictures = [path for path in (picture, *others) if path is not None]
    for path in pictures:
        check_file(path)
    if ask is not None and (texts or classes or module or size is not None or threshold is not None):
        raise SaccadeError(
            "--text, --class, --module, --size and --threshold are not for models that write: leave them out, or --ask"
        )
    if ask is None and len(others) > 1:
        raise SaccadeError(f"{len(pictures)} pictures: two are compared; more are for a model that writes, with --ask")
    if ask is None and others and any(map(is_video, pictures)):
        raise SaccadeError("two files are compared as pictures, and one of these is a video: give two pictures")
    console.check_html_path("--out", out, pictures)
    import_torch()
    from saccade.data.images import read_image
    from saccade.device import pick_device
    from saccade.studio.look import ask_about, look_at, look_at_film
    from saccade.studio.progress import reporting
    from saccade.studio.views import LookOptions
    from saccade.tasks.generate.base import no_predict_error
    from saccade.tasks.trained_models import is_generator

    if is_generator(model):
        raise no_predict_error(model)
    stdout = console.stderr() if as_json else console.stdout()
    place = pick_device(device)
    with console.ProgressBar(quiet=as_json) as bar, reporting(bar):
        bar.step("loading the model")
        if ask is not None:
            found: View = ask_about(model, _all(pictures, stdout), ask, place)
        else:
            second = read_image(others[0]) if others else None
            options = LookOptions(size, threshold, texts=texts, classes=classes or [], other=second, module=module)
            found = (
                look_at_film(model, picture, options, place)
                if picture is not None and is_video(picture)
                else look_at(model, _picture(picture, stdout), options, place)
            )
        set_label_translations(found.task)
        bar.step("writing the page")
        report = found.page(out)
    if as_json:
        page = {"path": str(out), "bytes": report.bytes, "bits": report.bits, "layers_kept": report.layers_kept}
        ranked = {} if found.text_comparison is None else found.text_comparison.to_dict()
        print(json.dumps({**found.to_dict(), **ranked, "page": page}, ensure_ascii=False))
    else:
        if found.text_comparison is not None:
            _print_ranking(stdout, found.text_comparison)
        _print(stdout, found, report)
    if open_page:
        webbrowser.open(out.resolve().as_uri())


def _picture(path: Path | None, stdout: Console) -> "Picture":
    from saccade.data.images import Picture, read_image

    if path is not None:
        return read_image(path)
    from saccade.studio.sample import sample_picture

    stdout.print("No picture was given: looking at one drawn for you.", style="dim")
    return Picture(sample_picture(), "a drawn picture")


def _all(paths: list[Path], stdout: Console) -> "list[Picture]":
    """Every picture, and frames of every video and animation; a drawn picture if there are none."""
    from saccade.data.files import is_video
    from saccade.data.films.store import is_animated
    from saccade.studio.look import frames_of

    if not paths:
        return [_picture(None, stdout)]
    moving = {path for path in paths if is_video(path) or is_animated(path)}
    return [one for path in paths for one in (frames_of(path) if path in moving else [_picture(path, stdout)])]


def _print_ranking(stdout: Console, compared: "UnrelatedTextComparison") -> None:
    ranking = compared.ranking
    table = Table("text", "score", "similarity")
    for text, score, similarity in zip(ranking.texts, ranking.scores, ranking.similarities, strict=True):
        table.add_row(printable(text), f"{score:.1%}", f"{similarity:.4f}")
    stdout.print(table)
    console.print_styled_line(stdout, (compared.sentence, "dim"))


def _print(stdout: Console, found: "View", report: "PageReport") -> None:
    task = found.task
    rows, columns = found.grid
    size = f"{task.parameters / 1e6:.1f} million parameters, {rows} x {columns} patches"
    console.print_styled_line(stdout, (task.name, "bold"), f", {size}, {found.seconds:.2f} s in fp32")
    found.print_summary(stdout)
    for note in found.notes:
        console.print_note(stdout, note)
    kept = "" if report.layers_kept == report.layers else f", {report.layers_kept} of {report.layers} layers"
    size = f" ({report.bytes / 1e6:.1f} MB{kept}). Open it in a browser and click {found.click_hint}."
    console.print_styled_line(stdout, "The page: ", (str(report.path), "bold"), size)
