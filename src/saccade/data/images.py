"""Read a picture from a file, bytes, an array or a tensor, as upright RGB, with a note of every conversion."""

import io
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import torch
from PIL import Image, ImageOps

from saccade.data.decoders import check_size, decode_error, open_image
from saccade.data.files import check_file, escape
from saccade.data.pixels import Layout, colours_to_uint8, from_array, from_tensor, grey_to_uint8, unit_to_uint8
from saccade.errors import DataError

_warnings_lock = threading.Lock()  # warning filters are global to the process


@dataclass(frozen=True)
class Picture:
    """A decoded picture.

    Attributes:
        image: RGB, at least 1 x 1, upright.
        name: file name or a substitute; undecodable bytes as "\\xff". Unprintable characters are not escaped.
        notes: conversions applied, one sentence each.
    """

    image: Image.Image
    name: str = "picture"
    notes: tuple[str, ...] = ()


Source = str | os.PathLike[str] | bytes | IO[bytes] | Image.Image | np.ndarray | torch.Tensor | Picture


def read_image(
    source: Source,
    layout: Layout | None = None,
    name: str | None = None,
    at_least: tuple[int, int] | None = None,
) -> Picture:
    """Decode a picture fully and make it upright RGB.

    Args:
        source: path, encoded bytes, open binary file, Pillow image, array (y x 3) or (y x), or tensor (3 y x).
        layout: axes of an array or tensor, "hwc" or "chw", if they differ from these.
        name: name in messages. Default: the path, if there is one.
        at_least: (rows, columns) that suffice: a JPEG is then decoded at 1/2, 1/4 or 1/8 of its size where that is not
            below them, several times faster.

    16-bit pixels are scaled (not clipped), from the 8, 10, 12, 14 or 16 bits that the picture uses; transparency is
    composited on white, the EXIF orientation is applied, and the first frame of an animation is used. Colour profiles
    are not applied.

    Raises:
        DataError: the picture is missing, a folder, not a picture, truncated, too large (Pillow's decompression-bomb
            limit), without pixels, holds NaN, has ambiguous axes or values out of range.
    """
    if isinstance(source, Picture):
        return source
    name = name and utf8_name(name)
    if isinstance(source, torch.Tensor):
        return _finish(from_tensor(source, layout, escape(name or "tensor")), name or "tensor", [])
    if isinstance(source, np.ndarray):
        return _finish(from_array(source, layout, escape(name or "array")), name or "array", [])
    if isinstance(source, Image.Image):
        name = name or utf8_name(getattr(source, "filename", "") or "picture")
        return _decode(source, name, at_least=None)
    if isinstance(source, (bytes, bytearray, memoryview)):
        data = bytes(source)
        return _open(io.BytesIO(data), name or "picture", len(data), at_least)
    if isinstance(source, (str, os.PathLike)):
        return _read_path(Path(source), name, at_least)
    if hasattr(source, "read"):
        label = getattr(source, "name", None)
        name = name or (utf8_name(label) if isinstance(label, str) else "picture")
        data = source.read()
        if not isinstance(data, bytes):
            raise DataError(f'{escape(name)} was opened as text; open it with mode "rb"')
        return _open(io.BytesIO(data), name, len(data), at_least)
    raise DataError(
        f"a picture cannot be read from {type(source).__name__}; "
        "a path, bytes, an open file, a Pillow image, an array or a tensor was expected"
    )


def read_size(source: Path | bytes, name: str) -> tuple[tuple[int, int], int]:
    """(height, width) as stored in the file, and its EXIF orientation 1..8 (5 to 8 swap the two in the upright
    picture). Only the header is read. Raises DataError as `read_image`."""
    display = escape(name)
    if isinstance(source, Path):
        check_file(source)
    try:
        with pillow_warnings([]):
            image = open_image(source, display)
        with image:
            check_size(image.size, display)
            orientation = exif_orientation(image, [])
            width, height = image.size
            # Pillow reports the upright size of a TIFF
            return ((width, height) if image.format == "TIFF" and orientation > 4 else (height, width)), orientation
    except Exception as error:
        raise decode_error(error, display) from error


