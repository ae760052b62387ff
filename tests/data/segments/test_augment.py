"""Augmentation for segmentation: masks stay on their pictures, to the pixel."""

import pytest
import torch

from saccade.data.segments import IGNORE_INDEX
from saccade.data.segments.augment import SegmentAugment, resample_masks
from saccade.errors import DataError

COLOURS = torch.tensor([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0], [0, 255, 255]], dtype=torch.uint8)
STILL = {"scale": (1.0, 1.0), "hflip": False, "color_jitter": 0.0}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def scenes(n: int = 7, rows: int = 61, columns: int = 83) -> tuple[torch.Tensor, torch.Tensor]:
    """Rectangles over one another, pictures coloured by class."""
    g = seeded(99)
    masks = torch.zeros(n, rows, columns, dtype=torch.uint8)
    for mask in masks:
        for _ in range(9):
            top, left = (int(torch.randint(0, side - 12, (), generator=g)) for side in (rows, columns))
            height, width = (int(torch.randint(9, 30, (), generator=g)) for _ in range(2))
            mask[top : top + height, left : left + width] = int(torch.randint(0, 5, (), generator=g))
    return COLOURS[masks.long()].permute(0, 3, 1, 2).contiguous(), masks


def inner(masks: torch.Tensor, reach: int = 2) -> torch.Tensor:
    """Pixels whose neighbours up to `reach` away are of the same class."""
    x = masks.float()[:, None]
    grown = torch.nn.functional.max_pool2d(x, 2 * reach + 1, 1, reach)
    shrunk = -torch.nn.functional.max_pool2d(-x, 2 * reach + 1, 1, reach)
    return (grown == shrunk)[:, 0] & (masks != IGNORE_INDEX)


@pytest.mark.parametrize("size", [(61, 83), (41, 53), (101, 97), (113, 43)])
@pytest.mark.parametrize("scale", [(0.5, 2.0), (1.0, 1.0), (0.5, 0.5), (3.1, 3.1)])
def test_pictures_and_masks_stay_together(size, scale):
    pictures, masks = scenes()
    for seed in range(3):
        x, moved = SegmentAugment(size, scale, color_jitter=0.0)(pictures, masks, seeded(seed))
        assert (x.shape, x.dtype) == ((7, 3, *size), torch.float32)
        assert (moved.shape, moved.dtype) == ((7, *size), torch.uint8)
        sure = inner(moved)
        assert sure.float().mean() > 0.05
        expected = COLOURS[moved.long().clamp(max=4)].permute(0, 3, 1, 2) / 255
        difference = (x - expected).abs().amax(1)
        # shrunk, a sliver between two rectangles may be seen in the picture and be under no pixel's centre
        assert float((difference[sure] > 1e-6).float().mean()) <= (0.01 if scale[0] < 1 else 0.0)
        # nearest along borders too: a pixel is nowhere nearer to another class than by half
        assert float((difference[moved != IGNORE_INDEX] > 0.75).float().mean()) < 0.005


def test_proportions_are_kept_and_the_rest_is_ignored():
    pictures, masks = scenes()
    x, moved = SegmentAugment((50, 90), (0.5, 0.5), color_jitter=0.0)(pictures, masks, seeded())
    inside = moved != IGNORE_INDEX
    assert inside.sum((1, 2)).tolist() == [30 * 42] * 7  # 61 x 83 at half size
    places = {tuple(each.nonzero().amin(0).tolist()) for each in inside}
    assert len(places) == 7
    mean = (pictures[:, :, ::4, ::4].float().mean((0, 2, 3))).round() / 255
    assert (x.permute(0, 2, 3, 1)[~inside] - mean).abs().max() < 1e-6
    # one side is cut, the other one padded
    _, moved = SegmentAugment((100, 40), (1.0, 1.0))(pictures, masks, seeded())
    assert (moved != IGNORE_INDEX).any(2).sum(1).tolist() == [61] * 7
    assert (moved != IGNORE_INDEX).any(1).sum(1).tolist() == [40] * 7


