"""Films of any kind: videos, animated pictures and folders of frames. Frames are chosen by their time stamps.

A film at another frame rate shows, at each of its times, the frame that the source shows then. Time stamps are rounded
in the files, so half of the shorter of the two frame durations is allowed for; without that, frames would be repeated
and left out at random where the rates are equal or multiples of each other.

A clip is a fixed number of frames of a film, evenly spread over its time. Videos need PyAV: saccade-attention[film].
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import accumulate, islice
from pathlib import Path
from typing import Literal

from PIL import Image

from saccade.data.animation_reader import AnimationReader, FrameFolderReader
from saccade.data.files import escape, is_picture
from saccade.data.images import Picture
from saccade.data.video import FilmReader, LazyFrame, VideoReader
from saccade.errors import DataError

UNTIMED_RATE = Fraction(10)  # frames per second of folders that do not state theirs
MOST_REPEATS = 10_000  # of one frame in a row; a film of a few frames may claim to last for days


@dataclass(frozen=True)
class FilmFrames:
    """Frames of a film in memory.

    Attributes:
        frames: upright, RGB.
        times: seconds from the start of the film, exact, one for each.
        end: seconds; end of the last of them.
        rate: average frames per second.
        name: of the film.
        notes: problems and assumptions, one sentence each.
    """

    frames: list[Image.Image]
    times: list[Fraction]
    end: Fraction
    rate: Fraction
    name: str
    notes: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.frames)


def open_film(source: Path, on_error: Literal["skip", "fail"] = "skip", rate: Fraction = UNTIMED_RATE) -> FilmReader:
    """A film, to be read once: `with open_film(path) as film: for time, picture in film`.

    source: a video, an animated picture (GIF, WebP, PNG, AVIF), a still one (a film of one frame), or a folder of
    frames. on_error: "skip" uses the readable part of a damaged film and adds a note, "fail" raises. rate: frames per
    second of a folder that does not state it.

    Raises DataError if it cannot be read, SaccadeError for a video without PyAV."""
    if source.is_dir():
        return FrameFolderReader(source, on_error, rate)
    return AnimationReader(source, on_error) if is_picture(source.name) else VideoReader(source, on_error)


def read_film(source: Path, count: int | None = None, rate: Fraction = UNTIMED_RATE) -> FilmFrames:
    """The frames of a film, or the first `count`. Parameters and errors: as of `open_film`; count is at least 1."""
    with open_film(source, rate=rate) as film:
        found = list(islice(film, count))
        end = film.end if count is None or len(found) < count else min(film.end, found[-1].time + 1 / film.rate)
        pictures, times = [frame.picture.image for frame in found], [frame.time for frame in found]
        return FilmFrames(pictures, times, max(end, times[-1]), film.rate, film.name, list(film.notes))


def resample_frames(film: FilmReader, rate: Fraction, start: Fraction = Fraction(0)) -> Iterator[Picture]:
    """The pictures at start, start + 1 / rate, ... until the film ends; start is in seconds from its first frame. One
    picture is in memory at a time. Raises DataError for a frame that lasts for more than MOST_REPEATS of them."""
    moment, first = start + min(1 / film.rate, 1 / rate) / 2, Fraction(0)
    shown: LazyFrame | None = None

    def until(end: Fraction) -> Iterator[Picture]:
        nonlocal moment
        if shown is None or moment >= end:
            return
        if (end - moment) * rate > MOST_REPEATS:
            raise DataError(
                f"{film.display} shows one frame from {float(moment):.0f} s to {float(end):.0f} s: more than "
                f"{MOST_REPEATS} frames at {float(rate):g} per second; cut it there, or correct its time stamps"
            )
        picture = shown.picture()
        while moment < end:
            yield picture
            moment += 1 / rate

    for frame in film.lazy_frames():
        first = frame.time if shown is None else first
        yield from until(frame.time - first)
        shown = frame
    yield from until(film.end - first)


@dataclass(frozen=True)
class Clip:
    """Frames of one video.

    Attributes:
        name: of the file.
        pictures: upright RGB, in order; a frame that stands for several moments is repeated.
        indices: places of these frames in the video, from 0.
        times: of these frames, in seconds since the start of the video, exact.
        of: number of frames of the video.
        end: of the last frame of the video, in seconds.
        notes: problems and assumptions, one sentence each; the first says which frames were used.
    """

    name: str
    pictures: tuple[Image.Image, ...]
    indices: tuple[int, ...]
    times: tuple[Fraction, ...]
    of: int
    end: Fraction
    notes: tuple[str, ...] = ()


def read_clip(path: Path, count: int, on_error: Literal["skip", "fail"] = "skip") -> Clip:
    """`count` frames of a film, as of `open_film`: the one shown in the middle of each of `count` equal parts of its
    time.

    A film with fewer frames has some of them repeated, with a note. Frames are chosen by their time stamps, so that a
    variable frame rate does not distort time. The film is decoded twice: to find its end, and to take the frames.

    Raises DataError if the film cannot be read, SaccadeError without PyAV.
    """
    with open_film(path, on_error) as film:
        times = [moment.time for moment in film.lazy_frames()]
        end, notes = film.end, list(film.notes)
    indices = choose_frames(times, end, count)
    pictures: dict[int, Picture] = {}
    with open_film(path, on_error) as film:
        for i, moment in enumerate(film.lazy_frames()):
            if i in indices:
                pictures[i] = moment.picture()
        name = film.name
    turned = [note for picture in pictures.values() for note in picture.notes]
    return Clip(
        name=name,
        pictures=tuple(pictures[i].image for i in indices),
        indices=tuple(indices),
        times=tuple(times[i] for i in indices),
        of=len(times),
        end=end,
        notes=(_sampling(escape(path.name), times, end, indices), *dict.fromkeys([*notes, *turned])),
    )


def choose_frames(times: Sequence[Fraction], end: Fraction, count: int) -> list[int]:
    """Indices of the frames shown in the middle of `count` equal parts of the time from the first frame to `end`.

    times: of all frames. A frame is shown from its time until the next one's. Parts of equal duration are those of
    Wang et al. 2016, section 3.1."""
    shown = list(accumulate(times, max))  # damaged videos can step back in time
    start, part = shown[0], (end - shown[0]) / count
    return [max(0, bisect_right(shown, start + part * (2 * i + 1) / 2) - 1) for i in range(count)]


def _sampling(name: str, times: Sequence[Fraction], end: Fraction, indices: Sequence[int]) -> str:
    """Which frames were used, in words."""
    used = len(set(indices))
    step = float((end - times[0]) / len(indices))
    if len(times) == 1:
        return f"{name} is a single frame: it is used {len(indices)} times, so that nothing moves"
    if used < len(indices):
        return (
            f"{name} has {len(times)} frames, where the model takes {len(indices)}: "
            f"{used} of them are used, some repeatedly, one every {step:.3g} s"
        )
    first, last = float(times[indices[0]]), float(times[indices[-1]])
    return (
        f"{name}: {used} of its {len(times)} frames are used, one every {step:.3g} s ({1 / step:.3g} a second), "
        f"from {first:.2f} s to {last:.2f} s"
    )
