"""Pairs of pictures to train a generator: one is painted from the other."""

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Generator, Tensor

from saccade.data.cache import MEMORY_BUDGET, prepare_readable
from saccade.data.pairs import PairSet
from saccade.data.preprocess import Preprocess
from saccade.tasks.generate.batches import Samples, SourcePixels
from saccade.tasks.generate.captioned import choose_captions, repeat_in_views
from saccade.tasks.generate.recipe import GenerateRecipe


class PairsToPaint:
    """Pairs, decoded once, each in `views` samples of a batch. Both pictures are resized to the shorter side and
    cropped to their centres, and nothing is mirrored: captions may tell left from right, and signs and letters would
    change their meaning. Some of the pictures to paint from are left out."""

    sources = ("picture",)
    frames = 1

    def __init__(
        self, dataset: PairSet, recipe: GenerateRecipe, size: tuple[int, int], views: int, budget: int = MEMORY_BUDGET
    ):
        self.title, self.views, self.dropout = dataset.title, views, recipe.source_dropout
        preprocess = Preprocess(size, "crop")

        def decode(index: int) -> UInt8[np.ndarray, "6 y x"]:
            both = [np.asarray(preprocess.resize_and_crop(each.image)) for each in dataset.pair(index)]
            return np.ascontiguousarray(np.concatenate(both, axis=-1).transpose(2, 0, 1))

        self.data, kept = prepare_readable(dataset, dataset.title, (6, *size), decode, budget)
        self.captions = [dataset.captions(i) for i in kept]

    def __len__(self) -> int:
        return len(self.data)

    def samples(self, indices: Tensor, size: tuple[int, int], generator: Generator) -> Samples:
        """The pairs of the first of the indices."""
        some, views = repeat_in_views(indices, self.views)
        both, _ = self.data[some]
        source, target = both[views].chunk(2, dim=1)
        texts, captioned = choose_captions([self.captions[i] for i in some[views].tolist()], generator)
        present = torch.rand(len(views), generator=generator) >= self.dropout
        return Samples(target[:, None], texts, captioned, {"picture": SourcePixels(source, present)})
