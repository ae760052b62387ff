"""Files of inference engines, each with a text of metadata inside."""

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import torch
from torch.export import ExportedProgram

from saccade.engines.signature import Signature
from saccade.errors import SaccadeError, in_one_line, install_hint

KEY = "saccade"  # of the metadata
OPSET = 20  # of ONNX; from 23 on attention is one operator, which ONNX Runtime computes slower than its parts


class Format(NamedTuple):
    """How a file is written: `write(program, signature, metadata, file)`. suffix: of the file. require: raises
    SaccadeError without the packages that write it; called before the work begins."""

    suffix: str
    write: Callable[[ExportedProgram, Signature, str, Path], None]
    require: Callable[[], None]


def write_onnx(program: ExportedProgram, signature: Signature, metadata: str, file: Path) -> None:
    """An ONNX file with the metadata in its `metadata_props`."""
    file.write_bytes(_onnx(program, signature, metadata))


def write_openvino(program: ExportedProgram, signature: Signature, metadata: str, file: Path) -> None:
    """OpenVINO's XML, with the metadata in its `rt_info`, and the weights beside it in a .bin of float32. It goes
    through ONNX: OpenVINO reads some exported programs wrongly."""
    import openvino

    with TemporaryDirectory() as place:
        source = Path(place) / "network.onnx"
        source.write_bytes(_onnx(program, signature, metadata))
        model = openvino.convert_model(source)
    model.set_rt_info(metadata, [KEY])
    openvino.save_model(model, file, compress_to_fp16=False)


def write_torch(program: ExportedProgram, signature: Signature, metadata: str, file: Path) -> None:
    """An archive for `torch.export.load`, with the metadata among its extra files."""
    torch.export.save(program, file, extra_files={f"{KEY}.json": metadata})


def require_onnx() -> None:
    """Raises SaccadeError without onnx and onnxscript."""
    try:
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise SaccadeError(f"ONNX files are written by onnx and onnxscript: {install_hint('onnx')}") from error


def require_openvino() -> None:
    """Raises SaccadeError without openvino, onnx and onnxscript."""
    try:
        import openvino  # noqa: F401
    except ImportError as error:
        raise SaccadeError(f"OpenVINO files are written by openvino: {install_hint('openvino')}") from error
    require_onnx()


FORMATS = {
    "onnx": Format(".onnx", write_onnx, require_onnx),
    "openvino": Format(".xml", write_openvino, require_openvino),
    "torch": Format(".pt2", write_torch, lambda: None),
}


def _onnx(program: ExportedProgram, signature: Signature, metadata: str) -> bytes:
    try:
        with _quiet():
            written: Any = torch.onnx.export(
                program,
                dynamo=True,
                opset_version=OPSET,
                input_names=[each.name for each in signature.inputs],
                output_names=list(signature.outputs),
                verbose=False,
            )
            proto = written.model_proto
    except torch.onnx.errors.OnnxExporterError as error:
        raise SaccadeError(f"the network cannot be written as ONNX: {in_one_line(error)}") from error
    entry = proto.metadata_props.add()
    entry.key, entry.value = KEY, metadata
    return proto.SerializeToString()


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's messages about torchvision and its own deprecations."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
