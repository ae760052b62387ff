"""One side of a race in training: a model, its rates, its pictures and a clock of its own."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.core.classic_vits import logits
from saccade.tasks.classify.training import ClassifyTraining
from saccade.train.optim import averaged

Batch = Callable[[Tensor, torch.Generator, float], tuple[Tensor, Tensor]]


class Run(Protocol):
    """What a race says about each side's training."""

    batch: int
    compile: bool
    seed: int


@dataclass
class Rates:
    """Optimizers, and the learning rates they take over the run."""

    optimizers: list[torch.optim.Optimizer]
    schedulers: list[Any]


class Racer:
    """Trains when it is its turn, and counts only that time.

    batch: pictures and soft labels at indices, from a generator and how far the run is (0 to 1). steps: after which
    it has no more to do. ema: decay of the moving average of its weights.
    """

    def __init__(
        self, name: str, model: nn.Module, rates: Rates, batch: Batch, samples: int, run: Run, steps: int, ema: float
    ):
        self.name, self.model, self.rates, self.batch = name, model, rates, batch
        self.samples, self.run, self.steps = samples, run, steps
        self.forward = cast(nn.Module, torch.compile(model)) if run.compile else model
        self.average = averaged(model, ema)
        self.step, self.seconds, self.loss = 0, 0.0, float("nan")
        self.slowest = 0.0  # seconds of the slowest step, most of it compiling
        self.curve: list[tuple[float, int, float, float]] = []  # seconds, step, accuracy, accuracy of the average
        self.reached: float | None = None
        self.confirmed = 0.0

    def train(self, turn: float, measure: Callable[[], bool]) -> None:
        """Train for `turn` seconds; after every step `measure` says, off the clock, whether to stop."""
        until = self.seconds + turn
        while self.seconds < until and self.step < self.steps:
            begun = time.perf_counter()
            self._update()
            took = time.perf_counter() - begun
            self.seconds, self.slowest = self.seconds + took, max(self.slowest, took)
            if measure():
                return

    def models(self) -> tuple[nn.Module, nn.Module]:
        """The weights as they are, and averaged."""
        return self.model, self.average.module

    def figures(self) -> dict[str, Any]:
        """For JSON."""
        kept = ("name", "step", "seconds", "slowest", "reached", "confirmed")
        columns = ("seconds", "step", "accuracy", "averaged")
        curve = [dict(zip(columns, point, strict=True)) for point in self.curve]
        return {**{key: getattr(self, key) for key in kept}, "curve": curve}

    def _update(self) -> None:
        pictures, labels = self._next()
        self.model.train()
        with torch.autocast("cpu", torch.bfloat16):
            said = logits(self.forward, pictures)
        loss = F.cross_entropy(said.float(), labels)
        loss.backward()
        for optimizer in self.rates.optimizers:
            optimizer.step()
            optimizer.zero_grad()
        for scheduler in self.rates.schedulers:
            scheduler.step()
        self.average.update_parameters(self.model)
        self.step, self.loss = self.step + 1, float(loss.detach())

    def _next(self) -> tuple[Tensor, Tensor]:
        epoch, place = divmod(self.step, self.samples // self.run.batch)
        order = torch.randperm(self.samples, generator=torch.Generator().manual_seed(1000 * self.run.seed + epoch))
        indices = order[place * self.run.batch : (place + 1) * self.run.batch]
        generator = torch.Generator().manual_seed((self.run.seed << 32) + self.step)
        return self.batch(indices, generator, self.step / self.steps)


@torch.no_grad()
def accuracy(model: nn.Module, task: ClassifyTraining, indices: Tensor) -> float:
    """Share of the test pictures at `indices` that a model gets right, in the precision it trains in."""
    training = model.training
    model.eval()
    right = 0
    for at in indices.split(250):
        pictures, labels = task.val[at]
        with torch.autocast("cpu", torch.bfloat16):
            said = logits(model, task.preprocess.normalised(pictures))
        right += int((said.argmax(dim=-1) == labels).sum())
    model.train(training)
    return right / len(indices)
