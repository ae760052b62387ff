"""Videos frame by frame, in any format FFmpeg reads. Needs PyAV: saccade-attention[film]."""

import re
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self

import numpy as np
from PIL import Image

from saccade.data.files import check_file, escape
from saccade.data.images import Picture, read_image, utf8_name
from saccade.errors import DataError, SaccadeError, in_one_line, install_hint

# Other demuxers of FFmpeg are never used: some read playlists, which can refer to other files and URLs.
DEMUXERS = (
    "mov", "mp4", "m4a", "3gp", "3g2", "mj2", "matroska", "webm", "avi", "mpeg", "mpegvideo", "mpegts", "mxf", "flv",
    "asf", "ogg",
)  # fmt: skip
_OPENING = {"format_whitelist": ",".join(DEMUXERS), "protocol_whitelist": "file"}

READ = "MP4, MOV, MKV, WebM, AVI, MPEG, MXF, FLV, WMV and Ogg"

EARLY = Fraction(1, 2)  # seconds before the end stated in the header from which a video counts as truncated
LONGEST = 3600  # seconds of one frame; a longer one is a damaged time stamp

_HDR = {16: "PQ, SMPTE ST 2084", 18: "HLG, ITU-R BT.2100"}  # transfer characteristics of H.273

# Linear part of the display matrix, the directions of a frame's x and y axis (downwards) -> transpose, description.
_TURNS = {
    (-1, 0, 0, -1): (Image.Transpose.ROTATE_180, "180°"),
    (0, 1, -1, 0): (Image.Transpose.ROTATE_270, "90° clockwise"),
    (0, -1, 1, 0): (Image.Transpose.ROTATE_90, "90° counterclockwise"),
    (-1, 0, 0, 1): (Image.Transpose.FLIP_LEFT_RIGHT, "left and right swapped"),
    (1, 0, 0, -1): (Image.Transpose.FLIP_TOP_BOTTOM, "top and bottom swapped"),
    (0, 1, 1, 0): (Image.Transpose.TRANSPOSE, "rows and columns swapped"),
    (0, -1, -1, 0): (Image.Transpose.TRANSVERSE, "rows and columns swapped, and 180°"),
}


class Frame(NamedTuple):
    """time: seconds since the start of the video, exact. picture: upright RGB."""

    time: Fraction
    picture: Picture


class LazyFrame(NamedTuple):
    """A frame that is not yet a picture. time: as of a `Frame`. picture: makes it."""

    time: Fraction
    picture: Callable[[], Picture]


def pyav() -> Any:
    """The module `av`. Raises SaccadeError that says how to install it."""
    try:
        import av
    except Exception as error:  # incompatible builds raise other errors than ImportError
        why = "is not installed" if isinstance(error, ModuleNotFoundError) else f"fails ({in_one_line(error)})"
        raise SaccadeError(f"videos are read and written with PyAV, which {why}: {install_hint('film')}") from error
    return av


