"""Files of films: written in the format of the name's suffix, with the text of their settings, which is read back.

.mp4    H.264; the text in the tags "parameters" and "comment"
.gif    256 colours a frame; the text in the comment extension
.webp   lossless; the text in the user comment of its EXIF
folder  0000.png, 0001.png, ...; the text and the frame rate in each
"""

import os
import struct
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from saccade.data.decoders import FORMATS, decode_error
from saccade.data.files import check_file, escape, is_picture, is_video, missing_path_message, natural_key
from saccade.data.film_writers import EXIF_IFD, UNICODE, USER_COMMENT, VideoWriter, gif_bytes, webp_bytes
from saccade.data.images import pillow_warnings
from saccade.data.output import atomic_folder, check_writable, write_file
from saccade.data.video import VideoReader
from saccade.errors import DataError, UsageError, in_one_line

FILM_SUFFIXES = (".mp4", ".gif", ".webp")
PARAMETERS = "parameters"  # name of the text of the settings, in PNG and MP4
FRAME_RATE = "frame_rate"  # name of the frame rate in the PNGs of a folder: 8 or 24000/1001
# Frames per second. Browsers show a frame of 10 ms or less for 100 ms, and a GIF has whole hundredths of a second.
MIN_RATE = Fraction(1, 100)
MAX_RATES = {".gif": 50, ".webp": 90, ".mp4": 1000, "": 1000}


def check_film_name(out: Path, rate: Fraction | None = None) -> None:
    """Check before the work starts that a film can be written to `out`, at `rate` frames per second.

    Raises UsageError for a suffix other than FILM_SUFFIXES and none, and for a rate that the format does not allow,
    DataError for a place where nothing can be written, and for a folder that has files in it."""
    suffix = _suffix(out)
    if suffix and suffix not in FILM_SUFFIXES:
        raise UsageError(
            f"{escape(out)} has the suffix {escape(suffix)}; a film is written as {', '.join(FILM_SUFFIXES)}, or as a "
            "folder of PNGs to a name without a suffix"
        )
    if rate is not None and not MIN_RATE <= rate <= MAX_RATES[suffix]:
        kind = suffix.lstrip(".").upper() or "folder"
        raise UsageError(
            f"{float(rate):g} frames per second were requested of a {kind}; {float(MIN_RATE):g} to {MAX_RATES[suffix]} "
            "expected" + (": write an .mp4" if 0 < rate <= MAX_RATES[".mp4"] else "")
        )
    if suffix:
        check_writable(out)
        return
    _check_folder(out)


def write_film(out: Path, frames: Sequence[Image.Image], rate: Fraction, parameters: str = "") -> None:
    """Write a film, whole or not at all. Every frame is kept and lasts 1 / rate seconds, in GIF and WebP on average.

    Args:
        out: the suffix sets the format; a folder of PNGs without one.
        frames: at least one, all of one size.
        rate: frames per second.
        parameters: text that `read_embedded_settings` reads back.

    Raises UsageError and DataError as `check_film_name`, and DataError for no frames, for frames of several sizes, and
    if the film cannot be written (the disk is full), SaccadeError for an MP4 without PyAV."""
    check_film_name(out, rate)
    if not frames:
        raise DataError(f"{escape(out)}: there are no frames to write; at least one expected")
    sizes = {frame.size for frame in frames}
    if len(sizes) > 1:
        found = " and ".join(f"{width}x{height}" for width, height in sorted(sizes)[:2])
        raise DataError(f"{escape(out)}: the frames have sizes of {found}; one size expected")
    suffix, frames = _suffix(out), [frame.convert("RGB") for frame in frames]
    if suffix == ".mp4":
        _write_video(out, frames, rate, parameters)
    elif suffix:
        encode = gif_bytes if suffix == ".gif" else webp_bytes
        write_file(out, _encoded(out, lambda: encode(frames, rate, parameters)))
    else:
        _write_folder(out, frames, rate, parameters)


