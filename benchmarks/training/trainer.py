"""A model that trains in turns for a number of steps, with a clock of its own."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.core.classic_vits import logits
from saccade.tasks.classify.training import ClassifyTraining
from saccade.train.optim import moving_average

Batch = Callable[[Tensor, torch.Generator, float], tuple[Tensor, Tensor]]


class Settings(Protocol):
    """What a trainer reads of the settings of its benchmark."""

    batch: int
    compile: bool
    seed: int


@dataclass
class Schedule:
    """Optimizers and the schedulers of their learning rates."""

    optimizers: list[torch.optim.Optimizer]
    schedulers: list[Any]


class Trainer:
    """Trains in turns; its clock counts only those.

    batch: images and soft labels at indices, from a generator and its progress (0 to 1). steps: length of
    the run. ema: decay of the moving average of its weights.
    """

    def __init__(
        self,
        name: str,
        model: nn.Module,
        schedule: Schedule,
        batch: Batch,
        samples: int,
        settings: Settings,
        steps: int,
        ema: float,
    ):
        self.name, self.model, self.schedule, self.batch = name, model, schedule, batch
        self.samples, self.settings, self.steps = samples, settings, steps
        self.forward = cast(nn.Module, torch.compile(model)) if settings.compile else model
        self.average = moving_average(model, ema)
        self.step, self.seconds, self.loss = 0, 0.0, float("nan")
        self.slowest = 0.0  # seconds of the slowest step, most of it compiling
        self.curve: list[tuple[float, int, float, float]] = []  # seconds, step, accuracy, accuracy of the average
        self.reached: float | None = None
        self.confirmed = 0.0

    def train(self, turn: float, reached_target: Callable[[], bool]) -> None:
        """Train for `turn` seconds; after every step `reached_target` decides, off the clock, whether to stop."""
        until = self.seconds + turn
        while self.seconds < until and self.step < self.steps:
            start = time.perf_counter()
            self._update()
            took = time.perf_counter() - start
            self.seconds, self.slowest = self.seconds + took, max(self.slowest, took)
            if reached_target():
                return

    def models(self) -> tuple[nn.Module, nn.Module]:
        """The current weights and their moving average."""
        return self.model, self.average.module

    def figures(self) -> dict[str, Any]:
        """For JSON."""
        fields = ("name", "step", "seconds", "slowest", "reached", "confirmed")
        columns = ("seconds", "step", "accuracy", "averaged")
        curve = [dict(zip(columns, point, strict=True)) for point in self.curve]
        return {**{key: getattr(self, key) for key in fields}, "curve": curve}

    def _update(self) -> None:
        images, labels = self._next()
        self.model.train()
        with torch.autocast("cpu", torch.bfloat16):
            outputs = logits(self.forward, images)
        loss = F.cross_entropy(outputs.float(), labels)
        loss.backward()
        for optimizer in self.schedule.optimizers:
            optimizer.step()
            optimizer.zero_grad()
        for scheduler in self.schedule.schedulers:
            scheduler.step()
        self.average.update_parameters(self.model)
        self.step, self.loss = self.step + 1, float(loss.detach())

    def _next(self) -> tuple[Tensor, Tensor]:
        epoch, place = divmod(self.step, self.samples // self.settings.batch)
        order = torch.randperm(self.samples, generator=torch.Generator().manual_seed(1000 * self.settings.seed + epoch))
        indices = order[place * self.settings.batch : (place + 1) * self.settings.batch]
        generator = torch.Generator().manual_seed((self.settings.seed << 32) + self.step)
        return self.batch(indices, generator, self.step / self.steps)


@torch.no_grad()
def accuracy(model: nn.Module, task: ClassifyTraining, indices: Tensor) -> float:
    """Accuracy of a model on the test images at `indices`, in the precision of its training."""
    training = model.training
    model.eval()
    correct = 0
    for at in indices.split(250):
        images, labels = task.val[at]
        with torch.autocast("cpu", torch.bfloat16):
            outputs = logits(model, task.preprocess.normalize(images))
        correct += int((outputs.argmax(dim=-1) == labels).sum())
    model.train(training)
    return correct / len(indices)