class FilmReader:
    """A film, read once from start to end: `for time, picture in film`. One frame is in memory at a time.

    Attributes:
        name: of the file. rate: average frames per second. count: number of frames, which may be wrong where a header
        states it; None if unknown. read: frames read so far. end: seconds; end of the last frame read. notes: problems
        and assumptions, one sentence each; complete after the last frame.

    on_error: "skip" uses the readable part of a damaged or truncated film and adds a note, "fail" raises.
    """

    rate: Fraction
    count: int | None

    def __init__(self, path: Path, on_error: Literal["skip", "fail"] = "skip") -> None:
        self.path, self.on_error, self.display = path, on_error, escape(path)
        self.name, self.notes, self.read, self.end = utf8_name(path), list[str](), 0, Fraction(0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the file, where one is kept open."""

    def __iter__(self) -> Iterator[Frame]:
        raise NotImplementedError

    def lazy_frames(self) -> Iterator[LazyFrame]:
        """As iteration, for those who need a few of the pictures: videos make one only if it is called for."""
        for time, picture in self:
            yield LazyFrame(time, lambda picture=picture: picture)  # type: ignore[misc]


class VideoReader(FilmReader):
    """A video file.

    Attributes, besides those of every film:
        time_base: seconds; frame times are multiples of it if the video has one stream. tags: of the file, by name in
        lower case.

    Raises DataError if the file is not a video or has no video stream, SaccadeError without PyAV.
    """

    def __init__(self, path: Path, on_error: Literal["skip", "fail"] = "skip") -> None:
        self._av = pyav()
        super().__init__(path, on_error)
        if not check_file(path).stat().st_size:
            raise DataError(f"{self.display} is empty (0 bytes); a video was expected")
        try:
            # an absolute path is never parsed as a URL
            self._container = self._av.open(str(path.absolute()), options=_OPENING, metadata_errors="replace")
        except (self._av.FFmpegError, OSError) as error:
            raise DataError(f"{self.display} is not a video that can be read ({_why(error)}); {READ} are") from error
        # one for all frames: that of each frame would be set up anew, which takes several times the conversion
        self._converter = self._av.video.reformatter.VideoReformatter()
        self.tags: dict[str, str] = {key.lower(): text for key, text in self._container.metadata.items()}
        videos = [s for s in self._container.streams.video if not _is_cover(s)]
        if not videos:
            kinds = ", ".join(sorted({s.type for s in self._container.streams}))
            self.close()
            if not kinds:
                raise DataError(f"{self.display} holds nothing that can be played: it is cut short or damaged")
            raise DataError(f"{self.display} holds no video stream (found: {kinds}); a video was expected")
        self._stream = videos[0]
        if self._stream.codec_context is None:
            self.close()
            raise DataError(f"{self.display} holds a video that cannot be decoded: its codec is not known to FFmpeg")
        if len(videos) > 1:
            self.notes.append(f"{self.display} holds {len(videos)} videos: the first is used")
        if (ratio := self._stream.codec_context.sample_aspect_ratio) not in (None, 0, 1):
            self.notes.append(f"{self.display} has pixels that are not square ({ratio}); they are taken as they are")
        self._clear = self._alpha_decoder()
        self.notes += [f"{self.display} {text}" for text in _unread_colours(self._stream, self._clear is not None)]
        self.rate = self._stream.average_rate or self._stream.guessed_rate or Fraction(25)
        self.time_base: Fraction = self._stream.time_base or 1 / self.rate
        self._start = min(
            (s.start_time * s.time_base for s in self._container.streams if None not in (s.start_time, s.time_base)),
            default=Fraction(0),
        )
        end = self._end()
        self.count = self._indexed() or (None if end is None else round(end * self.rate)) or None

    def close(self) -> None:
        self._container.close()

    def __iter__(self) -> Iterator[Frame]:
        """The frames. Raises DataError if there are none, and with on_error="fail" if the video is damaged or
        truncated."""
        for time, frame in self._timed():
            yield Frame(time, self._picture(frame, self.read - 1))

    def lazy_frames(self) -> Iterator[LazyFrame]:
        """A picture is made only if it is called for, which takes longer than decoding."""
        for time, frame in self._timed():
            yield LazyFrame(time, partial(self._picture, frame, self.read - 1))

    def _timed(self) -> Iterator[tuple[Fraction, Any]]:
        """PyAV's frames with their times; `read` counts the current one."""
        self.end = last = Fraction(0)
        for frame in self._decoded():
            # PyAV 14 has no duration of frames
            length = (getattr(frame, "duration", None) or 0) * (frame.time_base or 0)
            # a frame without a time stamp follows the previous one at the average rate
            time = self.end if frame.pts is None else frame.pts * frame.time_base - self._start
            if time > self.end + LONGEST:
                jump = float(time - self.end)
                self._problem(f"damaged: its time stamps jump by {jump:.0f} s after {self.read} frames, which are used")
                return
            last, self.end = time, time + (length or 1 / self.rate)
            self.read += 1
            yield time, frame
        if not self.read:
            reason = f": {self.notes[-1]}" if self.notes else ""
            raise DataError(f"{self.display} holds no frame that can be decoded{reason}")
        expected = self._end()
        if expected is not None and self.end < expected - max(EARLY, 2 / self.rate):
            text = f"cut short: it ends at {float(last):.2f} s, where its header says {float(expected):.2f} s"
            self._problem(f"{text}; the {self.read} frames up to there are used")

    def _decoded(self) -> Iterator[Any]:
        """PyAV's frames. Packets that cannot be decoded are skipped and counted, or raise."""
        broken, why = 0, ""
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except (self._av.FFmpegError, OSError) as error:  # decoding cannot continue after it
                self._problem(f"damaged: it cannot be read on after {self.read} frames ({_why(error)})")
                break
            if packet is None:
                break
            try:
                frames = packet.decode() if self._clear is None else self._clear.decode(packet)
            except self._av.FFmpegError as error:
                broken, why, frames = broken + 1, _why(error), []
            if packet.is_corrupt:
                broken, why = broken + 1, why or "bytes are missing"
            if broken and self.on_error == "fail":
                break
            yield from frames
        if broken:
            self._problem(f"damaged or cut short: {broken} of its packets could not be decoded in full ({why})")

    def _problem(self, text: str) -> None:
        if self.on_error == "fail":
            raise DataError(f"{self.display} is {text}")
        self.notes.append(f"{self.display} is {text}")

    def _alpha_decoder(self) -> Any | None:
        """A decoder for the transparency of VP8 and VP9, which FFmpeg's own leave out; None for other videos, and where
        it is not there."""
        name = {"vp8": "libvpx", "vp9": "libvpx-vp9"}.get(self._stream.codec_context.name)
        if name is None or not _has_alpha(self._stream) or name not in self._av.codecs_available:
            return None
        return self._av.CodecContext.create(name, "r")

    def _indexed(self) -> int:
        """Number of frames by the header, without those that an edit list leaves out; 0 if it is unknown."""
        entries = getattr(self._stream, "index_entries", ()) if self._stream.frames else ()  # not in PyAV 14
        return sum(not entry.is_discard for entry in entries) or self._stream.frames

    def _picture(self, frame: Any, number: int) -> Picture:
        clear = any(part.is_alpha for part in frame.format.components)
        # without the range, PyAV before 17 interprets all colours as standard definition (BT.601)
        plain = self._converter.reformat(frame, format="rgba" if clear else "rgb24", dst_color_range="JPEG")
        image = Image.fromarray(plain.to_ndarray())
        transpose, how = _turn(frame)
        image = image if transpose is None else image.transpose(transpose)
        picture = read_image(image, name=f"{self.name} frame {number}")  # same checks as for pictures
        turned = (f"turned upright as the video says ({how})",) if how else ()
        return Picture(picture.image, picture.name, picture.notes + turned)

    def _end(self) -> Fraction | None:
        """End of the video in seconds according to the header, relative to the first frame; None if there is no
        reliable value."""
        stream, container = self._stream, self._container
        if stream.duration:
            return (stream.start_time or 0) * stream.time_base + stream.duration * stream.time_base - self._start
        match = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", stream.metadata.get("DURATION", "").strip())  # Matroska
        if match:
            hours, minutes, seconds = map(Fraction, match.groups())
            return 3600 * hours + 60 * minutes + seconds - self._start
        if container.duration and len(container.streams) == 1:  # else that of the longest stream
            return Fraction(container.duration, 1_000_000)
        return None


def _is_cover(stream: Any) -> bool:
    """Whether a stream is the cover picture of an audio file."""
    disposition = getattr(stream, "disposition", None)  # not in older versions of PyAV
    return disposition is not None and bool(disposition & type(disposition).attached_pic)


def _has_alpha(stream: Any) -> bool:
    """Whether a VP8 or VP9 video in WebM is transparent."""
    return stream.metadata.get("alpha_mode", stream.metadata.get("ALPHA_MODE")) == "1"


def _unread_colours(stream: Any, clear: bool) -> Iterator[str]:
    """What the frames will not show. clear: whether transparency is decoded."""
    if curve := _HDR.get(getattr(stream.codec_context, "color_trc", 0)):
        yield f"has HDR colours ({curve}); they are read as those of an ordinary screen, darker and paler than they are"
    if _has_alpha(stream) and not clear:
        yield "holds transparency, which the decoder leaves out: the colours under transparent parts are shown"


def _turn(frame: Any) -> tuple[Image.Transpose | None, str]:
    """Transpose that makes a frame upright by its display matrix (ISO 14496-12, 8.3.2: a b u, c d v, x y w), with a
    description."""
    held = frame.side_data.get("DISPLAYMATRIX")
    if held is None:
        return None, ""
    matrix = np.frombuffer(bytes(held), np.int32)[[0, 1, 3, 4]].astype(float)
    scale = np.abs(matrix).max()
    if not scale:
        return None, ""
    a, b, c, d = np.rint(matrix / scale).astype(int).tolist()
    return _TURNS.get((a, b, c, d), (None, ""))


def _why(error: BaseException) -> str:
    return escape(getattr(error, "strerror", None) or in_one_line(error))
