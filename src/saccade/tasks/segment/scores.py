"""Scores of a segmenter for regions and boundaries, accumulated picture by picture."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from saccade.data.files import escape
from saccade.data.segments import IGNORE_INDEX, MAX_CLASSES
from saccade.errors import DataError
from saccade.tasks.segment.boundaries import COLUMNS, DISTANCES, Mask, boundary_counts, nearest_boundary


class SegmentScores:
    """Accumulates counts over pictures and computes scores from them.

    Pixels of IGNORE_INDEX in the truth are left out. Each score is computed from the counts of a class over the whole
    set, then averaged over classes (as the mIoU of PASCAL VOC and Cityscapes). A class that occurs neither in the truth
    nor in the predictions has the score None, and is left out of averages; one that is only predicted scores 0.

    **Boundary F** at d pixels (Csurka et al., BMVC 2013, section 2; the F measure of DAVIS, Perazzi et al., CVPR
    2016, section 4). A boundary pixel of a class is one with one of its four neighbours in another class: the innermost
    pixels of the region; the picture's edge is no boundary. Precision is the fraction of the predicted boundary pixels
    within a Euclidean distance of d pixels of a true one, recall the reverse, F their harmonic mean. Csurka and DAVIS
    score each picture and average; here pixels are summed over all pictures first, as for IoU. Where a region meets
    ignored pixels neither mask has a boundary.

    **Boundary IoU** at d pixels (Cheng et al., CVPR 2021, eq. 1). The IoU of the pixels of both regions within d of
    their contours. As in the paper's reference implementation, d counts steps to any of eight neighbours, and the
    outside of the picture is another class, so that numbers can be compared with published ones, and a region that
    fills the picture has a score. The only difference: ignored pixels are left out, and are no contour.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        """Raises DataError for no classes, more than a mask can hold, or two of one name."""
        self.classes = list(classes)
        if not 0 < len(self.classes) <= MAX_CLASSES:
            raise DataError(f"{len(self.classes)} classes to score; between 1 and {MAX_CLASSES} were expected")
        twice = next((name for i, name in enumerate(self.classes) if name in self.classes[:i]), None)
        if twice is not None:
            raise DataError(f"two classes are named {escape(twice)}; expected names that differ, to tell scores apart")
        n = len(self.classes)
        self._sums = torch.zeros(n, n + COLUMNS, dtype=torch.int64)

    def add(self, predicted: UInt8[Tensor, "y x"], truth: UInt8[Tensor, "y x"], name: str = "a picture") -> None:
        """Add the pixels of one picture. Raises DataError, with its name, for masks that differ in size, are empty or
        not uint8, and for values that are no class."""
        n = len(self.classes)
        mine, true = validate_masks(predicted, truth, n, name)
        known = true != IGNORE_INDEX
        pairs = torch.from_numpy(true[known].astype(np.int32) * n + mine[known])
        self._sums[:, :n] += torch.bincount(pairs, minlength=n * n).reshape(n, n)
        self._sums[:, n:] += torch.from_numpy(boundary_counts(mine, true, n))

    @property
    def sums(self) -> Int64[Tensor, "classes columns"]:
        """The accumulated counts. Those of several processes can be added, and passed to `from_sums`."""
        return self._sums.clone()

    @classmethod
    def from_sums(cls, classes: Sequence[str], sums: Int64[Tensor, "classes columns"]) -> Self:
        """Raises DataError for sums of another number of classes, or of another type."""
        scores = cls(classes)
        if sums.shape != scores._sums.shape or sums.dtype != torch.int64:
            raise DataError(
                f"sums of scores are {tuple(sums.shape)} {sums.dtype}; expected {tuple(scores._sums.shape)} "
                f"torch.int64 for {len(scores.classes)} classes"
            )
        scores._sums += sums.cpu()
        return scores

    @property
    def confusion(self) -> Int64[Tensor, "classes classes"]:
        """Number of pixels by true class (row) and predicted class (column)."""
        return self._sums[:, : len(self.classes)].clone()

    def result(self) -> dict[str, Any]:
        """The scores, 0 to 1, or None where there is nothing to score.

        mIoU; pixel_accuracy, the fraction of correct pixels; mean_accuracy, the mean of the classes' recall;
        Dice, the mean of the classes'; boundary_F@1, @2, @3 and boundary_IoU@1, @2, @3, means of the classes'; and
        per_class: for each name its IoU, Dice, accuracy (recall), boundary scores, and its number of true pixels.
        """
        matrix = self.confusion.double()
        right, true, predicted = matrix.diagonal(), matrix.sum(dim=1), matrix.sum(dim=0)
        scores = {
            "IoU": _ratios(right, true + predicted - right),
            "Dice": _ratios(2 * right, true + predicted),
            "accuracy": [None if s + t == 0 else r / max(t, 1) for r, t, s in _rows(right, true, predicted)],
            **self._boundary_scores(),
        }
        means = {name: _mean(values) for name, values in scores.items()}
        return {
            "mIoU": means.pop("IoU"),
            "pixel_accuracy": _ratios(right.sum(), matrix.sum())[0],
            "mean_accuracy": means.pop("accuracy"),
            **means,
            "per_class": {
                name: {**{what: values[i] for what, values in scores.items()}, "pixels": int(true[i])}
                for i, name in enumerate(self.classes)
            },
        }

    def _boundary_scores(self) -> dict[str, list[float | None]]:
        """Name -> a value for each class."""
        predicted, true, *rest = self._sums[:, len(self.classes) :].double().T
        f, iou = {}, {}
        for k, d in enumerate(DISTANCES):
            near_true, near_predicted, both, mine, others = rest[5 * k : 5 * k + 5]
            f[f"boundary_F@{d}"] = [_f(*row) for row in _rows(near_true, predicted, near_predicted, true)]
            iou[f"boundary_IoU@{d}"] = _ratios(both, mine + others - both)
        return {**f, **iou}


