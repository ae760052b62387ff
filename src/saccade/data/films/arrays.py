"""Films decoded once for training: every step reads from memory, or from a file that is mapped into it. How long, fast
and large the films are is noted beside what a model takes."""

import os
import tempfile
import threading
import weakref
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import IO, Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Int, UInt8
from torch import Generator, Tensor

from saccade.data.cache import MEMORY_BUDGET, read_all_readable
from saccade.data.files import escape, natural_key
from saccade.data.films.sets import FilmSet, check_length, read_resized_frames
from saccade.data.video import FilmReader
from saccade.errors import SaccadeError, shorten_list

CLIPS = 4  # lengths of a clip that are kept of each film at least, where it has them


class Frames:
    """Attributes:
    pixels: uint8 (n c y x).
    file: that they are mapped from, removed with this object in the process that made it; None for memory.
    """

    def __init__(self, pixels: UInt8[Tensor, "n c y x"], file: Path | None = None):
        self.pixels, self.file = pixels, file
        if file is not None:
            weakref.finalize(self, _remove, file, os.getpid())

    def __getstate__(self) -> dict[str, Any]:
        if self.file is None:  # PyTorch moves it into memory that processes share
            return {"pixels": self.pixels, "file": None}
        return {"file": self.file, "shape": self.pixels.shape}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.file = state["file"]
        self.pixels = state["pixels"] if self.file is None else _mapped(self.file, state["shape"])


class FrameStack:
    """Collects frames of films from several threads: in memory up to `budget` bytes, and beyond it all of them in a
    file in the folder for temporary files. `with` removes it after an error."""

    def __init__(self, budget: int) -> None:
        self.budget, self.count, self.bytes = budget, 0, 0
        self._held: list[np.ndarray] = []
        self._shape: tuple[int, ...] = (0, 0, 0)
        self._file: IO[bytes] | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> "FrameStack":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._file is not None:
            self._file.close()
            if error is not None:
                _remove(Path(self._file.name), os.getpid())

    def put(self, frames: UInt8[np.ndarray, "_ c y x"]) -> int:
        """Add the frames of a film; the place of the first. Raises SaccadeError if the disk is full."""
        with self._lock:
            first, self.count = self.count, self.count + len(frames)
            self.bytes, self._shape = self.bytes + frames.nbytes, frames.shape[1:]
            self._held.append(frames)
            if self.bytes > self.budget:
                self._write()
            return first

    def finish(self) -> Frames:
        """All frames, of which there is at least one."""
        shape = torch.Size((self.count, *self._shape))
        if self._file is not None:
            return Frames(_mapped(Path(self._file.name), shape), Path(self._file.name))
        pixels, place = np.empty(shape, np.uint8), 0
        while self._held:  # freed one by one, so that memory does not hold all of them twice
            frames = self._held.pop(0)
            pixels[place : place + len(frames)] = frames
            place += len(frames)
        return Frames(torch.from_numpy(pixels))

    def _write(self) -> None:
        try:
            if self._file is None:
                self._file = tempfile.NamedTemporaryFile(prefix="saccade-films-", delete=False)  # noqa: SIM115
            while self._held:
                self._file.write(np.ascontiguousarray(self._held.pop(0)).data)
            self._file.flush()
        except OSError as error:  # not a DataError: it is no fault of the film
            raise SaccadeError(
                f"{tempfile.gettempdir()} has no place for decoded films ({error.strerror}); set TMPDIR to another "
                "folder, or take fewer or smaller frames"
            ) from error


def _mapped(file: Path, shape: torch.Size) -> UInt8[Tensor, "n c y x"]:
    # private: a write would change the copy in memory, and never the file
    return torch.from_file(str(file), shared=False, size=shape.numel(), dtype=torch.uint8).reshape(shape)


def _remove(file: Path, process: int) -> None:
    """In the process that made it, and not in those that were forked from it."""
    if os.getpid() == process:
        file.unlink(missing_ok=True)


class FilmArrays:
    """Films at the input size and frame rate of a model, not normalized.

    Attributes:
        names, captions: of the films.
        frames: of all films, in a row.
        places: of each film, its first frame and the one after its last.
        count: frames of a clip; every film has as many.
    """

    def __init__(
        self,
        names: Sequence[str],
        captions: Sequence[tuple[str, ...]],
        frames: Frames,
        places: Sequence[tuple[int, int]],
        count: int,
    ):
        self.names, self.captions, self.frames = list(names), list(captions), frames
        self.places, self.count = list(places), count

    def __len__(self) -> int:
        return len(self.places)

    def film(self, index: int) -> UInt8[Tensor, "t 3 y x"]:
        """All frames of a film."""
        first, end = self.places[index]
        return self.frames.pixels[first:end]

    def clips(
        self, indices: Int[Tensor, "b"] | Sequence[int], generator: Generator | None = None
    ) -> UInt8[Tensor, "b t 3 y x"]:
        """`count` frames in a row of each of the films, from a place drawn with `generator`; without one, the first."""
        clips = []
        for i in map(int, indices):
            start, end = self.places[i]
            if generator is not None:
                start += int(torch.randint(end - start - self.count + 1, (), generator=generator))
            clips.append(self.frames.pixels[start : start + self.count])
        return torch.stack(clips)


