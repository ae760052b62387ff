"""What our generators and public pipelines share: seeds, batches of pictures that are painted together, and no
reading of pictures."""

import secrets
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import NoReturn, Protocol

from jaxtyping import Bool, Float
from torch import Tensor

from saccade.data.images import Source
from saccade.data.preprocess import Preprocess
from saccade.errors import SaccadeError
from saccade.models.generator import Generator, SourceKeysValues
from saccade.ops import WordBatch
from saccade.tasks.generate.image_to_image import SourceImages
from saccade.tasks.generate.result import GeneratedPicture
from saccade.tasks.generate.sample import Callback, Observer
from saccade.tasks.generate.sampling_start import SamplingStart
from saccade.tasks.generate.settings import Settings

MAX_SEED = 2**63 - 1


class PaintsPictures(Protocol):
    """What is used of a `GenerateTask` by the parts that it calls."""

    model: Generator
    name: str
    preprocess: Preprocess

    def encode(
        self, settings: Sequence[Settings], pictures: Mapping[str, Float[Tensor, "1 c y x"]] | None = None
    ) -> SourceKeysValues: ...

    def tokenize_prompts(
        self, settings: Sequence[Settings]
    ) -> tuple[WordBatch, Bool[Tensor, "texts"], Float[Tensor, "texts m"]]: ...

    def generate_all(
        self,
        settings: Sequence[Settings],
        callback: Callback | None = None,
        batch: int = 16,
        observe: Observer | None = None,
        originals: SourceImages | None = None,
        inverted: SamplingStart | None = None,
    ) -> Iterator[GeneratedPicture]: ...


class NoPredictMixin:
    """A model that paints: `predict` refuses."""

    name: str

    def predict(self, source: Source) -> NoReturn:
        """Raises SaccadeError: a generator reads no pictures."""
        raise no_predict_error(self.name)

    def predict_all(self, sources: Iterable[Source]) -> NoReturn:
        """Raises SaccadeError: a generator reads no pictures."""
        raise no_predict_error(self.name)


def no_predict_error(model: str) -> SaccadeError:
    """The error of a generator that is used to read a picture."""
    return SaccadeError(f'{model} paints pictures and reads none: use saccade generate "a red star" --model {model}')


def first_seed(seed: int | None) -> int:
    """The seed of the first picture; None draws it. Raises SaccadeError where it is out of range."""
    seed = secrets.randbelow(2**32) if seed is None else seed
    if not 0 <= seed <= MAX_SEED:
        raise SaccadeError(f"the seed {seed} is out of range: 0 to 2^63 - 1 expected")
    return seed


def repeat_with_seeds(settings: Settings, n: int) -> list[Settings]:
    """The settings of n pictures: picture i has seed + i. Raises SaccadeError for fewer than 1 picture."""
    if n < 1:
        raise SaccadeError(f"{n} pictures were requested; 1 or more expected")
    return [replace(settings, seed=(settings.seed + i) % (MAX_SEED + 1)) for i in range(n)]


def chunk_settings(
    settings: Sequence[Settings], shared: Callable[[Settings], Hashable], most: Callable[[Settings], int]
) -> Iterator[list[Settings]]:
    """Runs of settings that are painted together. shared: what the pictures of a run have in common. most: how many
    such pictures are painted at once."""
    for _, group in groupby(settings, key=shared):
        run = list(group)
        size = most(run[0])
        yield from (run[at : at + size] for at in range(0, len(run), size))
