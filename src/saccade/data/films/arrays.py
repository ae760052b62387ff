"""Films decoded once for training: every step reads from memory, or from a file that is mapped into it."""

import tempfile
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import torch
from jaxtyping import Int, UInt8
from torch import Generator, Tensor

from saccade.data.cache import MEMORY_BUDGET, read_all_readable
from saccade.data.films.frames import Frames, FrameStack
from saccade.data.films.sets import FilmSet, check_length, resized
from saccade.data.films.survey import Survey

CLIPS = 4  # lengths of a clip that are kept of each film at least, where it has them


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
    survey, places = Survey(count, size, rate), dict[int, tuple[int, int]]()

    def read(index: int) -> None:
        with dataset.film(index, rate) as film:
            frames, whole_size = resized(film, size, rate, most + 1)
            survey.add(dataset.names[index], film, whole_size, len(frames), most)
        check_length(dataset.path(index), len(frames), count, rate)
        kept_frames = np.ascontiguousarray(frames[:most].transpose(0, 3, 1, 2))
        first = stack.put(kept_frames)
        places[index] = first, first + len(kept_frames)

    with FrameStack(budget) as stack:
        kept = read_all_readable(dataset, dataset.label, read, "film")
        frames = stack.finish()
    dataset.notes += survey.notes()
    if frames.file is not None:
        dataset.notes.append(f"{stack.bytes / 1e9:.1f} GB of decoded frames are in a file in {tempfile.gettempdir()}")
    captions = [dataset.captions(i) for i in kept]
    return FilmArrays([dataset.names[i] for i in kept], captions, frames, [places[i] for i in kept], count), kept
