"""Training batches of a classifier."""

from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

from saccade.data import Augment
from saccade.data.preprocess import Preprocess
from saccade.tasks.classify.recipe import ClassifyRecipe


class Batch(NamedTuple):
    """Augmented, normalised pictures and soft labels."""

    pictures: Float[Tensor, "b c y x"]
    labels: Float[Tensor, "b classes"]


class Augmentation:
    """The augmentation of a recipe at any size; each is made once."""

    def __init__(self, recipe: ClassifyRecipe, classes: int, preprocess: Preprocess):
        self.recipe, self.classes, self.preprocess = recipe, classes, preprocess
        self._made: dict[tuple[int, bool], Augment] = {}

    def for_size(self, size: int, mix: bool) -> Augment:
        """For square pictures of `size` pixels. mix: whether MixUp and CutMix apply."""
        if (size, mix) not in self._made:
            self._made[size, mix] = self._make(size, mix)
        return self._made[size, mix]

    def _make(self, size: int, mix: bool) -> Augment:
        r, p = self.recipe, self.preprocess
        return Augment(
            (size, size),
            self.classes,
            crop=r.crop,
            hflip=r.hflip,
            trivial_augment=r.trivial_augment,
            random_erasing=r.random_erasing,
            mixup=r.mixup,
            cutmix=r.cutmix,
            mixup_prob=r.mixup_prob if mix else 0.0,
            label_smoothing=r.smoothing,
            mean=p.mean,
            std=p.std,
        )
