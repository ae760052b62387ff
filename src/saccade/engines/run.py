"""Exported networks on their engines, as modules."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np
import torch
from torch import Tensor, nn

from saccade.engines.signature import Signature
from saccade.engines.write import KEY
from saccade.errors import CheckpointError, SaccadeError, in_one_line, install_hint


class Engine(NamedTuple):
    """A file that an engine has read. run: outputs by name for inputs by name. metadata: as it was written."""

    run: Callable[[Mapping[str, np.ndarray]], Mapping[str, Any]]
    metadata: str


def open_onnx(file: Path) -> Engine:
    """In ONNX Runtime, on the CPU with PyTorch's number of threads. Raises SaccadeError without onnxruntime,
    CheckpointError for a file that it cannot read or that has no metadata."""
    try:
        import onnxruntime
    except ImportError as error:
        raise SaccadeError(f"{file.name} is run by onnxruntime: {install_hint('onnx')}") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # of classes of its own, which have no common base
        raise CheckpointError(f"{file} cannot be read by ONNX Runtime: {in_one_line(error)}") from error
    metadata = session.get_modelmeta().custom_metadata_map.get(KEY)
    names = [output.name for output in session.get_outputs()]
    return Engine(lambda inputs: dict(zip(names, session.run(names, inputs), strict=True)), _present(metadata, file))


def open_openvino(file: Path) -> Engine:
    """In OpenVINO, on the CPU in float32: by itself it chooses bf16 on processors that compute in it. Raises as
    `open_onnx` does."""
    try:
        import openvino
    except ImportError as error:
        raise SaccadeError(f"{file.name} is run by openvino: {install_hint('openvino')}") from error
    settings = {
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "PERFORMANCE_HINT": "LATENCY",
    }
    try:
        model = openvino.Core().read_model(file)
        metadata = model.get_rt_info([KEY]).astype(str) if model.has_rt_info([KEY]) else None
        compiled = openvino.Core().compile_model(model, "CPU", settings)
    except Exception as error:  # of a class of its own, or RuntimeError
        raise CheckpointError(f"{file} cannot be read by OpenVINO: {in_one_line(error)}") from error
    return Engine(compiled, _present(metadata, file))  # what it returns can be indexed by name


ENGINES = {".onnx": open_onnx, ".xml": open_openvino}


class EngineNetwork(nn.Module):
    """An exported network as a module: tensors in, outputs by name."""

    def __init__(self, engine: Engine, signature: Signature):
        super().__init__()
        self.engine, self.signature = engine, signature
        self.anchor = nn.Parameter(torch.zeros(0), requires_grad=False)  # its device is that of the module

    def forward(self, *inputs: Tensor) -> dict[str, Tensor]:
        """Raises SaccadeError for inputs outside of the signature."""
        self.signature.check(*(each.shape for each in inputs))
        arrays = {
            each.name: np.ascontiguousarray(tensor.to(getattr(torch, each.dtype)).cpu().numpy())
            for each, tensor in zip(self.signature.inputs, inputs, strict=True)
        }
        found = self.engine.run(arrays)  # a quantized copy may have them in another order
        return {name: torch.from_numpy(np.array(found[name])).to(inputs[0].device) for name in self.signature.outputs}

    @property
    def vit(self) -> NoReturn:
        """Raises SaccadeError: an engine shows the outputs of a network and nothing of its inside."""
        raise SaccadeError(
            "an exported network runs in an inference engine, so its layers cannot be looked into or trained: use the "
            "model that it was exported from"
        )


def _present(metadata: str | None, file: Path) -> str:
    if metadata is None:
        raise CheckpointError(
            f"{file} holds no preprocessing and no names of classes: give a file that saccade export wrote"
        )
    return metadata
