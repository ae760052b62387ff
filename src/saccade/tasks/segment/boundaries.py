"""Class boundaries of masks, and the counts behind boundary F and boundary IoU.

All classes are processed at once: a pixel belongs to one class, so each boundary pixel is tested once rather than once
per class.
"""

from collections.abc import Callable, Iterator

import numpy as np
from jaxtyping import Bool, Int64, UInt8

from saccade.data.segments import IGNORE_INDEX

DISTANCES = (1, 2, 3)  # pixels, within which boundaries match
COLUMNS = 2 + 5 * len(DISTANCES)  # of `boundary_counts`
FAR = np.iinfo(np.int32).max  # squared distance where no boundary is near

Mask = UInt8[np.ndarray, "y x"]


def boundary_pixels(mask: Mask) -> Bool[np.ndarray, "y x"]:
    """True for inner boundary pixels: those with one of their four neighbours in another class.

    The edges of the picture and of ignored regions are no boundaries.
    """
    out = np.zeros(mask.shape, bool)
    for rows, edge in ((mask, out), (mask.T, out.T)):
        differ = (rows[:-1] != rows[1:]) & (rows[:-1] != IGNORE_INDEX) & (rows[1:] != IGNORE_INDEX)
        edge[:-1] |= differ
        edge[1:] |= differ
    return out


def nearest_boundary(
    mask: Mask, other: Mask, distance: int
) -> tuple[Int64[np.ndarray, "n"], Int64[np.ndarray, "n"], Int64[np.ndarray, "n"]]:
    """For each boundary pixel of `mask` the nearest boundary pixel of the same class in `other`.

    Returns y, x and the squared Euclidean distance in pixels, FAR where none is within `distance`.
    """
    y, x = np.nonzero(boundary_pixels(mask))
    wide = mask.shape[1] + 2 * distance
    target = np.pad(
        np.where(boundary_pixels(other), other, np.uint8(IGNORE_INDEX)), distance, constant_values=IGNORE_INDEX
    ).ravel()
    classes, place = mask[y, x], (y + distance) * wide + x + distance
    squared = np.full(len(y), FAR, np.int64)
    left = np.arange(len(y))  # not matched yet
    for square, dy, dx in _disc(distance):  # by increasing distance: the first match is the nearest
        hit = target[place[left] + dy * wide + dx] == classes[left]
        squared[left[hit]] = square
        left = left[~hit]
    return y, x, squared


def boundary_bands(mask: Mask, distances: tuple[int, ...] = DISTANCES) -> Iterator[Bool[np.ndarray, "y x"]]:
    """For each distance d, True for the pixels within d of another class, on their own side of the contour.

    This is G_d ∩ G of boundary IoU (Cheng et al., CVPR 2021, eq. 1) for every class G at once, as in the paper's
    reference implementation: the pixels removed by d erosions with a 3 x 3 square (a diagonal step has length 1), where
    the outside of the picture is another class. Ignored pixels are in no band, and are not another class.
    """
    known, above = (
        mask != IGNORE_INDEX,
        mask + np.uint8(1),
    )  # IGNORE_INDEX + 1 is 0: it neither lowers `low` nor raises `high`
    low, high = mask, above
    for d in range(1, max(distances, default=0) + 1):
        low, high = filter_3x3(low, np.minimum), filter_3x3(high, np.maximum)
        if d not in distances:
            continue
        band = known & ((low != mask) | (high != above))
        for rows, there in ((band, known), (band.T, known.T)):
            rows[:d], rows[-d:] = there[:d], there[-d:]
        yield band


def filter_3x3(values: Mask, pick: Callable[..., np.ndarray]) -> Mask:
    """3 x 3 minimum filter (np.minimum) or maximum filter (np.maximum)."""
    for axis in (0, 1):
        out = values.copy()
        given, taken = np.moveaxis(values, axis, 0), np.moveaxis(out, axis, 0)
        pick(taken[1:], given[:-1], out=taken[1:])
        pick(taken[:-1], given[1:], out=taken[:-1])
        values = out
    return values


def boundary_counts(predicted: Mask, truth: Mask, classes: int) -> Int64[np.ndarray, "classes columns"]:
    """Counts of one picture from which boundary F and boundary IoU follow, to be summed over pictures.

    A row for each class; its columns are the number of its boundary pixels in `predicted` and in `truth`, then for each
    of DISTANCES: those of `predicted` near one of `truth`, those of `truth` near one of `predicted`, and the pixels of
    its band in both, in `predicted` and in `truth`. Pixels ignored in `truth` must be ignored in `predicted`.
    """
    out = np.zeros((classes, COLUMNS), np.int64)
    for side, (mask, other) in enumerate(((predicted, truth), (truth, predicted))):
        y, x, squared = nearest_boundary(mask, other, max(DISTANCES))
        out[:, side] = _count(mask[y, x], classes)
        for k, d in enumerate(DISTANCES):
            near = squared <= d * d
            out[:, 2 + 5 * k + side] = _count(mask[y[near], x[near]], classes)
    same = predicted == truth
    for k, (mine, true) in enumerate(zip(boundary_bands(predicted), boundary_bands(truth), strict=True)):
        for column, mask, there in ((4, truth, mine & true & same), (5, predicted, mine), (6, truth, true)):
            out[:, column + 5 * k] = _count(mask[there], classes)
    return out


def _count(values: UInt8[np.ndarray, "n"], classes: int) -> Int64[np.ndarray, "classes"]:
    return np.bincount(values, minlength=classes)


def _disc(distance: int) -> list[tuple[int, int, int]]:
    """Offsets within a disc as (squared length, dy, dx), shortest first."""
    steps = range(-distance, distance + 1)
    disc = [(dy * dy + dx * dx, dy, dx) for dy in steps for dx in steps]
    return sorted(step for step in disc if step[0] <= distance * distance)
