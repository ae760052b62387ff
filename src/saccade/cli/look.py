"""`saccade look`."""

import json
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter, validators
from rich.console import Console

from saccade.cli import say
from saccade.data import Picture, output, read_image
from saccade.errors import SaccadeError

if TYPE_CHECKING:
    from saccade.studio.views import View
    from saccade.studio.page import PageReport


def look(
    picture: Path | None = None,
    *,
    model: str = "cifar",
    out: Annotated[Path, Parameter(name=["--out", "-o"])] = Path("saccade-look.html"),
    size: Annotated[int | None, Parameter(validator=validators.Number(gte=1))] = None,
    threshold: Annotated[float, Parameter(validator=validators.Number(gte=0, lte=1))] = 0.5,
    text: str | None = None,
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto",
    open_page: Annotated[bool, Parameter(name="--open", negative=())] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> None:
    """Say what a model sees in a picture and where it looks, and write a page on which to explore it.

    The page is one HTML file that needs no network: click any patch and see what it attends to, in every layer
    and head, and how each weight is computed. Of a detector, click a found object and see where its query looked,
    which other objects it attended to and how it relates to them. Of a segmenter, click a class or its area and see
    where its token looked, and any patch to see what it is taken for. With --text, click a word.

    Examples:

        saccade look photo.jpg

        saccade look photo.jpg --model hf:google/vit-base-patch16-224 --open

        saccade look photo.jpg --model hf:openai/clip-vit-base-patch32 --text "a red ball on a table"

    Parameters
    ----------
    picture
        A picture file. Without one, a picture is drawn for you.
    model
        An embedded model's name, hf:OWNER/NAME, timm:NAME, a folder (a run's too), or a safetensors file.
    out
        Where the page goes.
    size
        Side in pixels (of a segmenter, the shorter one) at which the model sees the picture, instead of its own; more
        makes a finer grid.
    threshold
        The least score, 0 to 1, of an object that a detector finds, and of a relation.
    text
        Of a model that matches text with pictures (CLIP, SigLIP and their kin): what the picture may show. Click a word
        on the page and see which patches answer it, or a patch and see which words.
    device
        Where to compute, in fp32: the page shows numbers.
    open_page
        Open the page in the browser.
    as_json
        Print prediction, grid and heat map as JSON instead.
    """
    if text is not None and not text.strip():
        raise SaccadeError('--text is empty: give the words to look for, such as "a red ball on a table"')
    from saccade.device import pick_device
    from saccade.studio.look import look_at
    from saccade.studio.views import LookOptions

    console = say.to(stderr=as_json)
    output.check(out, [] if picture is None else [picture])
    seen, place = _picture(picture, console), pick_device(device)
    waiting = say.to(stderr=True)
    with waiting.status("running the model"):
        found = look_at(model, seen, LookOptions(size=size, threshold=threshold, text=text), place)
    with waiting.status("writing the page"):
        report = found.page(out)
    if as_json:
        page = {"path": str(out), "bytes": report.bytes, "bits": report.bits, "layers_kept": report.layers_kept}
        print(json.dumps({**found.to_dict(), "page": page}, ensure_ascii=False))
    else:
        _print(console, found, report)
    if open_page:
        webbrowser.open(out.resolve().as_uri())


def _picture(path: Path | None, console: Console) -> Picture:
    if path is not None:
        return read_image(path)
    from saccade.studio.sample import sample_picture

    console.print("No picture was given: looking at one drawn for you.", style="dim")
    return Picture(sample_picture(), "a drawn picture")


def _print(console: Console, found: "View", report: "PageReport") -> None:
    task = found.task
    rows, columns = found.grid
    size = f"{task.parameters / 1e6:.1f} million parameters, {rows} x {columns} patches"
    say.line(console, (task.name, "bold"), f", {size}, {found.seconds:.2f} s in fp32")
    found.print_summary(console)
    for note in found.notes:
        say.note(console, note)
    kept = "" if report.layers_kept == report.layers else f", {report.layers_kept} of {report.layers} layers"
    size = f" ({report.bytes / 1e6:.1f} MB{kept}). Open it in a browser and click {found.click}."
    say.line(console, "The page: ", (str(report.path), "bold"), size)
