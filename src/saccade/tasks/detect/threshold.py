"""The score from which on detections are worth showing: that of the best F1."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from saccade.data.objects import ObjectAnnotations
from saccade.tasks.detect.matches import box_ious, check_comparable
from saccade.tasks.detect.result import Detections


@dataclass(frozen=True)
class OperatingPoint:
    """Detections with a score of at least `threshold`, over all classes and pictures together: which share of them is
    correct (`precision`), which share of the objects they find (`recall`), and the harmonic mean of both (`f1`)."""

    threshold: float
    f1: float
    precision: float
    recall: float


class ScoredDetections:
    """Detections of all pictures by descending score, each correct or not.

    By descending score, a detection takes the object of its class, not yet taken, with the highest IoU of at least
    `iou`, as in COCO's evaluation; so whether it is correct does not depend on the threshold. Crowds, and detections
    inside them, are left out.

    Attributes:
        scores, correct: of each detection.
        objects: number of objects.

    Raises DataError for lists that do not belong together.
    """

    scores: Float[Tensor, "n"]
    correct: Bool[Tensor, "n"]

    def __init__(self, found: list[Detections], truth: list[ObjectAnnotations], iou: float = 0.5):
        check_comparable(found, truth)
        judged = [_judge(one, objects, iou) for one, objects in zip(found, truth, strict=True)]
        scores, correct = (torch.cat([each[i] for each in judged] or [torch.zeros(0)]) for i in (0, 1))
        order = scores.argsort(descending=True, stable=True)
        self.scores, self.correct = scores[order], correct[order].bool()
        self.objects = sum(len(o) - int(o.crowd.sum()) for o in truth if o.crowd is not None)

    def at_threshold(self, threshold: float) -> OperatingPoint | None:
        """At this threshold; None if there are no objects."""
        n = int((self.scores >= threshold).sum())
        return self._point(threshold, n, int(self.correct[:n].sum()))

    def best(self) -> OperatingPoint | None:
        """At the threshold of the highest F1, between the lowest score that is in and the highest that is not; None if
        there are no objects, or none is found at any threshold."""
        hits = self.correct.cumsum(0)
        taken = torch.arange(1, len(hits) + 1)
        ends = torch.ones(len(hits), dtype=torch.bool)  # equal scores are in or out together
        ends[:-1] = self.scores[1:] < self.scores[:-1]
        if not self.objects or not len(hits) or not hits[-1]:
            return None
        f1 = torch.where(ends, 2 * hits.double() / (taken + self.objects), -1.0)
        i = int(f1.argmax())
        low = float(self.scores[i + 1]) if i + 1 < len(hits) else 0.0
        high = float(self.scores[i])
        return self._point(_between(low, high), i + 1, int(hits[i]))

    def _point(self, threshold: float, taken: int, hits: int) -> OperatingPoint | None:
        if not self.objects:
            return None
        precision = hits / taken if taken else 0.0
        return OperatingPoint(threshold, 2 * hits / (taken + self.objects), precision, hits / self.objects)


def best_f1(ranking: ScoredDetections) -> dict[str, float | None]:
    """The best F1 and its threshold, for the scores of a model: F1 is 0 where no object is found, and both are None
    where there is none to find."""
    best = ranking.best()
    if best is None:
        return {"F1": 0.0 if ranking.objects else None, "threshold": None}
    return {"F1": best.f1, "threshold": best.threshold}


def _between(low: float, high: float) -> float:
    """A number above `low` and up to `high`, of as few decimals as distinguish it from both."""
    for decimals in range(2, 17):
        middle = round((low + high) / 2, decimals)
        if low < middle <= high:
            return middle
    return high


def _judge(found: Detections, truth: ObjectAnnotations, iou: float) -> tuple[Tensor, Tensor]:
    """Score of each detection, and whether it is correct; without those inside crowds."""
    assert truth.crowd is not None
    scores, labels = found.scores.detach().cpu().double(), found.labels.cpu()
    fits = box_ious(found.boxes, truth)
    fits = torch.where((labels[:, None] == truth.labels[None]) & (fits >= iou), fits, 0.0)
    correct, left = torch.zeros(len(scores), dtype=torch.bool), ~truth.crowd
    candidates = fits[:, left].amax(dim=1) > 0 if bool(left.any()) else correct
    for i in scores.argsort(descending=True, stable=True).tolist():
        if candidates[i]:
            open_ = torch.where(left, fits[i], 0.0)
            best = int(open_.argmax())
            if open_[best] > 0:
                correct[i] = True
                left[best] = False
    ignored = ~correct & (fits[:, truth.crowd] > 0).any(dim=1)
    return scores[~ignored], correct[~ignored]