def prepare_films(
    dataset: FilmSet, count: int, size: tuple[int, int], rate: Fraction, budget: int = MEMORY_BUDGET
) -> tuple[FilmArrays, list[int]]:
    """The films at the model's frame rate and size, decoded once; and the indices of those in `dataset`.

    Args:
        count: frames of a clip.
        size: (height, width); films are resized to cover it and cropped to the centre.
        rate: frames per second.
        budget: bytes of frames in memory; more are in a temporary file, which is mapped. Of each film, as many frames
            are kept as fit, and no fewer than `CLIPS` clips.

    Films that are too short or cannot be read are left out and recorded in `dataset.skipped`, or raise, depending on
    `dataset.on_error`. `dataset.notes` gets how long, large and fast the films are, and what is left out.

    Raises DataError for a film that cannot be used with on_error="fail" and if none can be used, SaccadeError if the
    disk is full.
    """
    most = max(CLIPS * count, budget // (len(dataset) * size[0] * size[1] * 3))
    survey, places = FilmSurvey(count, size, rate), dict[int, tuple[int, int]]()

    def read(index: int) -> None:
        with dataset.film(index, rate) as film:
            frames, whole_size = read_resized_frames(film, size, rate, most + 1)
            survey.add(dataset.names[index], film, whole_size, len(frames), most)
        check_length(dataset.path(index), len(frames), count, rate)
        kept_frames = np.ascontiguousarray(frames[:most].transpose(0, 3, 1, 2))
        first = stack.put(kept_frames)
        places[index] = first, first + len(kept_frames)

    with FrameStack(budget) as stack:
        kept = read_all_readable(dataset, dataset.title, read, "film")
        frames = stack.finish()
    dataset.notes += survey.notes()
    if frames.file is not None:
        dataset.notes.append(f"{stack.bytes / 1e9:.1f} GB of decoded frames are in a file in {tempfile.gettempdir()}")
    captions = [dataset.captions(i) for i in kept]
    return FilmArrays([dataset.names[i] for i in kept], captions, frames, [places[i] for i in kept], count), kept


class FilmFacts(NamedTuple):
    """Of a film. rate: frames per second. seconds: read. size: (width, height). frames: found at the model's rate, one
    more than are kept if it goes on. notes: of its reader."""

    rate: Fraction
    seconds: Fraction
    size: tuple[int, int]
    frames: int
    notes: list[str]


class FilmSurvey:
    """Facts about films, and notes on them.

    count, size, rate: frames of a clip, (height, width) and frames per second that the model takes.
    """

    def __init__(self, count: int, size: tuple[int, int], rate: Fraction) -> None:
        self.count, self.size, self.rate = count, size, rate
        self.facts: dict[str, FilmFacts] = {}
        self.most = count

    def add(self, name: str, film: FilmReader, size: tuple[int, int], frames: int, most: int) -> None:
        """A film that has been read. size: (width, height). frames: found at the model's rate. most: that are kept."""
        self.most = most
        self.facts[name] = FilmFacts(film.rate, film.end, size, frames, list(film.notes))

    def notes(self) -> list[str]:
        """What the films have against what the model takes, and what was done about it, one sentence each."""
        if not self.facts:
            return []
        facts = dict(sorted(self.facts.items(), key=lambda item: natural_key(item[0])))
        short = [name for name, each in facts.items() if each.frames < self.count]
        slow = [name for name, each in facts.items() if each.rate < self.rate * Fraction(9, 10) and each.frames > 1]
        long = [name for name, each in facts.items() if each.frames > self.most]
        noted = [each.notes[0] for each in facts.values() if each.notes]
        return [
            self._summary(),
            *_listed("films that are too short, left out", short),
            *_listed(f"films with fewer than {float(self.rate):g} frames per second, some of them repeated", slow),
            *_listed(f"films of which the first {float(self.most / self.rate):g} s are used", long),
            *_listed("films read with notes", noted, 1),
        ]

    def _summary(self) -> str:
        every = self.facts.values()
        width, height = zip(*(each.size for each in every), strict=True)
        longer = " or longer" if any(each.frames > self.most for each in every) else ""
        return (
            f"the films have {_range([each.rate for each in every])} frames per second, last "
            f"{_range([each.seconds for each in every])} s{longer} and are {_range(width)} x {_range(height)} pixels; "
            f"the model takes {self.count} frames at {float(self.rate):g} per second "
            f"({float(self.count / self.rate):g} s) of {self.size[1]} x {self.size[0]}"
        )


def _listed(what: str, names: list[str], most: int = 3) -> list[str]:
    return [f"{len(names)} {what}: {shorten_list(map(escape, names), most)}"] if names else []


def _range(values: list[Fraction] | tuple[int, ...]) -> str:
    low, high = (
        f"{float(value):.3g}" if isinstance(value, Fraction) else str(value) for value in (min(values), max(values))
    )
    return low if low == high else f"{low} to {high}"
