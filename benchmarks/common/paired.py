"""Several ways of doing one thing, timed side by side: in one run, turn by turn, so that whatever else the
machine does falls on all of them alike."""

import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

Times = dict[str, list[float]]


def timed(ways: dict[str, Callable[[], object]], repeats: int, warmup: int = 1) -> Times:
    """Seconds of every repeat of every way: A B C, A B C, ... after `warmup` turns that are not kept."""
    times: Times = {name: [] for name in ways}
    for turn in range(warmup + repeats):
        for name, way in ways.items():
            begun = time.perf_counter()
            way()
            if turn >= warmup:
                times[name].append(time.perf_counter() - begun)
    return times


@dataclass(frozen=True)
class Ratio:
    """How many times faster one way was than another: of the medians, and the least and greatest of any turn."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.2f}x ({self.low:.2f} to {self.high:.2f})"


def ratio(times: Times, ours: str, theirs: str) -> Ratio:
    """Above 1 where `ours` was faster."""
    pairs = [their / our for our, their in zip(times[ours], times[theirs], strict=True)]
    return Ratio(statistics.median(times[theirs]) / statistics.median(times[ours]), min(pairs), max(pairs))


def machine() -> dict[str, object]:
    """What the figures were measured on, and how busy it was."""
    return {
        "processor": _processor(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "bf16": torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported(),
        "amx": torch.cpu._is_amx_tile_supported(),
        "load": round(os.getloadavg()[0], 1),
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
