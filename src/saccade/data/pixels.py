"""Arrays and tensors to Pillow images. Axes and value ranges are checked, never guessed."""

from typing import Literal

import numpy as np
import torch
from PIL import Image

from saccade.errors import DataError

Layout = Literal["hwc", "chw"]
ROUNDING = 1e-4  # tolerance outside 0..1 for float pictures: the error of a resize in half precision
STRIP = 1 << 20  # values that are converted at once
MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def from_tensor(tensor: torch.Tensor, layout: Layout | None, name: str) -> Image.Image:
    """A tensor (3 y x), (1 y x), (4 y x) or (y x) as a picture; with layout="hwc", (y x 3).

    Ranges and errors are those of `from_array`.
    """
    tensor = tensor.detach().cpu()
    if tensor.dtype == torch.bfloat16:  # numpy has none
        tensor = tensor.float()
    shape = tuple(tensor.shape)
    if layout is None and len(shape) == 3 and shape[0] not in MODES and shape[2] in MODES:
        raise DataError(
            f"{name}: a tensor of shape {shape} was given and (channels, rows, columns) expected; "
            f'pass layout="hwc" or x.permute(2, 0, 1)'
        )
    return from_array(tensor.numpy(), layout or "chw", name)


def from_array(array: np.ndarray, layout: Layout | None, name: str) -> Image.Image:
    """An array (y x 3), (y x 1), (y x 4) or (y x) as a picture; with layout="chw", (3 y x).

    uint8 is 0..255, uint16 is 0..65535, bool is black and white, float is 0..1.

    Raises:
        DataError: another shape, dtype or range; axes that could be read two ways; no pixels; NaN or infinity.
    """
    shape = array.shape
    if layout not in (None, "hwc", "chw"):
        raise DataError(f'{name}: layout {layout!r} was given; "hwc" or "chw" expected')
    if array.ndim == 4:
        raise DataError(f"{name}: a batch of shape {shape} was given; one picture expected: pass x[0]")
    if array.ndim == 3:
        array = _channels_last(array, layout, name)
    elif array.ndim != 2:
        raise DataError(f"{name}: shape {shape} was given; (rows, columns) or (rows, columns, 3) expected")
    if array.size == 0:
        raise DataError(f"{name}: a picture of shape {shape} has no pixels")
    pixels = _to_bytes(array, name)
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    return Image.fromarray(np.ascontiguousarray(pixels))


def _channels_last(array: np.ndarray, layout: Layout | None, name: str) -> np.ndarray:
    shape = array.shape
    if layout is None and shape[0] in (3, 4):
        reading = "could be read two ways" if shape[2] in MODES else "looks like (channels, rows, columns)"
        raise DataError(
            f'{name}: an array of shape {shape} {reading}; pass layout="chw", or layout="hwc", or x.transpose(1, 2, 0)'
        )
    if layout == "chw":
        array = array.transpose(1, 2, 0)
    if array.shape[2] not in MODES:
        axes = "(channels, rows, columns)" if layout == "chw" else "(rows, columns, channels)"
        raise DataError(f"{name}: shape {shape} was given; {axes} with 1, 3 or 4 channels expected")
    return array


def _to_bytes(array: np.ndarray, name: str) -> np.ndarray:
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * 255
    if array.dtype == np.uint16:
        return uint16_to_uint8(array)
    if np.issubdtype(array.dtype, np.floating):
        return unit_to_uint8(array, name)
    raise DataError(f"{name}: pixels of type {array.dtype} were given; uint8 (0..255) or float (0..1) expected")


def unit_to_uint8(array: np.ndarray, name: str) -> np.ndarray:
    """Floats 0..1 -> bytes, rounded. Raises DataError for NaN, infinity and values outside."""
    low, high = float(array.min()), float(array.max())
    if not np.isfinite([low, high]).all():  # min and max of an array with a NaN are NaN
        raise DataError(f"{name}: holds NaN or infinite pixels")
    if low < -ROUNDING or high > 1 + ROUNDING:
        advice = "divide by 255" if low >= 0 and high <= 255 else "undo its normalisation"
        raise DataError(f"{name}: float pixels lie in {low:.4g}..{high:.4g}; 0..1 expected: {advice}")
    return np.rint(array.astype(np.float32).clip(0, 1) * 255).astype(np.uint8)


def uint16_to_uint8(array: np.ndarray, white: int = 65535) -> np.ndarray:
    """0..white -> 0..255, rounded: black and white stay exact. In strips: a float of each pixel takes 8 bytes."""
    pixels = np.empty(array.shape, np.uint8)
    rows = max(1, STRIP // max(1, array[:1].size))
    for top in range(0, len(array), rows):
        strip = array[top : top + rows].astype(np.float64)
        pixels[top : top + rows] = np.rint(strip * (255 / white)).clip(0, 255)
    return pixels
