"""Pictures with captions on disk, to train a generator."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Int
from torch import Generator, Tensor

from saccade.data.captions import CaptionSet
from saccade.data.captions.sets import prepare_captioned
from saccade.data.preprocess import Preprocess
from saccade.tasks.generate.batches import ABSENT, Samples


class CaptionedPictures:
    """Pictures, decoded once, each in `views` samples of a batch, with one of its captions drawn for each. A picture is
    resized to the shorter side and cropped to its centre; nothing else is changed, as captions may tell left from
    right and name colours."""

    frames = 1

    def __init__(self, dataset: CaptionSet, size: tuple[int, int], views: int):
        self.title, self.views = dataset.title, views
        self.data, kept = prepare_captioned(dataset, Preprocess(size, "crop"))
        self.captions = [dataset.captions(i) for i in kept]

    def __len__(self) -> int:
        return len(self.data)

    def samples(self, indices: Tensor, size: tuple[int, int], generator: Generator) -> Samples:
        """Pictures of the first of the indices, with a caption each."""
        some, samples = repeat_in_views(indices, self.views)
        pictures, places = self.data[some]
        captions = choose_captions([self.captions[place] for place in places[samples].tolist()], generator)
        return Samples(pictures[samples][:, None], *captions, {})


def repeat_in_views(indices: Tensor, views: int) -> tuple[Int[Tensor, "some"], Int[Tensor, "b"]]:
    """The first of the indices, as many as `len(indices)` samples need with `views` of each, and for each sample its
    place among them."""
    some = indices[: -(-len(indices) // views)]
    return some, torch.arange(len(some)).repeat_interleave(views)[: len(indices)]


def choose_captions(captions: Sequence[Sequence[str]], generator: Generator) -> tuple[list[str], Bool[Tensor, "b"]]:
    """One of the captions of each picture, and whether it has any; `ABSENT` in its place where not."""
    captioned = torch.tensor([bool(texts) for texts in captions])
    return [choose_caption(texts, generator) if texts else ABSENT for texts in captions], captioned


def choose_caption(captions: Sequence[str], generator: Generator) -> str:
    """One of the captions."""
    return captions[int(torch.randint(len(captions), (), generator=generator))]
