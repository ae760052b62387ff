"""What each part of the detector's training is worth: the whole recipe beside itself without one of them.

    python -m benchmarks.training.detect_ablation --minutes 6 --start shapes --json-file parts.json
    python -m benchmarks.training.detect_ablation --quick      # proof that it works; its figures mean nothing

Every variant trains from the same weights on the same endless scenes, in turns, each with a clock of its own, so that
a part that costs time has to earn it back; see detect.py. Scored on the same held-out scenes after every turn.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import cyclopts
import torch
from torch import Tensor, nn

from benchmarks.training.detect import Ours, Settings, judged
from benchmarks.training.equal_time import compare
from saccade.data.scenes import Scenes
from saccade.models.detector import Detector, Found
from saccade.tasks import DetectRecipe, DetectTraining, load
from saccade.tasks.detect.loss import detection_loss


@dataclass
class PartSettings(Settings):
    """start: a model of another task whose encoder all variants start from; none: random weights."""

    start: str | None = None


class NoBias(nn.Module):
    """In place of `BoxBias`: a query's box does not tell where to look."""

    def forward(self, boxes: Tensor, grid: tuple[int, int]) -> Tensor:
        return boxes.new_zeros(len(boxes), 1, boxes.shape[1], grid[0] * grid[1])


class Variant(Ours):
    """without: parts of the loss to leave out."""

    def __init__(self, name: str, task: DetectTraining, settings: Settings, without: tuple[str, ...] = ()):
        super().__init__(task, settings)
        self.name, self.without = name, without

    def loss(self, generator: torch.Generator) -> Tensor:
        batch = self.task.batch(torch.arange(self.race.batch), generator, 1.0)
        found = Found(*self.model(batch.pictures, batch.noised))
        usual = self.task.each * len(batch.pictures)
        parts = detection_loss(found, batch.targets, batch.noised, batch.denoise, usual)
        return sum((part for name, part in parts.items() if name not in self.without), torch.zeros(()))


def training(settings: PartSettings, noised: int) -> DetectTraining:
    """A new detector, the same for every variant but for what is left out of it."""
    recipe = DetectRecipe(model=settings.model, size=settings.size, queries=settings.queries, noised=noised)
    scenes = (Scenes(1000, settings.size, seed=1), Scenes(settings.held_out, settings.size, seed=0))
    start = load(settings.start) if settings.start else None
    return DetectTraining(*scenes, recipe, settings.seed, start)


def without_bias(settings: PartSettings) -> Variant:
    task = training(settings, 24)
    assert isinstance(task.model, Detector)
    task.model.bias = nn.ModuleList(NoBias() for _ in task.model.bias)
    return Variant("without box-relative bias", task, settings)


VARIANTS: dict[str, Callable[[PartSettings], Variant]] = {
    "all": lambda settings: Variant("all parts", training(settings, 24), settings),
    "denoising": lambda settings: Variant("without denoising", training(settings, 0), settings),
    "dense": lambda settings: Variant("without the dense head", training(settings, 24), settings, ("within",)),
    "bias": without_bias,
}


def main(
    settings: Annotated[PartSettings, cyclopts.Parameter(name="*")] = PartSettings(minutes=6.0, size=64),  # noqa: B008
    *,
    json_file: Path | None = None,
) -> None:
    """Train all variants for as long.

    Parameters
    ----------
    json_file
        Write all figures there.
    """
    compare(VARIANTS, settings, lambda side, model: judged(side.found, model, side.task), json_file)


if __name__ == "__main__":
    cyclopts.run(main)
