"""How far a run is: by its updates, or by the share of its time that is used."""

import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import torch

from saccade.device import Device
from saccade.errors import pluralize
from saccade.train.config import TrainConfig
from saccade.train.durations import format_duration
from saccade.train.optim import warmup_cosine

# About the maximum per run: epochs of a small set are short, and validation would take most of the time.
VALIDATIONS = 50

# Of a run by time:
_FIRST = 0.1  # progress at the first validation, so that none uses up the time of the warm-up
_TRAINED = 9  # training between two validations takes at least so many times as long as one of them
_FINE = 10_000  # steps in which the learning rates change


class Schedule(Protocol):
    """What decides on progress (0 to 1), validation, learning rates and the end of a run."""

    @property
    def steps(self) -> int | None:
        """Updates of the whole run; None where its time decides."""

    def progress(self, step: int) -> float:
        """After `step` updates; in a run by time, as of the last `tick`."""

    def ended(self, step: int) -> bool:
        """Whether no update follows."""

    def validates(self, step: int) -> bool:
        """Whether the weights after this update are validated."""

    def lr_factor(self, warmup: float) -> Callable[[int], float]:
        """From updates done to the factor of the peak learning rates of the next one."""

    def upcoming(self, first: int) -> Iterator[tuple[int, float]]:
        """The updates from `first` on, each with the progress at which its batch is made."""

    def begin(self, state: dict[str, Any]) -> None:
        """Begin a run, or go on from what `state` returned. All processes call it."""

    def tick(self) -> None:
        """Read the clock. All processes call it, after every update."""

    def add_validation_time(self, seconds: float) -> None:
        """Account for a validation that took so long. All processes call it."""

    def state(self) -> dict[str, Any]:
        """What a resumed run goes on from, as JSON."""


class EpochSchedule:
    """A run of a number of epochs."""

    def __init__(self, per_epoch: int, epochs: int):
        self.steps = per_epoch * epochs
        self._between = per_epoch * max(1, round(epochs / VALIDATIONS))  # steps between validations
        self._length = f"{pluralize(epochs, 'epoch')} of {pluralize(per_epoch, 'step')}"

    def __str__(self) -> str:
        return self._length

    def progress(self, step: int) -> float:
        return step / self.steps

    def ended(self, step: int) -> bool:
        return step >= self.steps

    def validates(self, step: int) -> bool:
        return step % self._between == 0 or self.ended(step)

    def lr_factor(self, warmup: float) -> Callable[[int], float]:
        return warmup_cosine(self.steps, warmup)

    def upcoming(self, first: int) -> Iterator[tuple[int, float]]:
        return ((step, self.progress(step)) for step in range(first, self.steps))

    def begin(self, state: dict[str, Any]) -> None:
        pass

    def tick(self) -> None:
        pass

    def add_validation_time(self, seconds: float) -> None:
        pass

    def state(self) -> dict[str, Any]:
        return {}


class TimeSchedule:
    """A run of a number of seconds, of which everything is part: reading data, updates, validations, and states.

    Progress is linear in the time after the first update of this process, so that reading data and compiling, which
    come before, do not shorten the warm-up. What follows the last update (a validation, and `calibrations` times its
    time) is expected to take as long as it took before.

    Args:
        begun: `time.monotonic()` at which the time begins; default: now.
        calibrations: the time that the calibration of the trained model takes, in validations.
    """

    steps = None

    def __init__(self, seconds: float, device: Device, begun: float | None = None, calibrations: float = 0.0):
        self.seconds, self.device = seconds, device
        self._begun = time.monotonic() if begun is None else begun
        self._after = 1 + calibrations  # validations' time after the last update
        self._validation = 0.0  # seconds that the last one took
        self._progress, self._due = 0.0, False
        self._next = _FIRST  # progress at the next validation
        self._ticked = self._elapsed()
        self._origin: tuple[float, float] | None = None  # seconds and progress after the first update

    def __str__(self) -> str:
        return f"{format_duration(self.seconds)} in steps"

    def progress(self, step: int) -> float:
        return self._progress

    def ended(self, step: int) -> bool:
        return self._progress >= 1

    def validates(self, step: int) -> bool:
        return self._due

    def lr_factor(self, warmup: float) -> Callable[[int], float]:
        curve = warmup_cosine(_FINE, warmup)
        return lambda _: curve(int(self._progress * _FINE))

    def upcoming(self, first: int) -> Iterator[tuple[int, float]]:
        return ((step, self._progress) for step in itertools.count(first))

    def begin(self, state: dict[str, Any]) -> None:
        used = state.get("used", 0.0)
        self._begun -= used
        self._validation = state.get("validation", 0.0)
        if "budget" in state:  # a larger one: as if it had been so from the start
            self._progress = state["progress"] if state["budget"] == self.seconds else used / self.seconds
            self._next = max(_FIRST, self._progress + self._spacing)
        self._ticked = self._elapsed()
        self._read()

    def tick(self) -> None:
        if self._origin is None:
            self._origin = self._elapsed(), self._progress
        self._read()

    def _read(self) -> None:
        """The clock of the first process decides for all."""
        now = self._elapsed()
        last = now + self.seconds_left()
        ends = now + (now - self._ticked) / 2 >= last  # the end of another update would be further from it
        since, start = self._origin or (now, self._progress)
        progress = 1.0 if ends else max(self._progress, start + (1 - start) * (now - since) / (last - since))
        due = ends or self._next <= progress < 1 - self._spacing / 2
        self._ticked = now
        shared = torch.tensor([progress, due], dtype=torch.float32, device=self.device.device) * self.device.main
        self._progress, due = self.device.sum_over_processes(shared).tolist()
        self._due = bool(due)

    def add_validation_time(self, seconds: float) -> None:
        self._validation = seconds
        self._ticked = self._elapsed()
        self._read()
        self._next = self._progress + self._spacing

    def state(self) -> dict[str, Any]:
        return {
            "budget": self.seconds,
            "used": self._elapsed(),
            "progress": self._progress,
            "validation": self._validation,
        }

    def seconds_left(self) -> float:
        """Seconds until the last update."""
        return self.seconds - self._after * self._validation - self._elapsed()

    def _elapsed(self) -> float:
        return time.monotonic() - self._begun

    @property
    def _spacing(self) -> float:
        """Progress from one validation to the next."""
        return max(1 / VALIDATIONS, _TRAINED * self._validation / self.seconds)


def make_schedule(
    config: TrainConfig, per_epoch: int, device: Device, begun: float | None, calibrations: float
) -> Schedule:
    """The schedule of a run with these options; `begun` and `calibrations` as for `TimeSchedule`."""
    if config.budget is not None:
        return TimeSchedule(config.budget, device, begun, calibrations)
    assert config.epochs is not None
    return EpochSchedule(per_epoch, config.epochs)