def test_nothing_on_is_the_picture_itself():
    pictures, masks = scenes()
    x, same = SegmentAugment((61, 83), **STILL)(pictures, masks, seeded())
    assert torch.equal(x, pictures / 255)
    assert torch.equal(same, masks)
    x, part = SegmentAugment((31, 29), **STILL)(pictures, masks, seeded())
    windows = masks.unfold(1, 31, 1).unfold(2, 29, 1)
    assert all((windows[i] == part[i]).all(-1).all(-1).any() for i in range(7))


def test_mirrors_half_of_the_time():
    pictures, masks = scenes(50)
    x, moved = SegmentAugment((61, 83), (1.0, 1.0), color_jitter=0.0)(pictures, masks, seeded())
    turned = [torch.equal(each, mask.flip(1)) for each, mask in zip(moved, masks, strict=True)]
    assert 15 < sum(turned) < 35
    assert all(torch.equal(each, mask) for each, mask, t in zip(moved, masks, turned, strict=True) if not t)
    assert all(torch.equal(y, p.flip(2) / 255) for y, p, t in zip(x, pictures, turned, strict=True) if t)


def test_nearest_against_its_definition():
    g = seeded(4)
    masks = torch.randint(0, 200, (5, 23, 31), generator=g, dtype=torch.uint8)
    source = torch.tensor([[0, 0, 23, 31], [3, 5, 7, 11], [22, 30, 1, 1], [2, 0, 19, 31], [1, 2, 3, 4]])
    target = torch.tensor([[0, 0, 13, 17], [2, 1, 9, 5], [0, 0, 13, 17], [4, 16, 2, 1], [0, 0, 13, 17]])
    mirrored = torch.tensor([False, True, False, False, True])
    found = resample_masks(masks, source, (13, 17), target, mirrored)
    for i in range(5):
        (top, left, h, w), (row, column, rows, columns) = source[i].tolist(), target[i].tolist()
        expected = torch.full((13, 17), IGNORE_INDEX, dtype=torch.uint8)
        for y in range(rows):
            for x in range(columns):
                expected[row + y, column + x] = masks[
                    i, top + int((y + 0.5) * h / rows), left + int((x + 0.5) * w / columns)
                ]
        assert torch.equal(found[i], expected.flip(1) if mirrored[i] else expected)


def test_one_seed_one_result_and_nothing_given_is_changed():
    pictures, masks = scenes()
    kept, state = (pictures.clone(), masks.clone()), torch.get_rng_state()
    augment = SegmentAugment((53, 59))
    first, again = augment(pictures, masks, seeded(5)), augment(pictures, masks, seeded(5))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[1], augment(pictures, masks, seeded(6))[1])
    assert torch.equal(pictures, kept[0])
    assert torch.equal(masks, kept[1])
    assert 0 <= first[0].min() < first[0].max() <= 1


def test_colour_changes_pictures_only():
    pictures, masks = scenes()
    still, same = SegmentAugment((61, 83), **STILL)(pictures, masks, seeded())
    x, moved = SegmentAugment((61, 83), **STILL | {"color_jitter": 0.5})(pictures, masks, seeded())
    assert torch.equal(same, moved)
    assert (x - still).abs().mean() > 0.03


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scale": (0.0, 1.0)}, "scale"),
        ({"scale": (2.0, 1.0)}, "scale"),
        ({"color_jitter": 1.1}, "color_jitter"),
        ({"size": (0, 3)}, "size"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(DataError, match=message):
        SegmentAugment(**{"size": (5, 7)} | options)


def test_bad_batches():
    pictures, masks = scenes()
    with pytest.raises(DataError, match=r"pictures of type torch.float32 were given; uint8"):
        SegmentAugment((5, 7))(pictures / 255, masks, seeded())
    with pytest.raises(DataError, match=r"masks of type torch.int64 were given; uint8"):
        SegmentAugment((5, 7))(pictures, masks.long(), seeded())
    with pytest.raises(DataError, match=r"7 pictures of 83 x 61 pixels came with masks of shape \(7, 83, 61\)"):
        SegmentAugment((5, 7))(pictures, masks.mT.contiguous(), seeded())
