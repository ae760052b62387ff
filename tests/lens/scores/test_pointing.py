"""Scores of attention against places, by hand-made cases."""

import pytest
import torch

from saccade.errors import SaccadeError
from saccade.lens.scores import coverage, pointing_game


def test_coverage_by_counting():
    """Against a picture of 300 x 300 fine points."""
    boxes = torch.tensor([[0.1, 0.2, 0.75, 0.9], [0, 0, 1, 1], [0.41, 0.52, 0.43, 0.55], [0.3, 0.3, 0.3, 0.3]])
    rows, columns, fine = 3, 5, 300
    spots = (torch.arange(fine) + 0.5) / fine
    y, x = torch.meshgrid(spots, spots, indexing="ij")
    for box, covered in zip(boxes, coverage(boxes, (rows, columns)), strict=True):
        inside = ((x > box[0]) & (x < box[2]) & (y > box[1]) & (y < box[3])).float()
        expected = inside.view(rows, fine // rows, columns, fine // columns).mean(dim=(1, 3))
        torch.testing.assert_close(covered.view(rows, columns), expected, atol=0.02, rtol=0)


def peak_at(y: int, x: int, rows: int = 3, columns: int = 5) -> torch.Tensor:
    one = torch.rand(rows, columns) * 0.1
    one[y, x] = 1.0
    return one


def test_pointing_game_by_hand():
    """6 x 10 pixels under 3 x 5 patches: a patch's middle is the pixel of odd row and column in it."""
    masks = torch.zeros(4, 6, 10, dtype=torch.bool)
    masks[0, 2:4, 4:6] = True  # the patch (1, 2) alone
    masks[1, 0:6, 0:2] = True  # the first column of patches
    masks[2, 3, 3] = True  # the middle of patch (1, 1), one pixel
    masks[3, 0, :] = masks[3, :, 0] = True  # a corner: the middle of its box lies outside of it
    maps = torch.stack([peak_at(1, 2), peak_at(0, 1), peak_at(1, 1), peak_at(2, 4)])
    game = pointing_game([maps], [masks])
    assert game.hits == 2 / 4  # the first and the third
    assert game.centre == 3 / 4
    assert game.random == pytest.approx((4 + 12 + 1 + 15) / 60 / 4)
    assert game.objects == 4
    assert game.low == game.high == game.hits  # one picture: nothing to draw from


def test_the_interval_is_that_of_pictures():
    """Objects of a picture all hit or all miss: as uncertain as 40 pictures, not 400 objects."""
    mask = torch.zeros(10, 6, 10, dtype=torch.bool)
    mask[:, :2, :2] = True
    hit, miss = peak_at(0, 0).expand(10, -1, -1), peak_at(2, 2).expand(10, -1, -1)
    game = pointing_game([hit] * 20 + [miss] * 20, [mask] * 40)
    assert game.hits == 0.5
    deviation = (0.5 * 0.5 / 40) ** 0.5
    assert game.high - game.low == pytest.approx(2 * 1.96 * deviation, rel=0.1)
    again = pointing_game([hit] * 20 + [miss] * 20, [mask] * 40)
    assert (again.low, again.high) == (game.low, game.high)


def test_pictures_of_different_sizes_and_without_objects():
    small, large = torch.zeros(1, 6, 10, dtype=torch.bool), torch.zeros(2, 9, 7, dtype=torch.bool)
    small[0, 0, 0] = large[:, 8, 6] = True
    empty = (torch.zeros(0, 3, 5), torch.zeros(0, 4, 4, dtype=torch.bool))
    maps = [peak_at(0, 0)[None], empty[0], torch.stack([peak_at(8, 6, 9, 7), peak_at(0, 0, 9, 7)])]
    game = pointing_game(maps, [small, empty[1], large])
    assert game.objects == 3
    assert game.hits == pytest.approx(1 / 3)  # of the small one, the patch's middle is the pixel (1, 1)


@pytest.mark.parametrize(
    ("maps", "masks", "said"),
    [
        ([], [], "at least one object"),
        ([torch.ones(1, 2, 2)], [], "of 1 pictures and masks of 0"),
        ([torch.ones(1, 2, 2)], [torch.ones(2, 4, 4) > 0], "same n"),
        ([torch.full((1, 2, 2), torch.nan)], [torch.ones(1, 4, 4) > 0], "not finite"),
        ([torch.ones(1, 2, 2)], [torch.zeros(1, 4, 4) > 0], "empty"),
        ([torch.ones(1, 0, 2)], [torch.ones(1, 4, 4) > 0], "tensor of maps is empty"),
        ([torch.ones(1, 2, 2)], [torch.ones(1, 0, 4) > 0], "tensor of masks is empty"),
        ([torch.ones(2, 2)], [torch.ones(1, 4, 4) > 0], r"maps has the shape \(2, 2\); expected \(n y x\)"),
        ([[[1.0]]], [torch.ones(1, 4, 4) > 0], "tensor of maps is a list"),
        (None, None, "maps are a NoneType"),
    ],
)
def test_what_cannot_be_played(maps, masks, said):
    with pytest.raises(SaccadeError, match=said):
        pointing_game(maps, masks)


def test_masks_that_are_not_boolean_are_refused():
    with pytest.raises(SaccadeError, match=r"masks of torch.uint8; expected boolean"):
        pointing_game([torch.rand(1, 3, 5)], [torch.full((1, 7, 11), 255, dtype=torch.uint8)])


@pytest.mark.parametrize(
    ("boxes", "grid", "said"),
    [
        (torch.tensor([[0, 0, 1, 1], [0.1, 0.2, torch.nan, 0.3]]), (3, 5), "box 1 is .*nan"),
        (torch.tensor([[0.6, 0.2, 0.5, 0.3]]), (3, 5), "box 0 is .*in this order"),
        (torch.rand(4), (3, 5), r"boxes of \(4,\)"),
        (torch.rand(2, 4), (0, 5), r"0 rows or columns in the grid \(0, 5\)"),
        (torch.rand(2, 4), 5, r"grid 5; expected \(rows, columns\)"),
    ],
)
def test_what_covers_nothing(boxes, grid, said):
    with pytest.raises(SaccadeError, match=said):
        coverage(boxes, grid)
    assert coverage(torch.zeros(0, 4), (3, 5)).shape == (0, 15)
    assert not coverage(torch.tensor([[1.2, 1.2, 1.4, 1.5]]), (3, 5)).any()
