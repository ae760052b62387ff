"""A segmenter in a file of an inference engine."""

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float, UInt8
from torch import Tensor

from saccade.tasks.encoders import ceil_to_patches
from saccade.tasks.exported import ExportedTask
from saccade.tasks.exported_graph import ExportGraph
from saccade.tasks.segment.task import SegmentTask
from saccade.tasks.segment.tiles import segment_tiled


class SegmenterGraph(ExportGraph):
    """Logits of every pixel of a tile."""

    outputs = ("logits",)

    def forward(self, pictures: Float[Tensor, "b c y x"]) -> tuple[Tensor, ...]:
        return (self.model(pictures).logits,)


@dataclass
class ExportedSegmentTask(ExportedTask, SegmentTask):
    """Tiles are cut and joined as those of `SegmentTask`."""

    graph: ClassVar[type[ExportGraph]] = SegmenterGraph

    def segment_pixels(self, pixels: Float[Tensor, "c y x"], size: tuple[int, int]) -> UInt8[Tensor, "rows columns"]:
        patch = self.signature.axes["height"].step
        tile = ceil_to_patches(self.preprocess.size, patch)
        return segment_tiled(pixels, tile, len(self.labels), lambda tiles: self.run(tiles)["logits"], size)
