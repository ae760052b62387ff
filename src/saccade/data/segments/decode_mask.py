"""Decode mask files: exact values or colours of each pixel."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Int32, UInt8, UInt16
from PIL import Image

from saccade.data.decoders import check_size, decode_error, open_image
from saccade.data.files import check_file, escape
from saccade.data.images import exif_orientation, pillow_warnings, read_size
from saccade.data.pixels import raw_mode
from saccade.data.store import FileStore, relative_to
from saccade.errors import DataError

LOSSY = ("JPEG", "MPO", "WEBP", "AVIF")
TIFF_JPEG = ("jpeg", "tiff_jpeg", "webp")
SCALED = {"L;2": 85, "L;4": 17}  # greys of 2 and 4 bits, which Pillow spreads over 0..255
COLOURED = 24  # difference of channels in a lossy picture, above which a pixel is in colour
FEW_COLOURED = 0.002  # of the pixels at most may be, in a picture of greys
STRIP = 2**20  # numbers that are computed at once
MAX_LISTED = 4  # values or colours in a message


class MaskSizeError(DataError):
    """A mask has another size than its picture."""


@dataclass(frozen=True)
class DecodedMask:
    """A mask file as stored.

    Attributes:
        values: of an index mask; of one byte where the file has 8 bits or fewer.
        colours: of a coloured mask, red x 65536 + green x 256 + blue.
        palette: colours of the values of a palette PNG, coded as in `colours`. None for other files.
        orientation: EXIF's 1..8 of the mask file itself.
        is_16_bit: stored with 16 bits.
        lossy: stored in a format that changes values as it compresses.
    """

    values: UInt8[np.ndarray, "y x"] | UInt16[np.ndarray, "y x"] | None
    colours: np.ndarray | None = None
    palette: np.ndarray | None = None
    orientation: int = 1
    is_16_bit: bool = False
    lossy: bool = False

    @property
    def size(self) -> tuple[int, int]:
        pixels = self.values if self.values is not None else self.colours
        assert pixels is not None
        return pixels.shape[0], pixels.shape[1]


def read_mask(source: Path | bytes, name: str, two_levels: bool = False) -> DecodedMask:
    """Decode a mask. name: for messages. two_levels: also decode formats with losses, as grey: masks of black and white
    can be told from these.

    Raises DataError as `read_image`, and for lossy formats, transparency, several frames or pages, and values that are
    not integers from 0 to 65535."""
    display = escape(name)
    size = check_file(source).stat().st_size if isinstance(source, Path) else len(source)
    if not size:
        raise DataError(f"{display} is empty (0 bytes); a mask was expected")
    try:
        with pillow_warnings([]):
            image = open_image(source, display)
        with image:
            check_size(image.size, display)
            lossy = image.format in LOSSY or image.info.get("compression") in TIFF_JPEG
            if lossy and not two_levels:
                raise _lossy(image, display)
            _check_single(image, display)
            orientation = exif_orientation(image, [])
            scale = SCALED.get(raw_mode(getattr(image, "tile", ())), 1)
            image.load()
            pixels = _pixels(_grey(image, display) if lossy else image, orientation, display)
            if scale > 1 and pixels.values is not None:
                pixels = replace(pixels, values=pixels.values // scale)
            return replace(pixels, lossy=lossy)
    except Exception as error:
        raise decode_error(error, display) from error


def read_mask_for_picture(
    store: FileStore, mask: str, picture: str, size: tuple[int, int], root: str = "", two_levels: bool = False
) -> DecodedMask:
    """Decode the mask of a picture of (height, width), upright or as stored. root: folder that names in messages are
    relative to.

    Raises DataError as `read_mask`; MaskSizeError for another size, before a pixel is decoded."""
    source, name = store.read(mask), store.full_name(mask)
    try:
        own, _ = read_size(source, name)
    except DataError:
        return read_mask(source, name, two_levels)  # which says why
    if own not in (size, size[::-1]):
        raise size_error(relative_to(root, mask), own, relative_to(root, picture), size)
    return read_mask(source, name, two_levels)


def size_error(mask: str, own: tuple[int, int], picture: str, size: tuple[int, int]) -> MaskSizeError:
    return MaskSizeError(
        f"{escape(mask)} is a mask of {own[1]} x {own[0]} pixels and its picture {escape(picture)} has "
        f"{size[1]} x {size[0]}; make a mask of the picture's size"
    )


def _check_single(image: Image.Image, display: str) -> None:
    """Raises DataError for several frames or pages of one size; smaller copies beside the mask are no other masks."""
    frames = getattr(image, "n_frames", 1)
    if image.format == "MPO" or frames == 1:
        return
    size = image.size
    image.seek(1)
    if image.size == size:
        raise DataError(f"{display} holds {frames} frames or pages; one mask a file expected: save each as one")
    image.seek(0)


def _lossy(image: Image.Image, display: str) -> DataError:
    kind = "JPEG" if image.format == "MPO" else image.format
    return DataError(
        f"{display} is a mask in {kind}, which changes values as it compresses; "
        "save masks as PNG, from what they were before"
    )


def _grey(image: Image.Image, display: str) -> Image.Image:
    """A lossy picture as greys. Raises DataError for one in colour."""
    if image.mode == "L":
        return image
    rgb = np.asarray(image.convert("RGB")).astype(np.int16)
    if float((np.ptp(rgb, axis=-1) > COLOURED).mean()) > FEW_COLOURED:
        raise _lossy(image, display)
    return image.convert("L")


def _pixels(image: Image.Image, orientation: int, display: str) -> DecodedMask:
    if image.mode in ("LA", "PA", "RGBA", "La", "RGBa"):
        if image.getchannel("A").getextrema() != (255, 255):
            raise DataError(f"{display} is partly transparent, so its classes there are unknown; save it without alpha")
        image = image.convert("RGB" if image.mode in ("RGBA", "PA", "RGBa") else "L")
    if image.mode == "RGB":
        rgb = np.asarray(image)
        return DecodedMask(None, pack_colours(rgb), orientation=orientation)
    if image.mode == "1":
        return DecodedMask(np.asarray(image).astype(np.uint8), orientation=orientation)
    if image.mode in ("P", "L"):
        palette = None
        if image.mode == "P" and image.palette is not None:
            palette = pack_colours(np.array(image.getpalette("RGB") or [0, 0, 0], np.uint8).reshape(-1, 3))
        return DecodedMask(np.asarray(image), None, palette, orientation)
    if image.mode == "I" or image.mode.startswith("I;16"):
        values = np.asarray(image)
        if int(values.min()) < 0 or int(values.max()) > 65535:
            raise DataError(f"{display} has values in {values.min()}..{values.max()}; 0..65535 expected in a mask")
        return DecodedMask(values.astype(np.uint16), orientation=orientation, is_16_bit=True)
    if image.mode == "F":
        floats = np.asarray(image)
        if np.isfinite(floats).all() and (floats == floats.astype(np.int64)).all():
            return _pixels(Image.fromarray(floats.astype(np.int32)), orientation, display)
        raise DataError(f"{display} has fractions as values; whole numbers expected in a mask")
    raise DataError(f"{display} is a picture of mode {image.mode}; a mask has one whole number, or RGB, a pixel")


def pack_colours(rgb: UInt8[np.ndarray, "*n 3"]) -> Int32[np.ndarray, "*n"]:
    """Encode each colour as one integer, red x 65536 + green x 256 + blue."""
    codes = np.empty(rgb.shape[:-1], np.int32)
    for rows in strips(rgb):
        parts = rgb[rows].astype(np.int32)
        codes[rows] = (parts[..., 0] << 16) | (parts[..., 1] << 8) | parts[..., 2]
    return codes


def strips(values: np.ndarray) -> Iterator[slice]:
    """The rows of a picture, a few at a time, so that what is computed of them takes little memory."""
    rows = max(1, STRIP // max(1, values[:1].size))
    return (slice(start, start + rows) for start in range(0, len(values), rows))


def unpack_colour(code: int) -> tuple[int, int, int]:
    return code >> 16, (code >> 8) & 255, code & 255


def grey_values(colours: Int32[np.ndarray, "*n"]) -> UInt8[np.ndarray, "*n"] | None:
    """The value of pixels with three equal channels; None if any pixel is coloured."""
    blue = (colours & 255).astype(np.uint8)
    same = all((colours[rows] == blue[rows] * np.int32(0x010101)).all() for rows in strips(colours))
    return blue if same else None


def apply_palette(pixels: DecodedMask) -> DecodedMask:
    """A mask with a palette as one in the colours of the palette; others unchanged."""
    if pixels.palette is None or pixels.values is None:
        return pixels
    colours = pixels.palette[np.minimum(pixels.values, len(pixels.palette) - 1)]
    return replace(pixels, values=grey_values(colours), colours=colours, palette=None)


def count_values(codes: np.ndarray) -> dict[int, int]:
    """Value -> number of pixels, most frequent first."""
    values, counts = np.unique(codes, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return {int(values[i]): int(counts[i]) for i in order}


def describe_values(codes: np.ndarray, colours: bool) -> str:
    """Description of values or colours: "the value 73 (412 pixels) and 2 more"."""
    found = count_values(codes)
    some = [f"{unpack_colour(code) if colours else code} ({n} pixels)" for code, n in list(found.items())[:MAX_LISTED]]
    what = ("colour" if colours else "value") + "s" * (len(found) > 1)
    more = f" and {len(found) - MAX_LISTED} more" if len(found) > MAX_LISTED else ""
    return f"the {what} {', '.join(some)}{more}"
