"""Models that train from random weights for the same minutes, in turns, each with a clock of its own."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from benchmarks.common.machine import print_machine
from benchmarks.common.outputs import Outputs
from benchmarks.common.paired import measure, speedup
from saccade.device import keep_freed_memory
from saccade.train.config import TrainConfig
from saccade.train.optim import moving_average, optimizers


@dataclass
class Settings:
    """How long and on what the models train.

    Parameters
    ----------
    minutes
        Minutes of training for each model.
    size
        Side of an image in pixels.
    batch
        Images per step.
    turn
        Seconds that a model trains before the next one takes its turn.
    held_out
        Images to evaluate on.
    model
        Preset of our encoder.
    seed
        Of weights and batches.
    quick
        Tiny models for a few seconds, to show that the script works; its figures mean nothing.
    """

    minutes: float = 20.0
    size: int = 128
    batch: int = 32
    turn: float = 60.0
    held_out: int = 200
    model: str = "small/8"
    seed: int = 0
    quick: bool = False


S = TypeVar("S", bound=Settings)


def begin(settings: S) -> S:
    """Print the machine; the settings, made small if quick."""
    print_machine()
    return replace(settings, minutes=0.1, size=64, batch=4, turn=3.0, held_out=4) if settings.quick else settings


class TrainingRun:
    """A model, its optimizers and its clock. curve: seconds, images and scores, the score that decides first."""

    name: str
    model: nn.Module

    def __init__(self, settings: Settings, optimizers: list[torch.optim.Optimizer], ema: float):
        self.settings, self.optimizers = settings, optimizers
        self.average = moving_average(self.model, ema)
        self.peak_rates = [[group["lr"] for group in o.param_groups] for o in optimizers]
        self.seconds, self.step, self.images = 0.0, 0, 0
        self.losses: list[float] = []  # of the last turn: they fall long before a score rises
        self.curve: list[tuple[float, int, dict[str, float]]] = []

    def train(self) -> None:
        """One turn."""
        total = self.settings.minutes * 60
        until = min(self.seconds + self.settings.turn, total)
        self.losses = []
        while self.seconds < until:
            start = time.perf_counter()
            self._set_rates(self.seconds / total)
            self._update()
            self.seconds += time.perf_counter() - start

    def evaluate(self) -> None:
        """Score the weights and their moving average; the better by the first score counts."""
        results = []
        for model in (self.model, self.average.module):
            model.eval()
            with torch.no_grad():
                results.append(self.scores(model))
            model.train()
        best = max(results, key=lambda scores: next(iter(scores.values())))
        if self.losses:
            best = {**best, "loss": sum(self.losses) / len(self.losses)}
        self.curve.append((self.seconds, self.images, best))
        print(f"{self.name:26} {self.seconds / 60:6.2f} min  {self.images:7} images  {_listed(best)}", flush=True)

    def figures(self) -> dict[str, Any]:
        """For JSON."""
        curve = [{"seconds": seconds, "images": images, **scores} for seconds, images, scores in self.curve]
        return {"name": self.name, "parameters": parameters(self.model), "curve": curve}

    def loss(self, generator: torch.Generator) -> Tensor:
        """Of a batch that the generator determines."""
        raise NotImplementedError

    def scores(self, model: nn.Module) -> dict[str, float]:
        """Of a model on the held-out images."""
        raise NotImplementedError

    def clip_gradients(self) -> None:
        """Before each update; nothing by default."""

    def _update(self) -> None:
        with torch.autocast("cpu", torch.bfloat16):
            loss = self.loss(torch.Generator().manual_seed((self.settings.seed << 32) + self.step))
        self.losses.append(loss.item())
        loss.backward()
        self.clip_gradients()
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad()
        self.average.update_parameters(self.model)
        self.step, self.images = self.step + 1, self.images + self.settings.batch

    def _set_rates(self, progress: float) -> None:
        factor = min(1.0, progress / 0.05 + 1e-3) * 0.5 * (1 + torch.cos(torch.tensor(torch.pi * progress)).item())
        for optimizer, peaks in zip(self.optimizers, self.peak_rates, strict=True):
            for group, peak in zip(optimizer.param_groups, peaks, strict=True):
                group["lr"] = peak * factor


class RecipeRun(TrainingRun):
    """The recipe of `saccade train` for a task: its model, loss and optimizers."""

    name = "Saccade"

    def __init__(self, task: Any, settings: Settings):
        self.task, self.model = task, task.model
        config = TrainConfig(seed=settings.seed)
        super().__init__(settings, optimizers(self.model, config), config.ema)

    def loss(self, generator: torch.Generator) -> Tensor:
        batch = self.task.batch(torch.arange(self.settings.batch), generator, 1.0)
        return self.task.loss(self.model, [batch], torch.device("cpu"))


def compare_pair(ours: TrainingRun, peer: TrainingRun, outputs: Outputs, title: str) -> None:
    """Train two models in turns, evaluate both after every turn, and time their forward passes."""
    runs = [ours, peer]
    for run in runs:
        print(f"{run.name}: {parameters(run.model) / 1e6:.2f} M parameters")
    _take_turns(runs)
    print(result := verdict(ours, peer))
    speeds = throughput(ours, peer)
    figures = [run.figures() for run in runs]
    outputs.write({"verdict": result, "sides": figures, "speed": speeds}, ours.settings)
    _draw(runs, outputs, title)


Variants = Mapping[str, Callable[[Any], TrainingRun]]  # what makes a run from the settings, by a short name


def compare_variants(variants: Variants, settings: Settings, outputs: Outputs, title: str) -> None:
    """Train variants of one model in turns, evaluate all after every turn, and print their last scores."""
    runs = [make(settings) for make in variants.values()]
    _take_turns(runs)
    print(f"after {settings.minutes:g} min each:")
    for run in runs:
        _, images, scores = run.curve[-1]
        print(f"{run.name:26} {images:7} images  {_listed(scores)}")
    outputs.write({"sides": [run.figures() for run in runs]}, settings)
    _draw(runs, outputs, title)


def _take_turns(runs: list[TrainingRun]) -> None:
    keep_freed_memory()  # for all, as `saccade train` does
    while any(run.seconds < run.settings.minutes * 60 for run in runs):
        for run in runs:
            run.train()
            run.evaluate()


def _draw(runs: list[TrainingRun], outputs: Outputs, title: str) -> None:
    score = next(iter(runs[0].curve[-1][2]))
    lines = {run.name: [(seconds / 60, scores[score]) for seconds, _, scores in run.curve] for run in runs}
    outputs.draw(title, f"{score} on held-out scenes", lines, 1.0)


def _listed(scores: dict[str, float]) -> str:
    return "  ".join(f"{name} {value:.4f}" for name, value in scores.items())


def parameters(model: nn.Module) -> int:
    """Number of learned values."""
    return sum(p.numel() for p in model.parameters())


def verdict(ours: TrainingRun, peer: TrainingRun) -> str:
    """The last scores of both, and when ours first had the peer's last score."""
    (seconds, _, mine), (_, _, theirs) = ours.curve[-1], peer.curve[-1]
    key = next(iter(mine))
    before = next((at for at, _, scores in ours.curve if scores[key] >= theirs[key]), None)
    when = "never reached that" if before is None else f"had that {key} after {before / 60:.1f} min"
    ends = f"{ours.name} {_listed(mine)}; {peer.name} {_listed(theirs)}"
    return f"after {seconds / 60:.1f} min each: {ends}; {ours.name} {when}"


@torch.no_grad()
def throughput(ours: TrainingRun, peer: TrainingRun) -> dict[str, Any]:
    """Images per second of both in fp32, one by one and in a batch."""
    results: dict[str, Any] = {}
    settings = ours.settings
    for batch in (1, 16):
        images = torch.randn(batch, 3, settings.size, settings.size)
        ways = {run.name: (lambda run=run, x=images: run.average.module.eval()(x)) for run in (ours, peer)}
        times = measure(ways, 3 if settings.quick else 15, warmup=2)
        rates = {name: batch / sorted(seconds)[len(seconds) // 2] for name, seconds in times.items()}
        ratio = speedup(times, ours.name, peer.name)
        results[f"batch {batch}"] = {**rates, "ours / theirs": str(ratio)}
        listed = ", ".join(f"{name} {rate:.1f}" for name, rate in rates.items())
        print(f"images per second at batch {batch}, fp32: {listed}; ours {ratio}")
    return results
