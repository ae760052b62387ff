"""Options of the training of a classifier."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from saccade.options import PictureRecipe


class ClassifyRecipe(PictureRecipe):
    """Model and augmentation. The defaults suit hundreds to hundreds of thousands of pictures."""

    renamed: ClassVar[dict[str, str]] = {
        "detail": "cache_size",
        "trivial": "trivial_augment",
        "erase": "random_erasing",
        "mix": "mixup_prob",
        "calm": "mixup_off_fraction",
        "grow": "progressive_resize",
    }

    model: str = "small"
    """Preset of the ViT encoder."""
    size: Annotated[int, Field(gt=0)] = 64
    """Input size of the model: side of its square pictures, in pixels."""
    cache_size: Annotated[int | None, Field(gt=0)] = None
    """Side in pixels at which decoded pictures are cached before random crops; default: 9/8 of the size."""
    progressive_resize: bool = True
    """Train on pictures of half the size first, at a quarter of the cost, and increase to the full size."""
    crop: Literal["resized", "pad", "none"] = "resized"
    """Random crops: "resized" (random area and aspect ratio), "pad" (small shifts), or "none"."""
    trivial_augment: bool = False
    """TrivialAugment (Müller & Hutter 2021): one random colour or geometry operation for each picture."""
    random_erasing: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Probability of erasing a random box of a picture (Zhong et al. 2020)."""
    mixup: Annotated[float, Field(ge=0)] = 0.2
    """Alpha of MixUp; 0 disables it."""
    cutmix: Annotated[float, Field(ge=0)] = 1.0
    """Alpha of CutMix; 0 disables it."""
    mixup_prob: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Probability that MixUp or CutMix is applied to a batch."""
    mixup_off_fraction: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Last fraction of the run, trained without MixUp and CutMix."""
    smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Label smoothing."""
    drop_path: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Stochastic depth rate of the last block; it rises linearly from 0 at the first."""

    def size_at(self, progress: float) -> int:
        """Side of the training pictures at a fraction of the run, 0 to 1: a half, two thirds, then the full size."""
        if not self.progressive_resize:
            return self.size
        return round(self.size * (1 / 2 if progress < 0.6 else 2 / 3 if progress < 0.9 else 1))
