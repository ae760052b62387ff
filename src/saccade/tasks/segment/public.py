"""Other people's segmenters, used as ours are."""

from typing import Any

from jaxtyping import UInt8
from torch import Tensor

from saccade.checkpoints.segmenters import PublicSegmenter
from saccade.data.images import Picture
from saccade.tasks.segment.task import BaseSegmentTask


class PublicSegmentTask(BaseSegmentTask):
    """A segmenter of transformers': `predict` and `val` as of every segmenter."""

    kind = "segment"

    def __init__(self, segmenter: PublicSegmenter):
        self.segmenter = segmenter
        self.model, self.name, self.notes = segmenter.model, segmenter.name, segmenter.notes
        self.labels = segmenter.classes
        self.card: dict[str, Any] = {}

    @property
    def parameters(self) -> int:
        """How many numbers were learned."""
        return sum(p.numel() for p in self.model.parameters())

    def segment(self, picture: Picture) -> UInt8[Tensor, "y x"]:
        """The index of each pixel's class, at the size of the picture, on the CPU."""
        return self.segmenter.segment(picture.image)
