"""Pictures with captions on disk, to train a generator."""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from saccade.data.captions import CaptionSet
from saccade.data.captions.arrays import prepare_captioned
from saccade.data.preprocess import Preprocess
from saccade.tasks.generate.batches import Samples


class CaptionedPictures:
    """Pictures, decoded once, each in `views` samples of a batch, with one of its captions drawn for each. A picture is
    resized to the shorter side and cropped to its centre; nothing else is changed, as captions may tell left from
    right and name colours."""

    def __init__(self, dataset: CaptionSet, size: tuple[int, int], views: int):
        self.label, self.views = dataset.label, views
        self.data, kept = prepare_captioned(dataset, Preprocess(size, "crop"))
        self.captions = [dataset.captions(i) for i in kept]

    def __len__(self) -> int:
        return len(self.data)

    def samples(self, indices: Tensor, size: tuple[int, int], generator: Generator) -> Samples:
        """Pictures of the first of the indices, with a caption each."""
        some = indices[: -(-len(indices) // self.views)]
        pictures, places = self.data[some]
        samples = torch.arange(len(some)).repeat_interleave(self.views)[: len(indices)]
        texts = [draw_one(self.captions[place], generator) for place in places[samples].tolist()]
        return Samples(pictures[samples], texts, torch.ones(len(texts), dtype=torch.bool), {})


def draw_one(captions: Sequence[str], generator: Generator) -> str:
    """One of the captions."""
    return captions[int(torch.randint(len(captions), (), generator=generator))]
