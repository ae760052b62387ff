"""How long a run takes, from its first updates."""

from collections.abc import Callable

from saccade.train.durations import format_duration
from saccade.train.schedule import Schedule, TimeSchedule

_SKIPPED = 2  # updates that compile and allocate
_FEWEST, _SECONDS = 3, 5.0  # that are measured, at least
_SHORTEST = 60.0  # seconds of a run that is worth a word
_POINTS = 200  # at which the sizes to come are taken


class DurationEstimator:
    """Measures the first updates of this process, and says once how long all of them will take.

    Args:
        first: updates before this process.
        size_at: from progress to the side of the training pictures, by whose pixels the later updates are estimated;
            None where it is not known.
    """

    def __init__(self, schedule: Schedule, first: int, per_epoch: int, size_at: Callable[[float], int] | None):
        self.schedule, self.first, self.per_epoch, self.size_at = schedule, first, per_epoch, size_at
        self._skipped, self._measured, self._total = 0, 0, 0.0
        self._begin = schedule.progress(first)
        self._given = False

    def add(self, seconds: float) -> tuple[str, dict[str, float]] | None:
        """Take the time of one update. Returns the estimate in words and in numbers for the log, once: when it is
        known, unless the run is short."""
        if self._given:
            return None
        if self._skipped < _SKIPPED:
            self._skipped += 1
            return None
        self._measured += 1
        self._total += seconds
        if self._measured < _FEWEST or self._total < _SECONDS:
            return None
        self._given = True
        each = self._total / self._measured
        if isinstance(self.schedule, TimeSchedule):
            return self._updates(self.schedule, each)
        return self._duration(each)

    def _duration(self, each: float) -> tuple[str, dict[str, float]] | None:
        assert self.schedule.steps is not None
        costs = self._costs()
        seconds = each * (self.schedule.steps - self.first) * sum(costs) / len(costs)
        if seconds < _SHORTEST:
            return None
        how = "about" if self.size_at is not None else "at least"
        remedy = "; --budget 1h ends it in time" if seconds > 3600 else ""
        words = f"it takes {how} {format_duration(seconds)} on this machine, without validation{remedy}"
        return words, {"estimated_seconds": round(seconds, 1)}

    def _updates(self, schedule: TimeSchedule, each: float) -> tuple[str, dict[str, float]] | None:
        costs = self._costs()
        if schedule.seconds < _SHORTEST:
            return None
        done = self.first + self._skipped + self._measured
        updates = done + schedule.seconds_left() / each * sum(1 / cost for cost in costs) / len(costs)
        epochs = updates / self.per_epoch
        words = f"about {round(updates)} steps in the time of --budget: {epochs:.3g} epochs on this machine"
        return words, {"estimated_steps": round(updates)}

    def _costs(self) -> list[float]:
        """The time of an update at points of the rest of the run, relative to now: by pixels."""
        if self.size_at is None:
            return [1.0]
        points = (self._begin + (1 - self._begin) * (i + 0.5) / _POINTS for i in range(_POINTS))
        return [(self.size_at(point) / self.size_at(self._begin)) ** 2 for point in points]
