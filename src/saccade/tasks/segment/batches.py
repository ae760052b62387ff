"""Training batches of a segmenter and their source."""

from typing import Any, NamedTuple

import torch
from jaxtyping import Float, UInt8
from torch import Generator, Tensor

from saccade.data.preprocess import Preprocess
from saccade.data.segments import IGNORE_INDEX, SegmentSet
from saccade.data.segments.arrays import to_segment_arrays
from saccade.data.segments.augment import SegmentAugment
from saccade.tasks.segment.recipe import SegmentRecipe
from saccade.tasks.segment.sampling import SampledPixels
from saccade.tasks.training import SceneSource


class Batch(NamedTuple):
    """Normalised pictures, the class of each of their pixels, and the pixels of the loss."""

    pictures: Float[Tensor, "b c y x"]
    masks: UInt8[Tensor, "b y x"]
    sample: SampledPixels


class SegmentSource:
    """Pictures with masks, decoded once as far as `recipe.cache` allows and augmented for each batch.

    crop: (height, width) of the training crops at the end of the run; smaller crops show as much of a picture.
    """

    def __init__(self, data: SegmentSet, preprocess: Preprocess, crop: tuple[int, int], recipe: SegmentRecipe):
        self.data = to_segment_arrays(data, preprocess, recipe.cache)
        self.title, self.crop, self.recipe = data.title, crop, recipe

    def __len__(self) -> int:
        return len(self.data)

    def classes_per_picture(self) -> list[list[int]]:
        """The classes of each picture."""
        classes = (self.data[[i]][1].unique().tolist() for i in range(len(self.data)))
        return [[label for label in each if label != IGNORE_INDEX] for each in classes]

    def samples(self, indices: Tensor, size: tuple[int, int], generator: Generator) -> tuple[Tensor, Tensor]:
        """Pictures (b c y x), 0 to 1, of `size` (height, width), and their masks (b y x)."""
        low, high = (zoom * size[0] / self.crop[0] for zoom in self.recipe.zoom)
        augment = SegmentAugment(size, (low, high), self.recipe.hflip, self.recipe.color_jitter)
        return augment(*self.data[indices], generator)


class SceneMaskSource(SceneSource):
    """Newly rendered scenes and their masks."""

    def annotations(self, scenes: list[Any]) -> UInt8[Tensor, "b y x"]:
        return torch.stack([torch.from_numpy(scene.semantic) for scene in scenes])
