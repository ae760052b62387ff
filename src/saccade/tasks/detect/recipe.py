"""Options of the training of a detector."""

from typing import Annotated, Any, ClassVar

from pydantic import Field

from saccade.options import PictureRecipe, Zoom, progressive_size


class DetectRecipe(PictureRecipe):
    """Model and augmentation. The defaults suit hundreds to tens of thousands of pictures."""

    renamed: ClassVar[dict[str, str]] = {
        "upside_down": "vflip",
        "quarter_turns": "rot90",
        "colour": "color_jitter",
        "noised": "denoising_queries",
        "grow": "progressive_resize",
        "depth": "decoder_depth",
    }

    size: Annotated[int, Field(gt=0)] = 320
    """Longer side of the input in pixels; the shorter side follows from the aspect ratio of the training pictures."""
    queries: Annotated[int, Field(gt=0)] = 60
    """Object queries: the most objects that can be found in one picture."""
    masks: bool = False
    """Learn the outline of each object too; all objects of the data must have one."""
    tiles: bool = False
    """Cut pictures that are larger than `size` into overlapping tiles of that side, in training and in prediction, so
    that small objects keep their size. With --masks."""
    decoder_depth: Annotated[int, Field(gt=0)] = 3
    """Decoder blocks."""
    progressive_resize: bool = False
    """Train on pictures of half the size first, at a quarter of the cost, and increase to the full size."""
    zoom: tuple[Zoom, Zoom] = (0.6, 1.6)
    """Range of the random scale factor."""
    vflip: bool = False
    """Random vertical flips, for pictures without a preferred orientation."""
    rot90: bool = False
    """Random rotations by 90 degrees, for square pictures without a preferred orientation."""
    color_jitter: Annotated[float, Field(ge=0, le=1)] = 0.3
    """Strength of random changes of brightness, contrast and saturation, 0 to 1."""
    denoising_queries: Annotated[int, Field(ge=0)] = 32
    """Denoising queries (Li et al. 2022): noised ground-truth boxes that the decoder reconstructs; 0 disables them."""
    drop_path: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Stochastic depth rate of the encoder's last block; it rises linearly from 0 at the first."""

    def augmentation(self) -> dict[str, Any]:
        """For `ObjectAugment`."""
        turned = {"hflip": self.hflip, "vflip": self.vflip, "rot90": self.rot90}
        return {"scale": self.zoom, "color_jitter": self.color_jitter, **turned}

    def size_at(self, progress: float) -> int:
        """Longer side of the training pictures at a fraction of the run, 0 to 1: a half, three quarters, then full."""
        return progressive_size(self.size, progress) if self.progressive_resize else self.size
