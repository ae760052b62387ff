"""Tiles: where each pixel's answer depends on that pixel alone, tiles must not be seen in the result."""

import itertools

import pytest
import torch
import torch.nn.functional as F

from saccade.tasks.segment.tiles import OVERLAP, segment_tiled, tile_offsets

WEIGHTS = torch.randn(7, 3, generator=torch.Generator().manual_seed(0))


def pointwise(tiles):
    return torch.einsum("kc,bcyx->bkyx", WEIGHTS, tiles)


@pytest.mark.parametrize("picture", [(37, 53), (101, 97), (16, 24), (5, 199), (131, 11), (1, 1)])
@pytest.mark.parametrize("result", [(1, 1), (2, 3), (0.37, 0.41), (1.7, 1), (0.01, 5)])
def test_as_the_whole_picture_at_once(picture, result):
    """Also where the result is larger or smaller: it is interpolated as torch does it."""
    x = torch.randn(3, *picture, generator=torch.Generator().manual_seed(1))
    size = tuple(max(1, round(side * factor)) for side, factor in zip(picture, result, strict=True))
    whole = F.interpolate(pointwise(x[None]), size=size, mode="bilinear")[0].argmax(dim=0)
    found = segment_tiled(x, (16, 24), 7, pointwise, size)
    assert found.dtype == torch.uint8
    assert torch.equal(found.long(), whole)


def test_tiles_that_disagree_are_blended():
    """Each tile says another number, so every value between two neighbours' is met on the way."""
    calls = []

    def constant(tiles):
        calls.append(len(tiles))
        return torch.stack([torch.zeros(len(tiles), 16, 16), tiles[:, 0] - 0.5], dim=1)

    x = torch.linspace(0, 1, 61).expand(1, 16, 61)
    found = segment_tiled(x, (16, 16), 2, constant, (16, 61))
    assert sum(calls) == len(tile_offsets(61, 16))
    assert torch.equal(found.long(), (x[0] > 0.5).long())


@pytest.mark.parametrize(("length", "side"), [(1, 16), (16, 16), (17, 16), (101, 16), (997, 31), (4000, 512), (7, 1)])
def test_tiles_cover_all_and_overlap_enough(length, side):
    found = tile_offsets(length, side)
    assert found[0] == 0
    assert found[-1] == max(0, length - side)
    steps = [b - a for a, b in itertools.pairwise(found)]
    least = max(1, round(side * OVERLAP)) if side > 1 else 0
    assert all(0 < step <= side - least for step in steps)
    assert max(steps, default=0) - min(steps, default=0) <= 1


def test_memory_does_not_grow_with_the_height():
    """The rows in hand, as far as the network's logits tell: never more than a tile's."""
    most = 0

    def watched(tiles):
        nonlocal most
        most = max(most, tiles.numel())
        return pointwise(tiles)

    for height in (100, 1000):
        segment_tiled(torch.zeros(3, height, 40), (16, 24), 7, watched, (height, 40))
    assert most <= 4 * 3 * 16 * 24
