"""Ablation of the segmenter's training: skip connections, and the weight of boundaries.

    python -m benchmarks.training.segment_ablation --minutes 6 --weights scenes --json-file parts.json
    python -m benchmarks.training.segment_ablation --quick      # shows that it works; its figures mean nothing

Every variant trains on the same endless scenes, in turns, each with a clock of its own, so that a part that costs time
has to earn it back; see segment.py. Scored on the same held-out scenes after every turn.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import cyclopts
from torch import Tensor

from benchmarks.common.outputs import FLAT, Outputs
from benchmarks.training.equal_time import begin, compare_variants
from benchmarks.training.segment import Ours, SegmentSettings
from saccade.data.scenes import Scenes
from saccade.data.scenes.scenes import SceneSegments
from saccade.layers import PixelDecoder
from saccade.models.segmenter import Segmenter
from saccade.tasks import SegmentRecipe, SegmentTraining, load


@dataclass
class AblationSettings(SegmentSettings):
    """The settings of this benchmark.

    Parameters
    ----------
    minutes
        Minutes of training for each variant.
    weights
        A model whose encoder all variants start from; random weights without it.
    """

    minutes: float = 6.0
    weights: str | None = None


class SomeSkips(PixelDecoder):
    """`PixelDecoder` with skip connections at the finest `skips` levels only; its other weights are unused."""

    skips = 0

    def forward(self, patches: Tensor, images: Tensor) -> Tensor:
        kept, x = [], images
        for down in self.down[: self.skips]:
            x = down(x)
            kept.append(x)
        x = self.first(patches).permute(0, 3, 1, 2)
        for step in reversed(range(len(self.up))):
            x = self.up[step](x)
            x = x + self.join[step](x + kept[step] if step < self.skips else x)
        return x


class NoSkips(SomeSkips):
    """No skip connections."""


class FinestSkip(SomeSkips):
    """One skip connection, at full resolution."""

    skips = 1


class Variant(Ours):
    """pixel_decoder: class that replaces the segmenter's `PixelDecoder`, with the same weights."""

    def __init__(
        self,
        name: str,
        settings: AblationSettings,
        pixel_decoder: type[PixelDecoder] | None = None,
        boundary_weight: float = 2.0,
    ):
        recipe = SegmentRecipe(model=settings.model, size=settings.size, crop=None, boundary_weight=boundary_weight)
        scenes = (Scenes(n, settings.size, seed=seed) for n, seed in ((1000, 1), (settings.held_out, 0)))
        start = load(settings.weights) if settings.weights else None
        task = SegmentTraining(*map(SceneSegments, scenes), recipe, settings.seed, start)
        assert isinstance(task.model, Segmenter)
        if pixel_decoder is not None:
            task.model.pixel_decoder.__class__ = pixel_decoder  # the same initial weights for all
        super().__init__(task, settings)
        self.name = name


VARIANTS: dict[str, Callable[[AblationSettings], Variant]] = {
    "pyramid": lambda settings: Variant("skips at every size", settings),
    "finest": lambda settings: Variant("skip at the finest size", settings, FinestSkip),
    "none": lambda settings: Variant("no skips", settings, NoSkips),
    "border": lambda settings: Variant("boundary weight 0", settings, boundary_weight=0.0),
    "border5": lambda settings: Variant("boundary weight 5", settings, boundary_weight=5.0),
}


def main(
    settings: Annotated[AblationSettings, FLAT] = AblationSettings(),  # noqa: B008  # never modified
    outputs: Annotated[Outputs, FLAT] = Outputs(),  # noqa: B008
) -> None:
    """Train all variants for the same time."""
    settings = begin(settings)
    compare_variants(VARIANTS, settings, outputs, f"Parts of the segmenter's training, {settings.size} pixels")


if __name__ == "__main__":
    cyclopts.run(main)
