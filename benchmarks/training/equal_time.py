"""Two models that train from nothing in turns for the same minutes, each with a clock of its own."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from benchmarks.common.chart import line_chart
from benchmarks.common.paired import machine, ratio, timed
from saccade.device import keep_freed_memory
from saccade.train.optim import averaged


class Race(Protocol):
    """How the race is run: minutes of training for each, pictures an update, seconds of a turn."""

    minutes: float
    batch: int
    turn: float
    size: int
    seed: int
    quick: bool


class Side:
    """One of the two: its model, its clock, its curve of scores, of which the first is the one that counts."""

    name: str
    model: nn.Module

    def __init__(self, race: Race, found: list[torch.optim.Optimizer], ema: float):
        self.race, self.optimizers = race, found
        self.average = averaged(self.model, ema)
        self.peaks = [[group["lr"] for group in o.param_groups] for o in found]
        self.seconds, self.step, self.pictures = 0.0, 0, 0
        self.losses: list[float] = []  # of the last turn: whether it learns at all, long before a score tells
        self.curve: list[tuple[float, int, dict[str, float]]] = []  # seconds, pictures, scores

    def train(self) -> None:
        """A turn."""
        until = min(self.seconds + self.race.turn, self.race.minutes * 60)
        self.losses = []
        while self.seconds < until:
            begun = time.perf_counter()
            self._rates(self.seconds / (self.race.minutes * 60))
            with torch.autocast("cpu", torch.bfloat16):
                loss = self.loss(torch.Generator().manual_seed((self.race.seed << 32) + self.step))
            self.losses.append(loss.item())
            loss.backward()
            self.clip()
            for optimizer in self.optimizers:
                optimizer.step()
                optimizer.zero_grad()
            self.average.update_parameters(self.model)
            self.step, self.pictures = self.step + 1, self.pictures + self.race.batch
            self.seconds += time.perf_counter() - begun

    def score(self, judge: Callable[[nn.Module], dict[str, float]]) -> None:
        """Of the weights as they are and of their average, the better by the first score."""
        results = []
        for model in (self.model, self.average.module):
            model.eval()
            with torch.no_grad():
                results.append(judge(model))
            model.train()
        best = max(results, key=lambda scores: next(iter(scores.values())))
        if self.losses:
            best = {**best, "loss": sum(self.losses) / len(self.losses)}
        self.curve.append((self.seconds, self.pictures, best))
        said = "  ".join(f"{name} {value:.4f}" for name, value in best.items())
        print(f"{self.name:26} {self.seconds / 60:6.2f} min  {self.pictures:7} pictures  {said}", flush=True)

    def figures(self) -> dict[str, Any]:
        """For JSON."""
        curve = [{"seconds": seconds, "pictures": seen, **scores} for seconds, seen, scores in self.curve]
        return {"name": self.name, "parameters": parameters(self.model), "curve": curve}

    def loss(self, generator: torch.Generator) -> Tensor:
        """Of a batch that follows from the generator."""
        raise NotImplementedError

    def clip(self) -> None:
        """Nothing, unless the recipe does."""

    def _rates(self, progress: float) -> None:
        factor = min(1.0, progress / 0.05 + 1e-3) * 0.5 * (1 + torch.cos(torch.tensor(torch.pi * progress)).item())
        for optimizer, peaks in zip(self.optimizers, self.peaks, strict=True):
            for group, peak in zip(optimizer.param_groups, peaks, strict=True):
                group["lr"] = peak * factor


Judge = Callable[["Side", nn.Module], dict[str, float]]


def race(ours: "Side", peer: "Side", judge: Judge, json_file: Path | None, chart: Path | None, title: str) -> None:
    """Train both in turns, score both after every turn, time both; write figures and draw curves where asked to.

    judge: scores of one of the side's models, the one that counts first. title: of the chart."""
    sides, settings = [ours, peer], ours.race
    for side in sides:
        print(f"{side.name}: {parameters(side.model) / 1e6:.2f} M parameters")
    _take_turns(sides, judge)
    said = {
        "verdict": verdict(ours, peer),
        "sides": [side.figures() for side in sides],
        "speed": speed(sides, settings),
    }
    print(said["verdict"])
    if json_file:
        told = {**said, "machine": machine(), "settings": {k: str(v) for k, v in vars(settings).items()}}
        json_file.write_text(json.dumps(told, indent=1))
    if chart:
        score = next(iter(ours.curve[-1][2]))
        lines = {side.name: [(seconds / 60, scores[score]) for seconds, _, scores in side.curve] for side in sides}
        line_chart(chart, title, "minutes of training", f"{score} on held-out scenes", lines, 1.0)


