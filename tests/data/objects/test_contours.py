"""Outlines of masks: filled again they are the mask, whatever its shape."""

import pytest
import torch
from faster_coco_eval.core import mask as coder

from saccade.data.objects.run_lengths import encode_rle, mask_to_polygons, rle_to_polygons


def filled(found, size):
    """Even-odd, at the centre of each pixel."""
    inside = torch.zeros(size, dtype=torch.bool)
    for ring in found:
        for (x0, y0), (x1, y1) in zip(ring, [*ring[1:], ring[0]], strict=True):
            assert (x0 == x1) != (y0 == y1)  # along the edges of pixels, and no corner twice
            if x0 == x1:
                inside[min(y0, y1) : max(y0, y1), x0:] ^= True
    return inside


def area(ring):
    return sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in zip(ring, [*ring[1:], ring[0]], strict=True)) / 2


@pytest.mark.parametrize("seed", range(7))
def test_a_filled_outline_is_the_mask_again(seed):
    size = (17, 23)
    mask = torch.rand(size, generator=torch.Generator().manual_seed(seed)) < 0.2 + 0.1 * seed
    found = rle_to_polygons(encode_rle(mask))
    assert torch.equal(filled(found, size), mask)
    assert sum(map(area, found)) == mask.sum()


def test_a_rectangle_has_four_corners_in_order_of_the_clock():
    mask = torch.zeros(11, 13, dtype=torch.bool)
    mask[2:5, 3:10] = True
    (ring,) = mask_to_polygons(mask)
    assert sorted(ring) == [(3, 2), (3, 5), (10, 2), (10, 5)]
    assert area(ring) == 21


def test_a_hole_runs_the_other_way():
    mask = torch.ones(7, 5, dtype=torch.bool)
    mask[3, 2] = False
    assert sorted(map(area, mask_to_polygons(mask))) == [-1, 35]


def test_pixels_that_touch_at_a_corner_are_apart():
    mask = torch.eye(3, dtype=torch.bool)
    assert [area(ring) for ring in mask_to_polygons(mask)] == [1, 1, 1]


def test_nothing_has_no_outline():
    assert mask_to_polygons(torch.zeros(5, 3, dtype=torch.bool)) == []


def test_coco_draws_the_same_pixels_from_an_outline():
    mask = torch.zeros(31, 29, dtype=torch.bool)
    mask[5:17, 3:20] = True
    mask[17:23, 8:11] = True
    (ring,) = mask_to_polygons(mask)
    drawn = coder.decode(coder.merge(coder.frPyObjects([[float(v) for corner in ring for v in corner]], 31, 29)))
    assert torch.equal(torch.from_numpy(drawn).bool(), mask)
