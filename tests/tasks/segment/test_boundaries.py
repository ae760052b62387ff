"""Borders of masks and how well they agree, against the definitions, a pixel at a time."""

import math

import numpy as np
import pytest

from saccade.data.segments import IGNORE_INDEX
from saccade.tasks.segment.boundaries import (
    COLUMNS,
    DISTANCES,
    FAR,
    boundary_bands,
    boundary_counts,
    boundary_pixels,
    nearest_boundary,
)

SIZES = [(13, 17), (1, 1), (1, 7), (5, 1), (2, 3), (23, 11)]


def blobs(size, classes, seed, ignored=0.0, smooth=2):
    """Random regions; some pixels ignored."""
    random = np.random.default_rng(seed)
    small = random.integers(0, classes, [side // smooth + 1 for side in size])
    mask = small.repeat(smooth, 0).repeat(smooth, 1)[: size[0], : size[1]].astype(np.uint8)
    mask[random.random(size) < 0.1] = random.integers(0, classes)
    mask[random.random(size) < ignored] = IGNORE_INDEX
    return mask


def pair(size, classes, seed, ignored):
    predicted, truth = blobs(size, classes, seed), blobs(size, classes, seed + 1, ignored)
    return np.where(truth == IGNORE_INDEX, np.uint8(IGNORE_INDEX), predicted), truth


def at(mask, y, x):
    """The value of a pixel, or None outside."""
    return int(mask[y, x]) if 0 <= y < mask.shape[0] and 0 <= x < mask.shape[1] else None


def slow_borders(mask):
    """Pixels (y, x) of a known class with a neighbour of another known class."""
    found = set()
    for y, x in np.ndindex(mask.shape):
        around = [at(mask, y + dy, x + dx) for dy, dx in ((-1, 0), (1, 0), (0, -1), (0, 1))]
        here = mask[y, x]
        if here != IGNORE_INDEX and any(other not in (None, IGNORE_INDEX, here) for other in around):
            found.add((y, x))
    return found


def slow_band(mask, distance):
    """Pixels of a known class with another known class, or the outside, at most so many steps of eight ways off."""
    found, steps = set(), range(-distance, distance + 1)
    for y, x in np.ndindex(mask.shape):
        around = [at(mask, y + dy, x + dx) for dy in steps for dx in steps]
        if mask[y, x] != IGNORE_INDEX and any(other not in (IGNORE_INDEX, mask[y, x]) for other in around):
            found.add((y, x))
    return found


def slow_counts(predicted, truth, classes):
    out = np.zeros((classes, COLUMNS), int)
    for c in range(classes):
        mine, true = ({place for place in slow_borders(m) if m[place] == c} for m in (predicted, truth))
        out[c, :2] = len(mine), len(true)
        for k, d in enumerate(DISTANCES):
            near = [sum(any(math.dist(p, q) <= d for q in b) for p in a) for a, b in ((mine, true), (true, mine))]
            g, p = ({place for place in slow_band(m, d) if m[place] == c} for m in (truth, predicted))
            out[c, 2 + 5 * k : 7 + 5 * k] = *near, len(g & p), len(p), len(g)
    return out


def places(found):
    return set(zip(*(axis.tolist() for axis in np.nonzero(found)), strict=True))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("classes", "ignored"), [(2, 0.0), (5, 0.0), (3, 0.2)])
def test_counts_are_those_of_the_definition(size, classes, ignored):
    for seed in range(4):
        predicted, truth = pair(size, classes, seed, ignored)
        assert (boundary_counts(predicted, truth, classes) == slow_counts(predicted, truth, classes)).all()


@pytest.mark.parametrize("size", SIZES)
def test_borders_and_bands_are_those_of_the_definition(size):
    mask = blobs(size, 3, 5, ignored=0.1, smooth=5)
    assert places(boundary_pixels(mask)) == slow_borders(mask)
    wide = list(boundary_bands(mask, (1, 4, 9)))
    assert [places(band) for band in wide] == [slow_band(mask, d) for d in (1, 4, 9)]


def test_the_nearest_border_is_found():
    mask, other = np.zeros((9, 9), np.uint8), np.zeros((9, 9), np.uint8)
    mask[4, 4], other[5, 6] = 1, 1
    for distance, middle in ((2, FAR), (3, 5)):  # 4, 4 lies 5 ** .5 from 5, 6
        y, x, squared = nearest_boundary(mask, other, distance)
        nearest = dict(zip(zip(y.tolist(), x.tolist(), strict=True), squared.tolist(), strict=True))
        around = {(3, 4): 5, (5, 4): 1, (4, 3): 5, (4, 5): 1}  # of class 0, to 5, 5 and 4, 6
        assert nearest[4, 4] == middle
        if distance == 3:
            assert nearest == {**around, (4, 4): 5}


def test_borders_of_two_halves():
    """Two columns a side: the border is a pixel of each, and the picture's edge none."""
    mask = np.zeros((3, 4), np.uint8)
    mask[:, 2:] = 1
    assert places(boundary_pixels(mask)) == {(y, x) for y in range(3) for x in (1, 2)}


def test_ignored_pixels_have_no_border():
    mask = np.zeros((1, 5), np.uint8)
    mask[0, 2], mask[0, 3:] = IGNORE_INDEX, 1
    assert not boundary_pixels(mask).any()
    large = np.pad(mask, 9, "edge")
    band = next(boundary_bands(large, (1,)))  # only what lies at the picture's edge
    assert places(band) == {(y, x) for y in range(19) for x in range(23) if (y in (0, 18) or x in (0, 22)) and x != 11}


def test_the_reference_implementation_of_boundary_iou():
    """Its erosion: a square of 3 x 3, d times, the picture set in zeros."""
    mask = (blobs((19, 23), 2, 8, smooth=6) == 1).astype(np.uint8)
    for d, band in zip(DISTANCES, boundary_bands(mask), strict=True):
        eroded = np.pad(mask, d)
        for _ in range(d):
            inner = np.lib.stride_tricks.sliding_window_view(eroded, (3, 3)).min(axis=(2, 3))
            eroded = np.pad(inner, 1)
        assert ((mask - eroded[d:-d, d:-d]) == (band & (mask == 1))).all()


def test_the_masks_given_stay_as_they_are():
    predicted, truth = pair((13, 17), 3, 1, 0.2)
    copies = predicted.copy(), truth.copy()
    boundary_counts(predicted, truth, 3)
    assert (predicted == copies[0]).all()
    assert (truth == copies[1]).all()
