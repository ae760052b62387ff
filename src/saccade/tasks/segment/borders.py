"""Where the borders of classes lie in a mask, and how well those of two masks agree.

All classes of a mask are looked at together: a pixel belongs to one class only, so that whether it lies on a border,
and near a border of the same class in another mask, is asked once a pixel and not once a class.
"""

from collections.abc import Callable, Iterator

import numpy as np
from jaxtyping import Bool, Int64, UInt8

from saccade.data.segments import IGNORE_INDEX

DISTANCES = (1, 2, 3)  # pixels, within which borders agree
COLUMNS = 2 + 5 * len(DISTANCES)  # of `border_counts`
FAR = np.iinfo(np.int32).max  # squared distance of what is not near

Mask = UInt8[np.ndarray, "y x"]


def borders(mask: Mask) -> Bool[np.ndarray, "y x"]:
    """The inner borders: pixels with one of their four neighbours in another class.

    The picture's edge is no border; nor is the edge of an ignored region, as no one knows what lies in it.
    """
    out = np.zeros(mask.shape, bool)
    for rows, edge in ((mask, out), (mask.T, out.T)):
        differ = (rows[:-1] != rows[1:]) & (rows[:-1] != IGNORE_INDEX) & (rows[1:] != IGNORE_INDEX)
        edge[:-1] |= differ
        edge[1:] |= differ
    return out


def near_borders(
    mask: Mask, other: Mask, distance: int
) -> tuple[Int64[np.ndarray, "n"], Int64[np.ndarray, "n"], Int64[np.ndarray, "n"]]:
    """For each border pixel of `mask` the nearest border pixel of the same class in `other`.

    Returns y, x and the squared Euclidean distance in pixels, FAR where there is none within `distance`.
    """
    y, x = np.nonzero(borders(mask))
    wide = mask.shape[1] + 2 * distance
    target = np.pad(
        np.where(borders(other), other, np.uint8(IGNORE_INDEX)), distance, constant_values=IGNORE_INDEX
    ).ravel()
    classes, place = mask[y, x], (y + distance) * wide + x + distance
    squared = np.full(len(y), FAR, np.int64)
    left = np.arange(len(y))  # those not yet near anything
    for square, dy, dx in _disc(distance):  # from the middle outwards: what is met first is nearest
        hit = target[place[left] + dy * wide + dx] == classes[left]
        squared[left[hit]] = square
        left = left[~hit]
    return y, x, squared


def bands(mask: Mask, distances: tuple[int, ...] = DISTANCES) -> Iterator[Bool[np.ndarray, "y x"]]:
    """For each distance d, the pixels that lie within d of what is not of their class, on their side of the contour.

    This is G_d ∩ G of boundary IoU (Cheng et al., CVPR 2021, eq. 1) for every class G at once, exactly as the paper's
    reference implementation has it: what d erosions by a square of 3 x 3 pixels take away (so d counts diagonal
    steps as one), where all around the picture counts as another class. Ignored pixels are of no band and,
    being unknown, of no other class.
    """
    known, above = (
        mask != IGNORE_INDEX,
        mask + np.uint8(1),
    )  # IGNORE_INDEX + 1 is 0: it neither lowers `low` nor raises `high`
    low, high = mask, above
    for d in range(1, max(distances, default=0) + 1):
        low, high = spread(low, np.minimum), spread(high, np.maximum)
        if d not in distances:
            continue
        band = known & ((low != mask) | (high != above))
        for rows, there in ((band, known), (band.T, known.T)):
            rows[:d], rows[-d:] = there[:d], there[-d:]
        yield band


def spread(values: Mask, pick: Callable[..., np.ndarray]) -> Mask:
    """The least (np.minimum) or greatest (np.maximum) value of each pixel and the eight around it."""
    for axis in (0, 1):
        out = values.copy()
        given, taken = np.moveaxis(values, axis, 0), np.moveaxis(out, axis, 0)
        pick(taken[1:], given[:-1], out=taken[1:])
        pick(taken[:-1], given[1:], out=taken[:-1])
        values = out
    return values


def border_counts(said: Mask, truth: Mask, classes: int) -> Int64[np.ndarray, "classes columns"]:
    """What boundary F and boundary IoU are made of, to be added up over pictures.

    A row for each class; its columns are the number of its border pixels in `said` and in `truth`, then for each of
    DISTANCES: those of `said` near one of `truth`, those of `truth` near one of `said`, and the pixels of its band
    in both, in `said` and in `truth`. Pixels ignored in `truth` must be so in `said`.
    """
    out = np.zeros((classes, COLUMNS), np.int64)
    for side, (mask, other) in enumerate(((said, truth), (truth, said))):
        y, x, squared = near_borders(mask, other, max(DISTANCES))
        out[:, side] = _count(mask[y, x], classes)
        for k, d in enumerate(DISTANCES):
            near = squared <= d * d
            out[:, 2 + 5 * k + side] = _count(mask[y[near], x[near]], classes)
    same = said == truth
    for k, (mine, true) in enumerate(zip(bands(said), bands(truth), strict=True)):
        for column, mask, there in ((4, truth, mine & true & same), (5, said, mine), (6, truth, true)):
            out[:, column + 5 * k] = _count(mask[there], classes)
    return out


def _count(values: UInt8[np.ndarray, "n"], classes: int) -> Int64[np.ndarray, "classes"]:
    return np.bincount(values, minlength=classes)


def _disc(distance: int) -> list[tuple[int, int, int]]:
    """Steps of at most this length: its square, down and to the right; the shortest first."""
    steps = range(-distance, distance + 1)
    disc = [(dy * dy + dx * dx, dy, dx) for dy in steps for dx in steps]
    return sorted(step for step in disc if step[0] <= distance * distance)
