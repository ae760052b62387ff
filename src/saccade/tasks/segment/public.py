"""Public segmenters as tasks."""

from jaxtyping import UInt8
from torch import Tensor

from saccade.checkpoints.segmenters import PublicSegmenter
from saccade.data.images import Picture
from saccade.tasks.base import PublicTask
from saccade.tasks.segment.task import BaseSegmentTask


class PublicSegmentTask(PublicTask, BaseSegmentTask):
    """A segmenter of transformers: `predict` and `val` as of `SegmentTask`."""

    kind = "segment"

    def __init__(self, segmenter: PublicSegmenter):
        super().__init__(segmenter)
        self.segmenter = segmenter

    def segment(self, picture: Picture) -> UInt8[Tensor, "y x"]:
        return self.segmenter.segment(picture.image)
