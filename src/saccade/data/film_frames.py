"""Films of any kind: videos, animated pictures and folders of frames. Frames are chosen by their time stamps.

A film at another frame rate shows, at each of its times, the frame that the source shows then. Time stamps are rounded
in the files, so half of the shorter of the two frame durations is allowed for; without that, frames would be repeated
and left out at random where the rates are equal or multiples of each other.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Literal, Protocol, Self

from PIL import Image

from saccade.data.animation_reader import AnimationReader, FolderReader
from saccade.data.files import is_picture
from saccade.data.images import Picture
from saccade.data.video import Frame, Moment, VideoReader

UNTIMED_RATE = Fraction(10)  # frames per second of folders that do not state theirs


class FilmReader(Protocol):
    """What `VideoReader`, `AnimationReader` and `FolderReader` have in common."""

    name: str
    display: str
    notes: list[str]
    rate: Fraction
    read: int
    end: Fraction

    @property
    def count(self) -> int | None: ...

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None: ...

    def __iter__(self) -> Iterator[Frame]: ...

    def moments(self) -> Iterator[Moment]: ...


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
        return FolderReader(source, on_error, rate)
    return AnimationReader(source, on_error) if is_picture(source.name) else VideoReader(source, on_error)


def read_film(source: Path, count: int | None = None, rate: Fraction = UNTIMED_RATE) -> FilmFrames:
    """The frames of a film, or the first `count`. Parameters and errors: as of `open_film`; count is at least 1."""
    with open_film(source, rate=rate) as film:
        found = list(islice(film, count))
        end = film.end if count is None or len(found) < count else min(film.end, found[-1].time + 1 / film.rate)
        pictures, times = [frame.picture.image for frame in found], [frame.time for frame in found]
        return FilmFrames(pictures, times, max(end, times[-1]), film.rate, film.name, list(film.notes))


def resampled(film: FilmReader, rate: Fraction, start: Fraction = Fraction(0)) -> Iterator[Picture]:
    """The pictures at start, start + 1 / rate, ... until the film ends; start is in seconds from its first frame. One
    picture is in memory at a time."""
    ahead = _ahead(film, rate)
    moment, first = start + ahead, Fraction(0)
    shown: Moment | None = None
    for frame in film.moments():
        if shown is None:
            first = frame.time
        elif frame.time - first > moment:
            picture = shown.picture()
            while frame.time - first > moment:
                yield picture
                moment += 1 / rate
        shown = frame
    if shown is not None and moment < film.end - first:
        picture = shown.picture()
        while moment < film.end - first:
            yield picture
            moment += 1 / rate


def _ahead(film: FilmReader, rate: Fraction) -> Fraction:
    return min(1 / film.rate, 1 / rate) / 2
