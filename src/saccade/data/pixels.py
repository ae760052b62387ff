"""Arrays, tensors and pixels of more than 8 bits to Pillow images of 8 bits. Axes and value ranges are checked, never
guessed.

Microscopes, X-ray detectors and cameras write 10, 12 or 14 bits into files of 16. Scaled from the 16 bits of the file,
such a picture is nearly black; so it is scaled by the bits that it uses.
"""

import sys
from collections.abc import Sequence
from typing import IO, Any, Literal

import numpy as np
import torch
from PIL import Image

from saccade.errors import DataError

Layout = Literal["hwc", "chw"]
ROUNDING = 1e-4  # tolerance outside 0..1 for float pictures: the error of a resize in half precision
STRIP = 1 << 20  # values that are converted at once
MODES = {1: "L", 3: "RGB", 4: "RGBA"}
DEPTHS = (8, 10, 12, 14, 16)  # of sensors, in bits
MAX_SAMPLE_VALUE = 281  # TIFF tag
WHOLE = "16-bit pixels scaled to 8 bits"
PARTLY_USED = "16-bit pixels of which {} bits are used: scaled from 0..{}"
DARK = 64  # first byte of colours, below which 14 bits or fewer are used
# Pillow keeps the first byte of colours of 16 bits; read in the other order, it keeps the second.
NATIVE = "L" if sys.byteorder == "little" else "B"
OTHER_ORDER = {"B": "L", "L": "B", "N": "B" if NATIVE == "L" else "L"}


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


def grey_to_uint8(image: Image.Image, name: str, notes: list[str]) -> Image.Image:
    """A picture of integers as 8 bits, with the transparency of its colour key. Raises DataError for pixels outside
    0..65535."""
    values = np.asarray(image)
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > 65535:
        raise DataError(f"{name}: integer pixels lie in {low}..{high}; 0..65535 expected: rescale it")
    grey = Image.fromarray(_scaled(values, _bits_used(image, high), notes))
    clear = image.info.get("transparency")
    if isinstance(clear, int):  # the grey value that marks transparent pixels
        grey.putalpha(Image.fromarray((values != clear).astype(np.uint8) * 255))
    return grey


def colours_to_uint8(image: Image.Image, tile: list, file: IO[bytes], notes: list[str]) -> Image.Image:
    """A loaded picture; one of colours of 16 bits that uses 14 or fewer is decoded again with all bits, and scaled.

    tile: Pillow's attribute before it was loaded. file: that it was read from."""
    raw = raw_mode(tile)
    if not raw.startswith(("RGB;16", "RGBA;16")) or raw[-1] not in OTHER_ORDER:
        return image
    first = np.asarray(image)
    if int(first[..., :3].max(initial=0)) >= DARK:
        return image
    file.seek(0)
    with Image.open(file, formats=(image.format or "",)) as again:
        again.tile = [each._replace(args=_reordered(each.args)) for each in again.tile]
        second = np.asarray(again)
    values = (first.astype(np.uint16) << 8) | second
    bits = _bits_used(image, int(values[..., :3].max(initial=0)))
    scaled = _scaled(values, bits, notes)
    if values.shape[2] == 4:
        scaled[..., 3] = first[..., 3]
    result = Image.fromarray(scaled)
    result.info = image.info
    return result


def _scaled(values: np.ndarray, bits: int, notes: list[str]) -> np.ndarray:
    white = (1 << bits) - 1
    notes.append(WHOLE if bits == 16 else PARTLY_USED.format(bits, white))
    return uint16_to_uint8(values, white)


def _bits_used(image: Image.Image, high: int) -> int:
    """The depth of the sensor: as a TIFF states it, else the least that holds all pixels."""
    stated = getattr(image, "tag_v2", {}).get(MAX_SAMPLE_VALUE)
    if isinstance(stated, tuple):
        stated = max(stated, default=None)
    most = stated if isinstance(stated, int) and high <= stated <= 65535 else high
    return next(bits for bits in DEPTHS if most < 1 << bits)


def raw_mode(tile: Sequence) -> str:
    """How Pillow unpacks the pixels of a file, "" if it does not say. tile: its attribute of a picture."""
    args = tile[0][3] if tile else ""
    return args if isinstance(args, str) else str(next(iter(args or ()), ""))


def _reordered(args: Any) -> tuple[Any, ...] | str:
    if isinstance(args, str):
        return args[:-1] + OTHER_ORDER[args[-1]]
    assert isinstance(args, tuple)
    return (args[0][:-1] + OTHER_ORDER[args[0][-1]], *args[1:])