def boundary_f(predicted: Mask, truth: Mask, classes: int, distance: int) -> list[float | None]:
    """Boundary F of each class of one picture, from its `validate_masks`; as `SegmentScores` computes it, but without
    the other scores."""
    counts = []
    for mask, other in ((predicted, truth), (truth, predicted)):
        y, x, squared = nearest_boundary(mask, other, distance)
        near = squared <= distance * distance
        counts += [np.bincount(mask[place], minlength=classes) for place in ((y[near], x[near]), (y, x))]
    return [_f(*row) for row in zip(*(column.tolist() for column in counts), strict=True)]


def validate_masks(predicted: Tensor, truth: Tensor, classes: int, name: str) -> tuple[Mask, Mask]:
    """Both as arrays; pixels ignored in the truth are ignored in both. Raises DataError as `SegmentScores.add` does."""
    for what, mask in (("the prediction", predicted), ("the truth", truth)):
        if mask.dtype != torch.uint8 or mask.ndim != 2 or not mask.numel():
            found = f"{tuple(mask.shape)} {mask.dtype}"
            raise DataError(f"{escape(name)}: {what} is {found}; expected a mask (y x) of torch.uint8 with pixels")
    if predicted.shape != truth.shape:
        sizes = [f"{mask.shape[1]} x {mask.shape[0]}" for mask in (predicted, truth)]
        raise DataError(
            f"{escape(name)}: the prediction has {sizes[0]} pixels, the truth {sizes[1]}; expected the same size"
        )
    true = truth.cpu().numpy()
    mine = np.where(true == IGNORE_INDEX, np.uint8(IGNORE_INDEX), predicted.cpu().numpy())
    for what, values, also in (("the prediction", mine, ""), ("the truth", true, f", or {IGNORE_INDEX} to ignore it")):
        wrong = (values >= classes) & (true != IGNORE_INDEX)
        if wrong.any():
            value = int(values[wrong][0])
            raise DataError(f"{escape(name)}: a pixel of {what} is of class {value}; expected 0 to {classes - 1}{also}")
    return mine, true


def _rows(*columns: Tensor) -> list[tuple[float, ...]]:
    return list(zip(*(column.tolist() for column in columns), strict=True))


def _ratios(part: Tensor, whole: Tensor) -> list[float | None]:
    return [p / w if w else None for p, w in _rows(part.reshape(-1), whole.reshape(-1))]


def _f(near_true: float, predicted: float, near_predicted: float, true: float) -> float | None:
    """Harmonic mean of precision and recall of boundary pixels; 0 where only one mask has any."""
    if not predicted and not true:
        return None
    precision, recall = near_true / max(predicted, 1), near_predicted / max(true, 1)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _mean(values: list[float | None]) -> float | None:
    there = [value for value in values if value is not None]
    return sum(there) / len(there) if there else None