Variants = Mapping[str, Callable[[Any], "Side"]]  # what makes a side of the settings, by a short name


def compare(variants: Variants, settings: Any, judge: Judge, json_file: Path | None) -> None:
    """Train variants of one model in turns, score all after every turn, and say where they came to.

    settings: a `Race`, made small if quick."""
    if settings.quick:
        settings = replace(settings, minutes=0.1, size=64, batch=4, turn=3.0, held_out=4)
    print("  ".join(f"{key} {value}" for key, value in machine().items()))
    sides = [make(settings) for make in variants.values()]
    _take_turns(sides, judge)
    print(f"after {settings.minutes:g} min each:")
    for side in sides:
        _, pictures, scores = side.curve[-1]
        said = "  ".join(f"{name} {value:.4f}" for name, value in scores.items())
        print(f"{side.name:26} {pictures:7} pictures  {said}")
    if json_file:
        told = {"machine": machine(), "settings": {k: str(v) for k, v in vars(settings).items()}}
        json_file.write_text(json.dumps({**told, "sides": [side.figures() for side in sides]}, indent=1))


def _take_turns(sides: list["Side"], judge: Judge) -> None:
    keep_freed_memory()  # for all, as `saccade train` does
    while any(side.seconds < side.race.minutes * 60 for side in sides):
        for side in sides:
            side.train()
            side.score(lambda model, side=side: judge(side, model))


def parameters(model: nn.Module) -> int:
    """How many numbers are learned."""
    return sum(p.numel() for p in model.parameters())


def verdict(ours: Side, peer: Side) -> str:
    """Where both came to, and when ours was where the peer ended."""
    (seconds, _, mine), (_, _, theirs) = ours.curve[-1], peer.curve[-1]
    key = next(iter(mine))
    before = next((at for at, _, scores in ours.curve if scores[key] >= theirs[key]), None)
    when = "never came to that" if before is None else f"had that {key} after {before / 60:.1f} min"
    ends = (
        f"{side.name} {', '.join(f'{name} {value:.4f}' for name, value in scores.items())}"
        for side, scores in ((ours, mine), (peer, theirs))
    )
    return f"after {seconds / 60:.1f} min each: {'; '.join(ends)}; {ours.name} {when}"


@torch.no_grad()
def speed(sides: list[Side], race: Race) -> dict[str, Any]:
    """Pictures a second of both, in fp32."""
    found: dict[str, Any] = {}
    first, second = (side.name for side in sides)
    for batch in (1, 16):
        pictures = torch.randn(batch, 3, race.size, race.size)
        ways = {side.name: (lambda s=side, p=pictures: s.average.module.eval()(p)) for side in sides}
        times = timed(ways, 3 if race.quick else 15, warmup=2)
        rates = {name: batch / sorted(took)[len(took) // 2] for name, took in times.items()}
        found[f"batch {batch}"] = {**rates, "ours / theirs": str(ratio(times, first, second))}
        said = ", ".join(f"{name} {rate:.1f}" for name, rate in rates.items())
        print(f"pictures a second at batch {batch}, fp32: {said}; ours {ratio(times, first, second)}")
    return found
