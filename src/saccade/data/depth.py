"""Pixels of more than 8 bits, scaled by the bits that a picture uses.

Microscopes, X-ray detectors and cameras write 10, 12 or 14 bits into files of 16. Scaled from the 16 bits of the file,
such a picture is nearly black.
"""

import sys
from collections.abc import Sequence
from typing import IO, Any

import numpy as np
from PIL import Image

from saccade.data.pixels import uint16_to_uint8
from saccade.errors import DataError

DEPTHS = (8, 10, 12, 14, 16)  # of sensors, in bits
MAX_SAMPLE_VALUE = 281  # TIFF tag
WHOLE = "16-bit pixels scaled to 8 bits"
PARTLY_USED = "16-bit pixels of which {} bits are used: scaled from 0..{}"
DARK = 64  # first byte of colours, below which 14 bits or fewer are used
# Pillow keeps the first byte of colours of 16 bits; read in the other order, it keeps the second.
NATIVE = "L" if sys.byteorder == "little" else "B"
OTHER_ORDER = {"B": "L", "L": "B", "N": "B" if NATIVE == "L" else "L"}


def scale_grey(image: Image.Image, name: str, notes: list[str]) -> Image.Image:
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


def scale_colours(image: Image.Image, tile: list, file: IO[bytes], notes: list[str]) -> Image.Image:
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
