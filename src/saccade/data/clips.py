"""Clips: a fixed number of frames of a film, evenly spread over its time. Videos need PyAV: saccade-attention[film]."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from pathlib import Path
from typing import Literal

from PIL import Image

from saccade.data.files import escape
from saccade.data.film_frames import open_film
from saccade.data.images import Picture


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
        times = [moment.time for moment in film.moments()]
        end, notes = film.end, list(film.notes)
    indices = choose_frames(times, end, count)
    pictures: dict[int, Picture] = {}
    with open_film(path, on_error) as film:
        for i, moment in enumerate(film.moments()):
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
