"""Opening of picture files: the decoders that are used, and what files are that are no pictures."""

import io
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image, features

from saccade.data.files import escape, placeholder_kind
from saccade.errors import DataError, in_one_line, install_hint

# Other decoders of Pillow, some forty, are never used: several are old and little tested. MPO (phones, stereo
# cameras) is opened by the JPEG decoder.
FORMATS: tuple[str, ...] = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM")
if features.check("avif"):
    FORMATS += ("AVIF",)
HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")  # ISO/IEC 23008-12
TIFF_MARKS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # the last two: BigTIFF
# formats, and compressions of TIFF, whose bytes hold a limited number of pixels: that of LZW with one bit a pixel
BOUNDED = ("PNG", "BMP", "PPM", "GIF", "raw", "packbits", "tiff_lzw", "tiff_deflate", "tiff_adobe_deflate")
MOST_PIXELS = 1 << 15
RGB = 2  # TIFF's PhotometricInterpretation
MAX_TIFF_BYTES = 1 << 31


def open_image(source: Path | bytes | IO[bytes], display: str, notes: list[str] | None = None) -> Image.Image:
    """Open a picture without decoding its pixels, where its decoder can. notes: assumptions are added.

    Raises DataError for files that are known to be something else, and for formats whose extra is not installed;
    Pillow's errors otherwise."""
    file = io.BytesIO(source) if isinstance(source, bytes) else source
    try:
        image = Image.open(file, formats=FORMATS)
        _check_claim(image, file, display)
        return image
    except Image.UnidentifiedImageError:
        start = _start(file)
        if start[4:8] == b"ftyp" and start[8:12] in HEIF_BRANDS:
            return _open_heif(file, display)
        if start.startswith(TIFF_MARKS):
            return _open_tiff(file, display, [] if notes is None else notes)
        if what := placeholder_kind(start):
            raise DataError(f"{display} {what}") from None
        raise


def _check_claim(image: Image.Image, file: Path | IO[bytes], display: str) -> None:
    """Raises DataError for more pixels than the bytes of a file can hold: memory for all of them is taken before any is
    decoded."""
    if image.format not in BOUNDED and image.info.get("compression") not in BOUNDED:
        return
    if isinstance(file, Path):
        count = file.stat().st_size
    else:
        at = file.tell()
        count = file.seek(0, io.SEEK_END)
        file.seek(at)
    if image.width * image.height > MOST_PIXELS * count:
        raise DataError(f"{display} is damaged: {count} bytes cannot hold its {image.width} x {image.height} pixels")


def _start(file: Path | IO[bytes]) -> bytes:
    if isinstance(file, Path):
        with file.open("rb") as opened:
            return opened.read(512)
    file.seek(0)
    start = file.read(512)
    file.seek(0)
    return start


def _open_heif(file: Path | IO[bytes], display: str) -> Image.Image:
    try:
        from pillow_heif import register_heif_opener
    except ImportError as error:
        raise DataError(f"{display} is HEIC, which the extra 'heic' reads: {install_hint('heic')}") from error
    register_heif_opener()  # turns pictures upright itself
    return Image.open(file, formats=("HEIF",))


def _open_tiff(file: Path | IO[bytes], display: str, notes: list[str]) -> Image.Image:
    """A TIFF that Pillow does not read, as those of many bands."""
    from saccade.data.pixels import from_array

    try:
        import tifffile
    except ImportError as error:
        raise DataError(
            f"{display} is a TIFF that Pillow does not read, as those of many bands; the extra 'tiff' reads more: "
            f"{install_hint('tiff')}"
        ) from error
    try:
        with tifffile.TiffFile(file) as opened:
            page = opened.pages[0]
            shape, axes, is_rgb = page.shape, page.axes, int(page.photometric) == RGB
            if len(shape) not in (2, 3) or page.size * page.dtype.itemsize > MAX_TIFF_BYTES:
                raise DataError(f"{display} has pixels of the shape {shape}; rows, columns and at most 2 GiB expected")
            check_size((shape[axes.index("X")], shape[axes.index("Y")]), display)
            bands = shape[axes.index("S")] if "S" in axes else 1
            if bands > 1 and not (is_rgb and bands >= 3):
                raise DataError(
                    f"{display} has {bands} bands, of which none is marked as red, green or blue; write the three to "
                    "be seen as RGB (`gdal_translate -b 4 -b 3 -b 2 -co PHOTOMETRIC=RGB IN OUT`)"
                )
            pixels = page.asarray()
    except DataError:
        raise
    except Exception as error:  # tifffile raises many kinds for damaged files
        raise DataError(f"{display} is damaged or of an unknown kind of TIFF ({in_one_line(error)})") from error
    if bands > 1:
        pixels = np.moveaxis(pixels, axes.index("S"), -1)[..., :3]
        notes.append(f"TIFF of {bands} bands: the first three are red, green and blue")
    return from_array(np.ascontiguousarray(pixels), "hwc" if bands > 1 else None, display)


def decode_error(error: Exception, display: str) -> DataError:
    """The error for the picture `display`, from whatever its decoder raised."""
    if isinstance(error, DataError):
        return error
    if isinstance(error, Image.UnidentifiedImageError):
        return DataError(f"{display} is not a picture that can be read ({', '.join(FORMATS)} are)")
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return DataError(f"{display} is too large: {_limit()}")
    # Pillow's decoders raise many kinds of errors for damaged bytes
    return DataError(f"{display} is damaged or cut short ({escape(error) or type(error).__name__})")


def check_size(size: tuple[int, int], name: str) -> None:
    """Raises DataError for a picture without pixels, and for one that is too large. size: columns, rows."""
    columns, rows = size
    if not columns or not rows:
        raise DataError(f"{name} has no pixels ({columns} x {rows})")
    if Image.MAX_IMAGE_PIXELS is not None and columns * rows > Image.MAX_IMAGE_PIXELS:
        raise DataError(f"{name} is too large ({columns} x {rows}): {_limit()}")


def _limit() -> str:
    return f"at most {(Image.MAX_IMAGE_PIXELS or 0) / 1e6:.0f} million pixels are decoded; make it smaller"
