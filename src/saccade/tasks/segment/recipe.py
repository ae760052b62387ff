"""Options of the training of a segmenter."""

from typing import Annotated, ClassVar

from pydantic import Field

from saccade.options import PictureRecipe, Zoom, progressive_size


class SegmentRecipe(PictureRecipe):
    """Model and augmentation. The defaults suit hundreds of pictures."""

    renamed: ClassVar[dict[str, str]] = {
        "fine": "pixel_channels",
        "colour": "color_jitter",
        "border": "boundary_weight",
        "grow": "progressive_resize",
        "depth": "decoder_depth",
        "flip": "hflip",
    }

    size: Annotated[int, Field(gt=0)] = 480
    """Longer side in pixels to which whole pictures are resized; the shorter side follows from the aspect ratio of the
    training pictures."""
    crop: Annotated[int | None, Field(gt=0)] = 256
    """Longer side in pixels of the crops that the model is trained on; at inference it runs on overlapping tiles of
    that size. None, or the full size: whole pictures, which scenes always are."""
    decoder_depth: Annotated[int, Field(gt=0)] = 2
    """Decoder blocks."""
    pixel_channels: Annotated[int, Field(gt=0, multiple_of=8)] = 16
    """Channels of the pixel decoder at full resolution."""
    progressive_resize: bool = False
    """Train on pictures of half the size first, at a quarter of the cost, and increase to the full size."""
    zoom: tuple[Zoom, Zoom] = (0.6, 1.6)
    """Range of the random scale factor."""
    color_jitter: Annotated[float, Field(ge=0, le=1)] = 0.4
    """Strength of random changes of brightness, contrast and saturation, 0 to 1."""
    boundary_weight: Annotated[float, Field(ge=0)] = 2.0
    """Additional weight in the loss of pixels next to another class."""
    drop_path: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Stochastic depth rate of the encoder's last block; it rises linearly from 0 at the first."""

    def size_at(self, progress: float) -> int:
        """Longer side of the training crops at a fraction of the run, 0 to 1: a half, three quarters, then full."""
        full = min(self.size, self.crop or self.size)
        return progressive_size(full, progress) if self.progressive_resize else full
