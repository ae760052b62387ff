"""`saccade export`: a model as a file of an inference engine."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from saccade.cli import console
from saccade.cli.console import Json
from saccade.cli.interrupt import import_torch

if TYPE_CHECKING:
    from saccade.tasks.exported import ExportReport


def export(
    model: str,
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    format: Literal["onnx", "openvino", "torch"] = "onnx",
    as_json: Json = False,
) -> None:
    """Write a model as a file of an inference engine, with its preprocessing and the names of its classes inside.

    The file takes any number of pictures, and pictures of any size in whole patches where the model does. Its outputs
    are compared with PyTorch's, and a file that answers otherwise is not written.

    Examples:

        saccade export cifar --out cifar.onnx

        saccade export runs/streets --format openvino --out streets.xml

        saccade predict photo.jpg --model cifar.onnx

        saccade export matcher --out words.onnx

    Parameters
    ----------
    model
        A classifier, detector, segmenter or matcher: the name of a bundled model, a folder that training wrote, or a
        ViT of another library, as for look.
    out
        File to write: .onnx, .xml or .pt2. OpenVINO's weights are written beside it, as a .bin, and the networks of a
        matcher's texts and head as FILE.texts.onnx and FILE.head.onnx.
    format
        onnx: for ONNX Runtime and others. openvino: OpenVINO's XML. torch: an archive for torch.export.load, which
        unpickles, so that predict does not read it.
    as_json
        Print what was written as JSON.
    """
    from saccade.cli.models import print_notes
    from saccade.data import output

    output.check_writable(out)
    import_torch()
    from saccade.tasks import load
    from saccade.tasks.exported import export as export_task

    task = load(model)
    print_notes(task)
    written = export_task(task, out, format)
    if as_json:
        print(json.dumps({"out": str(out), "format": format, **_as_dict(written)}))
        return
    stdout = console.stdout()
    largest = max(written.differences.values())
    shapes = ", ".join(" x ".join(map(str, shape)) for shape in written.shapes)
    console.print_styled_line(stdout, f"{out}: {', '.join(map(str, written.signature.axes.values()))}")
    console.print_styled_line(
        stdout, f"largest difference to PyTorch: {largest:.1e} of an output's largest number, on inputs of {shapes}"
    )


def _as_dict(written: "ExportReport") -> dict[str, object]:
    return {
        "axes": [axis.model_dump() for axis in written.signature.axes.values()],
        "differences": written.differences,
        "compared": written.shapes,
    }
