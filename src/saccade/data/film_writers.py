"""Writers of films: animated GIF and WebP in which every frame stays a frame, and H.264 in MP4, whole or not at all,
which needs PyAV: saccade-attention[film].

Pillow's and libwebp's own encoders join a frame with an equal one before it, and a still film to a single picture
without a duration. Here each frame is encoded by itself, as the rectangle in which it differs from the previous one.
"""

import io
from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from PIL import GifImagePlugin, Image, ImageChops

from saccade.data.files import escape
from saccade.data.output import move_into_place, temporary_file
from saccade.data.video import pyav
from saccade.errors import DataError, in_one_line

USER_COMMENT, EXIF_IFD = 0x9286, 0x8769  # tags of EXIF 2.32; other tools keep settings in this one
UNICODE = b"UNICODE\0"  # character code of a user comment
_EXIF, _ANIMATED = 0x08, 0x02  # flags of VP8X
_NO_BLENDING = b"\x02"  # of ANMF
_WHITE_ENDLESS = b"\xff\xff\xff\xff\0\0"  # of ANIM: background, number of loops
# x264: visually almost lossless, with few frames of lookahead.
_OPTIONS = {"crf": "18", "preset": "veryfast"}
_BT709, _VIDEO_RANGE = 1, 1  # codes of H.273
_FINEST = 1 << 20  # denominator of a frame rate


def spread_durations(rate: Fraction, count: int, unit: Fraction) -> list[int]:
    """Durations of the frames in whole units of `unit` seconds, of which every sum from the first frame on is exact to
    half a unit."""
    ends = [round(i / rate / unit) for i in range(count + 1)]
    return [end - start for start, end in pairwise(ends)]


def gif_bytes(frames: Sequence[Image.Image], rate: Fraction, comment: str = "") -> bytes:
    """RGB frames of one size as a GIF that repeats endlessly. Each has a palette of its own, of 256 colours. comment:
    in the file's comment extension, in UTF-8. Durations are whole hundredths of a second."""
    durations = spread_durations(rate, len(frames), Fraction(1, 100))
    info = {"loop": 0, "duration": 10 * durations[0], **({"comment": comment.encode()} if comment else {})}
    blocks = list(GifImagePlugin.getheader(frames[0].quantize(256), info=info)[0])
    for duration, (part, corner) in zip(durations, _changes(frames, 1), strict=True):
        blocks += GifImagePlugin.getdata(part.quantize(256), corner, duration=10 * duration, include_color_table=True)
    return b"".join((*blocks, b";"))