def utf8_name(name: str | bytes | os.PathLike) -> str:
    """A file name as text that is valid UTF-8."""
    try:
        return os.fsencode(name).decode(errors="backslashreplace")
    except UnicodeEncodeError:  # a lone surrogate, which no file name contains
        return escape(name)


def _read_path(path: Path, name: str | None, at_least: tuple[int, int] | None) -> Picture:
    check_file(path)
    try:
        with path.open("rb") as file:
            return _open(file, name or utf8_name(path), path.stat().st_size, at_least)
    except OSError as error:
        raise DataError(f"{escape(path)} cannot be opened ({error.strerror})") from error


def _open(file: IO[bytes], name: str, size: int, at_least: tuple[int, int] | None) -> Picture:
    if size == 0:
        raise DataError(f"{escape(name)} is empty (0 bytes); a picture was expected")
    return _decode(file, name, at_least)


def _decode(source: IO[bytes] | Image.Image, name: str, at_least: tuple[int, int] | None) -> Picture:
    notes: list[str] = []
    display = escape(name)
    try:
        with pillow_warnings(notes):
            image = source if isinstance(source, Image.Image) else open_image(source, display, notes)
        check_size(image.size, display)
        if at_least is not None and image.format == "JPEG":
            image.draft(None, (max(at_least), max(at_least)))  # EXIF may swap rows and columns
        if image.format != "MPO" and getattr(image, "is_animated", False):
            notes.append(f"{image.format}: its first frame was taken")
        tile = list(getattr(image, "tile", ()))
        image.load()  # `verify` would let a truncated file pass
        if not isinstance(source, Image.Image):
            image = colours_to_uint8(image, tile, source, notes)
        image = _upright(image, notes)
        return _finish(image, name, notes)
    except Exception as error:
        raise decode_error(error, display) from error


def _upright(image: Image.Image, notes: list[str]) -> Image.Image:
    orientation = exif_orientation(image, notes)
    if orientation == 1:
        return image
    try:
        with pillow_warnings(notes):
            image = ImageOps.exif_transpose(image)
    except Exception as error:  # damaged tags do not affect the pixels
        notes.append(f"its EXIF could not be read ({escape(error)})")
    else:
        notes.append(f"turned upright (EXIF orientation {orientation})")
    return image


def exif_orientation(image: Image.Image, notes: list[str]) -> int:
    """EXIF's 1 (upright) to 8."""
    # parsing tags is slow, so only pictures that have any are parsed
    keys = ("exif", "xmp", "XML:com.adobe.xmp", "Raw profile type exif")
    if image.format != "TIFF" and not any(key in image.info for key in keys):
        return 1
    try:
        with pillow_warnings(notes):
            orientation = image.getexif().get(0x0112, 1)
    except Exception as error:
        notes.append(f"its EXIF could not be read ({escape(error)})")
        return 1
    return orientation if orientation in range(2, 9) else 1


@contextmanager
def pillow_warnings(notes: list[str]) -> Iterator[None]:
    """Record Pillow's warnings as notes; its decompression-bomb warning is raised."""
    with _warnings_lock, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield
    notes.extend(f"Pillow: {escape(w.message)}" for w in caught)


def _finish(image: Image.Image, name: str, notes: list[str]) -> Picture:
    """Convert any mode to RGB without clipping; colours under full transparency do not show."""
    mode = image.mode
    if mode == "F":
        image = Image.fromarray(unit_to_uint8(np.asarray(image), escape(name)))
    elif mode == "I" or mode.startswith("I;16"):
        image = grey_to_uint8(image, escape(name), notes)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        if image.getchannel("A").getextrema()[0] < 255:  # type: ignore[operator]
            notes.append("transparency laid on white")
        paper = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(paper, image)
    elif mode == "CMYK":
        notes.append("CMYK converted to RGB without its colour profile")
    return Picture(image.convert("RGB"), name, tuple(notes))  # always a copy, independent of the open file
