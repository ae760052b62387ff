"""Films decoded once for training: every step reads from memory, or from a file that is mapped into it."""

import tempfile
import threading
from collections.abc import Sequence
from fractions import Fraction
from types import TracebackType
from typing import IO

import numpy as np
import torch
from jaxtyping import Int, UInt8
from torch import Generator, Tensor

from saccade.data.cache import MEMORY_BUDGET, read_all_readable
from saccade.data.films.sets import FilmSet, check_length, resized
from saccade.data.films.survey import Survey
from saccade.errors import SaccadeError

CLIPS = 4  # lengths of a clip that are kept of each film at least, where it has them


class FilmArrays:
    """Films at the input size of a model, not normalized.

    Attributes:
        names, captions: of the films.
        films: uint8 (t 3 y x) of each, at the model's frame rate; at least `count` frames.
        count: frames of a clip.
    """

    def __init__(
        self,
        names: Sequence[str],
        captions: Sequence[tuple[str, ...]],
        films: Sequence[UInt8[np.ndarray, "_ 3 y x"]],
        count: int,
    ):
        self.names, self.captions, self.films, self.count = list(names), list(captions), list(films), count

    def __len__(self) -> int:
        return len(self.films)

    def clips(
        self, indices: Int[Tensor, "b"] | Sequence[int], generator: Generator | None = None
    ) -> UInt8[Tensor, "b t 3 y x"]:
        """`count` frames in a row of each of the films, from a place drawn with `generator`; without one, the first."""
        clips = []
        for i in map(int, indices):
            film = self.films[i]
            start = 0
            if generator is not None:
                start = int(torch.randint(len(film) - self.count + 1, (), generator=generator))
            clips.append(film[start : start + self.count])
        return torch.from_numpy(np.stack(clips))


class Shelf:
    """Arrays in memory up to `budget` bytes, the others in a temporary file, which vanishes with the last of them."""

    def __init__(self, budget: int) -> None:
        self.budget, self.held, self.filed = budget, 0, 0
        self._file: IO[bytes] | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> "Shelf":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._file is not None:  # the arrays keep it mapped
            self._file.close()

    def put(self, array: np.ndarray) -> np.ndarray:
        """The array itself, or its copy in the file, read-only. Raises SaccadeError if the disk is full."""
        with self._lock:
            if self.held + array.nbytes <= self.budget:
                self.held += array.nbytes
                return array
            try:
                return self._filed(array)
            except OSError as error:
                raise SaccadeError(  # not a DataError: it is no fault of the film
                    f"{tempfile.gettempdir()} has no place for decoded films ({error.strerror}); set TMPDIR to another "
                    "folder, or take fewer or smaller frames"
                ) from error

    def _filed(self, array: np.ndarray) -> np.ndarray:
        self._file = self._file or tempfile.TemporaryFile()  # noqa: SIM115
        self._file.seek(self.filed)
        self._file.write(array.tobytes())
        self._file.flush()
        start, self.filed = self.filed, self.filed + array.nbytes
        return np.memmap(self._file, array.dtype, "r", start, array.shape)


def prepare_films(
    dataset: FilmSet, count: int, size: tuple[int, int], rate: Fraction, budget: int = MEMORY_BUDGET
) -> tuple[FilmArrays, list[int]]:
    """The films at the model's frame rate and size, decoded once; and the indices of those in `dataset`.

    Args:
        count: frames of a clip.
        size: (height, width); films are resized to cover it and cropped to the centre.
        rate: frames per second.
        budget: bytes of frames in memory; more are in a temporary file. Of each film, as many frames are kept as fit,
            and no fewer than `CLIPS` clips.

    Films that are too short or cannot be read are left out and recorded in `dataset.skipped`, or raise, depending on
    `dataset.on_error`. `dataset.notes` gets how long, large and fast the films are, and what is left out.

    Raises DataError for a film that cannot be used with on_error="fail" and if none can be used, SaccadeError if the
    disk is full.
    """
    most = max(CLIPS * count, budget // (len(dataset) * size[0] * size[1] * 3))
    survey, films = Survey(count, size, rate), dict[int, np.ndarray]()

    def read(index: int) -> None:
        with dataset.film(index, rate) as film:
            frames, whole_size = resized(film, size, rate, most + 1)
            survey.add(dataset.names[index], film, whole_size, len(frames), most)
        check_length(dataset.path(index), len(frames), count, rate)
        films[index] = shelf.put(np.ascontiguousarray(frames[:most].transpose(0, 3, 1, 2)))

    with Shelf(budget) as shelf:
        kept = read_all_readable(dataset, dataset.label, read, "film")
    dataset.notes += survey.notes()
    if shelf.filed:
        dataset.notes.append(
            f"{shelf.filed / 1e9:.1f} GB of decoded frames are in a temporary file in {tempfile.gettempdir()}, "
            f"{shelf.held / 1e9:.1f} GB in memory"
        )
    arrays = FilmArrays(
        [dataset.names[i] for i in kept], [dataset.captions(i) for i in kept], [films[i] for i in kept], count
    )
    return arrays, kept
