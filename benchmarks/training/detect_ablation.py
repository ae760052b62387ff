"""Ablation of the detector's training: without denoising, the dense head, or box-relative bias.

    python -m benchmarks.training.detect_ablation --minutes 6 --weights shapes --json-file parts.json
    python -m benchmarks.training.detect_ablation --quick      # shows that it works; its figures mean nothing

Every variant trains from the same weights on the same endless scenes, in turns, each with a clock of its own, so that
a part that costs time has to earn it back; see detect.py. Scored on the same held-out scenes after every turn.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import cyclopts
import torch
from torch import Tensor, nn

from benchmarks.common.outputs import FLAT, Outputs
from benchmarks.training.detect import DetectSettings, Ours
from benchmarks.training.equal_time import begin, compare_variants
from saccade.data.scenes import Scenes
from saccade.models.detector import Detector, DetectorOutput
from saccade.tasks import DetectRecipe, DetectTraining, load
from saccade.tasks.detect.loss import detection_loss


@dataclass
class AblationSettings(DetectSettings):
    """The settings of this benchmark.

    Parameters
    ----------
    minutes
        Minutes of training for each variant.
    size
        Side of an image in pixels.
    weights
        A model whose encoder all variants start from; random weights without it.
    """

    minutes: float = 6.0
    size: int = 64
    weights: str | None = None


class NoBias(nn.Module):
    """Replaces `BoxBias`: the attention of a query does not depend on its box."""

    def forward(self, boxes: Tensor, grid: tuple[int, int]) -> Tensor:
        return boxes.new_zeros(len(boxes), 1, boxes.shape[1], grid[0] * grid[1])


class Variant(Ours):
    """without: parts of the loss to leave out."""

    def __init__(self, name: str, task: DetectTraining, settings: AblationSettings, without: tuple[str, ...] = ()):
        super().__init__(task, settings)
        self.name, self.without = name, without

    def loss(self, generator: torch.Generator) -> Tensor:
        batch = self.task.batch(torch.arange(self.settings.batch), generator, 1.0)
        output = DetectorOutput(*self.model(batch.pictures, batch.denoising))
        usual = self.task.objects_per_picture * len(batch.pictures)
        parts = detection_loss(output, batch.targets, batch.denoising, batch.denoising_match, usual)
        assert set(self.without) <= set(parts), f"{self.without}: expected names of {sorted(parts)}"
        return sum((part for name, part in parts.items() if name not in self.without), torch.zeros(()))


def make_task(settings: AblationSettings, denoising: int) -> DetectTraining:
    """A new detector with the same initial weights for every variant."""
    options = {"model": settings.model, "size": settings.size, "queries": settings.queries}
    recipe = DetectRecipe(**options, denoising_queries=denoising)
    scenes = (Scenes(1000, settings.size, seed=1), Scenes(settings.held_out, settings.size, seed=0))
    start = load(settings.weights) if settings.weights else None
    return DetectTraining(*scenes, recipe, settings.seed, start)


def without_bias(settings: AblationSettings) -> Variant:
    task = make_task(settings, 24)
    assert isinstance(task.model, Detector)
    task.model.box_bias = nn.ModuleList(NoBias() for _ in task.model.box_bias)
    return Variant("without box-relative bias", task, settings)


VARIANTS: dict[str, Callable[[AblationSettings], Variant]] = {
    "all": lambda settings: Variant("all parts", make_task(settings, 24), settings),
    "denoising": lambda settings: Variant("without denoising", make_task(settings, 0), settings),
    "dense": lambda settings: Variant("without the dense head", make_task(settings, 24), settings, ("dense",)),
    "bias": without_bias,
}


def main(
    settings: Annotated[AblationSettings, FLAT] = AblationSettings(),  # noqa: B008  # never modified
    outputs: Annotated[Outputs, FLAT] = Outputs(),  # noqa: B008
) -> None:
    """Train all variants for the same time."""
    settings = begin(settings)
    compare_variants(VARIANTS, settings, outputs, f"Parts of the detector's training, {settings.size} pixels")


if __name__ == "__main__":
    cyclopts.run(main)