def read_embedded_settings(file: Path) -> str | None:
    """The text of the settings of a film or picture: of an MP4, MOV, MKV, WebM or AVI by its tags, of a picture, or of
    the first picture in a folder. None if there is none.

    Raises DataError for a file that cannot be read, SaccadeError for a video without PyAV."""
    if file.is_dir():
        file = frame_files(file)[0]
    if is_video(file.name):
        with VideoReader(file) as video:
            return video.tags.get(PARAMETERS) or video.tags.get("comment") or None
    check_file(file)
    try:
        with pillow_warnings([]), Image.open(file, formats=FORMATS) as image:
            return _text_of(image)
    except Exception as error:  # Pillow's decoders raise many kinds of errors for damaged bytes
        raise decode_error(error, escape(file)) from error


def frame_files(folder: Path) -> list[Path]:
    """The pictures directly in a folder, in natural order. Raises DataError if there are none or it cannot be read."""
    try:
        names = [entry.name for entry in os.scandir(folder) if is_picture(entry.name) and entry.is_file()]
    except FileNotFoundError as error:
        raise DataError(missing_path_message(folder)) from error
    except OSError as error:
        raise DataError(f"{escape(folder)} cannot be opened ({error.strerror})") from error
    if not names:
        raise DataError(f"{escape(folder)} holds no pictures; the frames of a film expected")
    return [folder / name for name in sorted(names, key=natural_key)]


def png_text(image: Image.Image, name: str) -> str | None:
    """A text of a PNG by its name. `image` is open, and need not be decoded."""
    text = image.info.get(name)
    return str(text) if isinstance(text, str) and text else None


def _suffix(out: Path) -> str:
    return "" if out.is_dir() else out.suffix.lower()


def _check_folder(out: Path) -> None:
    if not out.parent.is_dir():
        raise DataError(f"{escape(out.parent)} is not a folder, so {escape(out.name)} cannot be made there")
    if out.is_dir() and any(out.iterdir()):
        raise DataError(f"{escape(out)} is a folder with files in it; give a new or an empty one for the frames")
    if out.exists() and not out.is_dir():
        raise DataError(
            f"{escape(out)} is a file; a film without a suffix ({', '.join(FILM_SUFFIXES)}) is written as a folder"
        )


def _write_video(out: Path, frames: Sequence[Image.Image], rate: Fraction, parameters: str) -> None:
    # "comment" outlives a copy of the streams by other tools, "parameters" does not
    tags = {PARAMETERS: parameters, "comment": parameters} if parameters else {}
    with VideoWriter(out, rate, 1 / rate, tags) as video:
        for i, frame in enumerate(frames):
            video.add(frame, i / rate)


def _encoded(out: Path, encode: Callable[[], bytes]) -> bytes:
    try:
        return encode()
    except (OSError, ValueError, OverflowError, struct.error) as error:  # sides beyond those of the format
        raise DataError(f"{escape(out)} cannot be written ({in_one_line(error)}); write an .mp4") from error


def _write_folder(out: Path, frames: Sequence[Image.Image], rate: Fraction, parameters: str) -> None:
    info = PngInfo()
    info.add_text(FRAME_RATE, str(rate))
    if parameters:
        info.add_itxt(PARAMETERS, parameters) if not parameters.isascii() else info.add_text(PARAMETERS, parameters)
    digits = max(4, len(str(len(frames) - 1)))
    with atomic_folder(out) as folder:
        for i, frame in enumerate(frames):
            frame.save(folder / f"{i:0{digits}}.png", pnginfo=info)


def _text_of(image: Image.Image) -> str | None:
    if text := png_text(image, PARAMETERS):
        return text
    comment = image.info.get("comment")  # of GIF and JPEG
    if isinstance(comment, bytes):
        comment = comment.decode(errors="replace")
    return comment or _user_comment(image)


def _user_comment(image: Image.Image) -> str | None:
    value = image.getexif().get_ifd(EXIF_IFD).get(USER_COMMENT)
    if not isinstance(value, bytes):
        return None
    code, text = value[:8], value[8:]
    if code == UNICODE:
        return text.decode("utf-16-be", errors="replace") or None
    return text.decode(errors="replace").strip("\0 ") or None if code == b"ASCII\0\0\0" else None
