"""Copies of exported networks in int8, by each engine's own quantization."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

BATCH = 16


def quantize_onnx(file: Path, to: Path, pictures: Sequence[Tensor]) -> None:
    """By ONNX Runtime: weights a channel, activations of matrix products and convolutions between the smallest and the
    largest value that the pictures give them."""
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self.batches = iter(batches(pictures))

        def get_next(self) -> dict | None:
            batch = next(self.batches, None)
            return None if batch is None else {"pictures": batch.numpy()}

    prepared = to.with_suffix(".prepared.onnx")
    quant_pre_process(file, prepared, skip_symbolic_shape=True)
    quantize_static(
        prepared,
        to,
        Reader(),
        op_types_to_quantize=["MatMul", "Gemm", "Conv"],
        per_channel=True,
        weight_type=QuantType.QInt8,
        activation_type=QuantType.QUInt8,
        extra_options={"ActivationSymmetric": False, "MatMulConstBOnly": True},
    )
    prepared.unlink()


def quantize_openvino(file: Path, to: Path, pictures: Sequence[Tensor]) -> None:
    """By NNCF, with its settings for transformers."""
    import nncf
    import openvino

    model = openvino.Core().read_model(file)
    data = nncf.Dataset([batch.numpy() for batch in batches(pictures)])
    quantized = nncf.quantize(model, data, model_type=nncf.ModelType.TRANSFORMER, subset_size=len(pictures) // BATCH)
    openvino.save_model(quantized, to, compress_to_fp16=False)


def batches(pictures: Sequence[Tensor]) -> list[Tensor]:
    """Whole batches of the pictures."""
    return [torch.stack(list(pictures[i : i + BATCH])) for i in range(0, len(pictures) - BATCH + 1, BATCH)]