def webp_bytes(frames: Sequence[Image.Image], rate: Fraction, comment: str = "") -> bytes:
    """RGB frames of one size as a lossless WebP that repeats endlessly (WebP Container Specification, RFC 9649).
    comment: in the user comment of its EXIF. Durations are whole milliseconds."""
    durations = spread_durations(rate, len(frames), Fraction(1, 1000))
    size = b"".join(_uint24(side - 1) for side in frames[0].size)
    flags = _ANIMATED | (_EXIF if comment else 0)
    chunks = [_chunk(b"VP8X", bytes([flags, 0, 0, 0]) + size), _chunk(b"ANIM", _WHITE_ENDLESS)]
    for duration, (part, (left, top)) in zip(durations, _changes(frames, 2), strict=True):
        place = (left // 2, top // 2, part.width - 1, part.height - 1, duration)
        head = b"".join(map(_uint24, place)) + _NO_BLENDING
        chunks.append(_chunk(b"ANMF", head + _pixel_chunk(part)))
    if comment:
        exif = Image.Exif()
        exif.get_ifd(EXIF_IFD)[USER_COMMENT] = UNICODE + comment.encode("utf-16-be")
        chunks.append(_chunk(b"EXIF", exif.tobytes()))
    return _chunk(b"RIFF", b"WEBP" + b"".join(chunks))


def _changes(frames: Sequence[Image.Image], step: int) -> list[tuple[Image.Image, tuple[int, int]]]:
    """The rectangle of each frame that differs from the previous one, a single pixel where nothing does, and its left
    and top edge, multiples of `step`."""
    parts = [(frames[0], (0, 0))]
    for before, frame in pairwise(frames):
        left, top, right, bottom = ImageChops.difference(before, frame).getbbox() or (0, 0, 1, 1)
        left, top = left - left % step, top - top % step
        parts.append((frame.crop((left, top, right, bottom)), (left, top)))
    return parts


def _pixel_chunk(image: Image.Image) -> bytes:
    """The chunk with the pixels, of a lossless WebP that holds nothing else."""
    file = io.BytesIO()
    image.save(file, "WEBP", lossless=True)
    return file.getvalue()[len(b"RIFF") + 4 + len(b"WEBP") :]


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + len(content).to_bytes(4, "little") + content + b"\0" * (len(content) % 2)


def _uint24(value: int) -> bytes:
    return value.to_bytes(3, "little")


class VideoWriter:
    """Write a video frame by frame: `with VideoWriter(out, rate, time_base) as video: video.add(...)`.

    rate: average frames per second. time_base: seconds; frame times are multiples of it. Frames are resized to the size
    of the first; a row or column is repeated to make its sides even, as the format requires. tags: of the file, by
    name. After an error, or without frames, no file is written.

    Raises DataError if it cannot be written, SaccadeError without PyAV.
    """

    def __init__(self, out: Path, rate: Fraction, time_base: Fraction, tags: Mapping[str, str] | None = None) -> None:
        self._av = pyav()
        self.out, self.time_base = out, time_base
        self._rate = Fraction(rate).limit_denominator(_FINEST)
        self._converter = self._av.video.reformatter.VideoReformatter()
        self._stream: Any = None
        self._last: int | None = None
        self._size = (0, 0)
        with temporary_file(out) as file:
            self._place = file.name
        # without use_metadata_tags, tags with other names than the format's own are lost
        flags = {"movflags": "faststart+use_metadata_tags" if tags else "faststart"}
        self._container = self._av.open(self._place, "w", format="mp4", options=flags)
        self._container.metadata.update(tags or {})

    def __enter__(self) -> "VideoWriter":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is None and self._stream is not None:
            self.finish()
        else:
            self.discard()

    def add(self, picture: Image.Image, time: Fraction) -> None:
        """Add a frame, shown from `time` on, in seconds. A time that is not after the previous one is set to just after
        it."""
        try:
            if self._stream is None:
                self._begin(picture.size)
            frame = self._frame(picture.convert("RGB"))
            frame.time_base, frame.pts = self.time_base, round(time / self.time_base)
            if self._last is not None:
                frame.pts = max(frame.pts, self._last + 1)
            self._last = frame.pts
            self._container.mux(self._stream.encode(frame))
        except (self._av.FFmpegError, OSError) as error:
            raise self._error(error) from error

    def finish(self) -> None:
        """Write the remaining frames and move the file to `out`."""
        try:
            self._container.mux(self._stream.encode(None))
            self._container.close()
            move_into_place(self._place, self.out)
        except (self._av.FFmpegError, OSError, DataError) as error:
            self.discard()
            if isinstance(error, DataError):
                raise
            raise self._error(error) from error

    def discard(self) -> None:
        """Discard the file."""
        try:
            self._container.close()
        except (self._av.FFmpegError, OSError):  # it is discarded, and the cause has been raised
            pass
        finally:
            Path(self._place).unlink(missing_ok=True)

    def _begin(self, size: tuple[int, int]) -> None:
        x264 = "libx264" in self._av.codecs_available  # not in all builds of FFmpeg
        codec = "libx264" if x264 else "h264"
        self._stream = self._container.add_stream(codec, rate=self._rate, options=_OPTIONS if x264 else {})
        self._size = (size[0] + size[0] % 2, size[1] + size[1] % 2)
        self._stream.width, self._stream.height = self._size
        self._stream.pix_fmt = "yuv420p"
        context = self._stream.codec_context
        context.time_base = self.time_base
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = _VIDEO_RANGE

    def _frame(self, picture: Image.Image) -> Any:
        width, height = self._size
        if not (0 <= width - picture.width <= 1 and 0 <= height - picture.height <= 1):
            picture = picture.resize(self._size)
        pixels = np.asarray(picture)
        more = ((0, height - pixels.shape[0]), (0, width - pixels.shape[1]), (0, 0))
        pixels = np.ascontiguousarray(np.pad(pixels, more, mode="edge"))
        frame = self._av.VideoFrame.from_ndarray(pixels, format="rgb24")
        return self._converter.reformat(frame, format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG")

    def _error(self, error: BaseException) -> DataError:
        why = getattr(error, "strerror", None) or in_one_line(error)
        return DataError(f"{escape(self.out)} cannot be written ({why}); choose another path")
