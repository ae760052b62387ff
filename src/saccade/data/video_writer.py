"""Videos of pictures: H.264 in MP4, whole or not at all. Needs PyAV: saccade-attention[film]."""

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from PIL import Image

from saccade.data.files import escape
from saccade.data.output import publish, temporary_file
from saccade.data.video import pyav
from saccade.errors import DataError, in_one_line

# x264: visually almost lossless, with few frames of lookahead.
_OPTIONS = {"crf": "18", "preset": "veryfast"}
_BT709, _VIDEO_RANGE = 1, 1  # codes of H.273
_FINEST = 1 << 20  # denominator of a frame rate


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
            self.drop()

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
            publish(self._place, self.out)
        except (self._av.FFmpegError, OSError, DataError) as error:
            self.drop()
            if isinstance(error, DataError):
                raise
            raise self._error(error) from error

    def drop(self) -> None:
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
