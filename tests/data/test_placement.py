"""Boxes land where the pixels land, for every way of fitting a picture to a model."""

import numpy as np
import pytest
import torch
from PIL import Image

from saccade.data import Preprocess
from saccade.data.preprocess import Placement
from saccade.errors import SaccadeError

WAYS = [
    {"size": (83, 97)},
    {"size": (53, 53), "shortest": 67},
    {"size": (53, 59), "resize": "crop"},
    {"size": (53, 53), "resize": "crop", "shortest": 71},
    {"size": (89, 97), "resize": "crop", "shortest": 61},  # padded
    {"size": (97, 83), "resize": "letterbox"},
    {"size": (211, 307), "resize": "letterbox"},  # enlarged
    {"size": (101, 101), "resize": "letterbox", "detail": 47},
    {"size": (61, 61), "resize": "crop", "detail": 47},
]
SIZES = [(101, 139), (149, 103), (113, 113), (79, 401)]  # height, width


def edges(profile: np.ndarray) -> tuple[float, float]:
    """Where a bright bar begins and ends, from the light left and right of its brightest pixels' middle."""
    middle = int(np.flatnonzero(profile > 0.9 * profile.max()).mean())
    profile = profile / profile[middle]
    return middle - profile[:middle].sum(), middle + profile[middle:].sum()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_a_rectangle_lands_where_its_box_does(way, size, interpolation):
    fit = Preprocess(**way, mean=(0.0,), std=(1.0,), interpolation=interpolation)
    height, width = size
    middle_x, middle_y, reach = width // 2, height // 2, min(size) // 5
    left, top, right, bottom = middle_x - reach, middle_y - reach - 3, middle_x + reach + 5, middle_y + reach
    pixels = np.zeros(size, dtype=np.uint8)
    pixels[top:bottom, left:right] = 255
    seen = np.asarray(fit.resize_and_crop(Image.fromarray(pixels)), dtype=np.float64)
    placement = fit.placement(height, width)
    box = placement.to_model(torch.tensor([[left, top, right, bottom]], dtype=torch.float64))[0].tolist()
    found_x, found_y = edges(seen[int((box[1] + box[3]) / 2)]), edges(seen[:, int((box[0] + box[2]) / 2)])
    # enlarging samples the blurred edge at few places, and `detail` rounds to bytes between two blurs
    assert box == pytest.approx([found_x[0], found_y[0], found_x[1], found_y[1]], abs=0.1)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("size", [*SIZES, (1, 1), (3, 997), (997, 2)])
def test_round_trip(way, size):
    placement = Preprocess(**way).placement(*size)
    corner = torch.rand(31, 2) * torch.tensor([size[1], size[0]])
    boxes = torch.cat([corner, corner + torch.rand(31, 2) * 50], dim=1)
    torch.testing.assert_close(placement.to_picture(placement.to_model(boxes)), boxes, atol=2e-4, rtol=0)
    exact = boxes.double()
    torch.testing.assert_close(placement.to_picture(placement.to_model(exact)), exact, atol=1e-9, rtol=0)
    assert placement.to_model(boxes[:0]).shape == (0, 4)


@pytest.mark.parametrize("size", [*SIZES, (1, 1), (1, 5000), (5000, 1)])
def test_a_letterbox_holds_the_whole_picture_in_the_middle_of_the_mean_colour(size):
    fit = Preprocess((83, 97), "letterbox", mean=(0.485, 0.456, 0.2))
    height, width = size
    seen = np.asarray(fit.resize_and_crop(Image.new("RGB", (width, height), (255, 255, 255))))
    box = fit.placement(height, width).to_model(torch.tensor([[0.0, 0, width, height]], dtype=torch.float64))[0]
    left, top, right, bottom = box.round().long().tolist()
    torch.testing.assert_close(box, box.round(), atol=1e-9, rtol=0)  # whole pixels
    assert abs((97 - right) - left) <= 1
    assert abs((83 - bottom) - top) <= 1
    assert (right - left == 97) or (bottom - top == 83)
    assert (seen[top:bottom, left:right] == 255).all()
    outside = np.ones((83, 97), dtype=bool)
    outside[top:bottom, left:right] = False
    assert (seen[outside] == (124, 116, 51)).all()


def test_a_grey_letterbox():
    seen = Preprocess((7, 11), "letterbox", mean=(0.5,), std=(1.0,)).resize_and_crop(Image.new("RGB", (11, 3)))
    assert np.asarray(seen)[:, 0].tolist() == [128, 128, 0, 0, 0, 128, 128]


def test_masks_move_as_the_picture_does():
    fit = Preprocess((61, 83), "letterbox", interpolation="nearest", mean=(0.0,), std=(1.0,))
    mask = np.random.default_rng(0).random((2, 37, 31)) < 0.4
    moved = fit.placement(37, 31).masks_to_model(torch.from_numpy(mask), fit.size)
    for one, expected in zip(moved, mask, strict=True):
        seen = fit.resize_and_crop(Image.fromarray(expected.astype(np.uint8) * 255))
        assert np.array_equal(one.numpy(), np.asarray(seen) > 0)
    assert not Placement(1.0, 1.0, 50.0, 0.0).masks_to_model(torch.ones(1, 5, 7, dtype=torch.bool), (11, 13)).any()


def test_a_letterbox_has_no_shortest_side():
    with pytest.raises(SaccadeError, match="shortest is 7; a letterboxed picture is as large as fits"):
        Preprocess((7, 7), "letterbox", shortest=7)


def test_at_another_size():
    assert Preprocess((64, 64), "letterbox").with_size(31) == Preprocess((31, 31), "letterbox")
