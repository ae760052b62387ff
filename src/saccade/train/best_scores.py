"""Validation of a run: scores that may be missing, the weights that are kept, and when a run no longer improves."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from saccade.device import Device
from saccade.errors import in_one_line

Scores = dict[str, float | None]  # None: there is nothing to score


@dataclass
class BestScoreTracker:
    """The best scores of a run so far.

    Attributes:
        metric: the score that decides; higher is better.
        kept: all scores of the best weights; empty before the first validation.
        improved: the step at which `metric` last rose.
    """

    metric: str
    kept: Scores = field(default_factory=dict)
    improved: int = 0

    def update(self, scores: Scores, step: int) -> bool:
        """Whether the weights of this step are to be kept: those of the highest score, of equals the later. Without a
        score the newest are kept."""
        value, best = scores.get(self.metric), self.kept.get(self.metric)
        if value is not None and (best is None or value > best):
            self.improved = step
        elif best is not None and value != best:
            return False
        self.kept = scores
        return True

    def out_of_patience(self, step: int, patience: int | None) -> bool:
        """Whether the score has not risen for `patience` steps; never where that is None, or there is no score."""
        return patience is not None and self.kept.get(self.metric) is not None and step - self.improved >= patience


def validate(evaluate: Callable[[], Scores], device: Device) -> tuple[Scores, str]:
    """The scores, None instead of those that are not finite, and why there are none: a figure that cannot be computed
    ends no training. Of several processes an error is raised, as the others wait for this one."""
    try:
        scores = evaluate()
    except Exception as error:
        if device.world > 1:
            raise
        return {}, f"{type(error).__name__}: {in_one_line(error)}"
    return {name: None if value is None or not math.isfinite(value) else value for name, value in scores.items()}, ""
