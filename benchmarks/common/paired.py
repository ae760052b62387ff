"""Paired timing: alternatives take turns in one run, so that background load affects all of them alike.

The comparison of two alternatives is the ratio of their median times, with the smallest and the largest ratio of any
turn as its spread.
"""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")
Times = dict[str, list[float]]


def interleave(ways: Mapping[str, Callable[[], T]], repeats: int, warmup: int = 1) -> dict[str, list[T]]:
    """What each way returns in each turn, called in the order A B C, A B C, ...; the first `warmup` turns are
    discarded."""
    results: dict[str, list[T]] = {name: [] for name in ways}
    for turn in range(warmup + repeats):
        for name, way in ways.items():
            result = way()
            if turn >= warmup:
                results[name].append(result)
    return results


def measure(
    ways: Mapping[str, Callable[[], object]],
    repeats: int,
    warmup: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> Times:
    """Seconds of each way in each turn, by `clock`."""
    return interleave({name: lambda way=way: elapsed(way, clock) for name, way in ways.items()}, repeats, warmup)


def elapsed(way: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """Seconds of one call."""
    start = clock()
    way()
    return clock() - start


@dataclass(frozen=True)
class Ratio:
    """How many times faster one way is than another: ratio of medians, smallest and largest ratio of any turn."""

    value: float
    low: float
    high: float

    @classmethod
    def of_memory(cls, value: float) -> "Ratio":
        """A ratio of bytes, measured once."""
        return cls(value, value, value)

    def to_dict(self, aim: str = "") -> dict[str, object]:
        """For JSON, as `benchmarks.common.speed_table` reads it. aim: what it is meant to be, such as "at least 2"."""
        return {"value": self.value, "low": self.low, "high": self.high, **({"aim": aim} if aim else {})}

    def __str__(self) -> str:
        spread = "" if self.low == self.value == self.high else f" ({self.low:.2f} to {self.high:.2f})"
        return f"{self.value:.2f}x{spread}"


def speedup(times: Times, way: str, baseline: str) -> Ratio:
    """`baseline` over `way`: above 1 where `way` is faster."""
    turns = [slow / fast for fast, slow in zip(times[way], times[baseline], strict=True)]
    return Ratio(statistics.median(times[baseline]) / statistics.median(times[way]), min(turns), max(turns))


def judged(ratio: Ratio, aim: str) -> str:
    """The aim of a ratio, "at least" or "at most" a number, and whether it is reached; "" without one."""
    if not aim:
        return ""
    bound = float(aim.split()[-1])
    reached = ratio.value >= bound if aim.startswith("at least") else ratio.value <= bound
    return f"aim {aim}: {'reached' if reached else 'not reached'}"
