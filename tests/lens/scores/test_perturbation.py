"""Deletion, insertion and perturbation with a model whose answers are known at every step."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F

from saccade.errors import SaccadeError
from saccade.lens.scores import deletion, insertion, negative_perturbation, positive_perturbation


def corner(pictures):
    """Class 1 by how much of the first two rows is there, class 0 by nothing."""
    seen = pictures[:, :, :2].mean(dim=(1, 2, 3))
    return torch.stack([torch.zeros_like(seen), 4 * seen - 2], dim=1)


def case(p=3):
    """White pictures of 8 x 10 pixels, and a map of 4 x 5 patches that is right: the first row of patches."""
    maps = torch.zeros(p, 4, 5)
    maps[:, 0] = 1.0
    return torch.ones(p, 2, 8, 10), torch.ones(p, dtype=torch.long), maps


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def test_deletion_by_hand():
    pictures, classes, maps = case()
    found = deletion(corner, pictures, classes, maps, steps=8)
    # Bilinear interpolation keeps the order of rows; each step removes a row of ten pixels, the first two matter.
    expected = [sigmoid(2.0), sigmoid(0.0), *[sigmoid(-2.0)] * 7]
    assert found.curve == pytest.approx(expected)
    assert found.area.value == pytest.approx((sum(expected) - (expected[0] + expected[-1]) / 2) / 8)
    assert found.shares == pytest.approx([i / 8 for i in range(9)])
    assert found.area.value < found.area.random
    assert found.area.low == found.area.high == pytest.approx(found.area.value)  # all pictures alike
    assert found.pictures == 3
    wrong = deletion(corner, pictures, classes, 1 - maps, steps=8)
    assert wrong.area.value > wrong.area.random
    assert wrong.area.random == found.area.random  # the same random maps
    half = deletion(corner, pictures, classes, maps, steps=8, fill=0.5)
    assert half.curve[-1] == pytest.approx(sigmoid(0.0))


def test_the_random_curve_is_that_of_the_share():
    """Removing a share of pixels at random removes that share of the two rows."""
    pictures, classes, maps = case(200)
    found = deletion(lambda x: 4 * F.pad(x[:, :, :2].mean(dim=(1, 2, 3))[:, None], (1, 0)), pictures, classes, maps, 4)
    expected = [sigmoid(4 * (1 - i / 4)) for i in range(5)]
    assert found.random_curve == pytest.approx(expected, abs=0.03)


def test_insertion_starts_from_a_blurred_picture():
    pictures, classes, maps = case()
    pictures = torch.rand_like(pictures)
    starts = []

    def model(x):
        starts.extend(x.split(len(pictures)))
        assert len(x) <= 12
        return corner(x)

    found = insertion(model, pictures, classes, maps, steps=8, batch=12)
    bell = torch.exp(-0.5 * ((torch.arange(11) - 5) / 5.0) ** 2)
    kernel = bell[:, None] * bell / (bell.sum() ** 2)
    padded = F.pad(pictures, (5, 5, 5, 5))
    for y, x in ((0, 0), (3, 4), (7, 9)):
        expected = (padded[:, :, y : y + 11, x : x + 11] * kernel).sum(dim=(2, 3))
        torch.testing.assert_close(starts[0][:, :, y, x], expected)
    assert torch.equal(starts[2][:, :, :2], pictures[:, :, :2])
    assert torch.equal(starts[2][:, :, 2:], starts[0][:, :, 2:])
    assert torch.equal(starts[8], pictures)
    assert found.curve[8] == pytest.approx(float(corner(pictures).softmax(1)[:, 1].mean()))


def test_positive_and_negative_perturbation():
    pictures, classes, maps = case()
    positive = positive_perturbation(corner, pictures, classes, maps)
    # Of 20 pixels that matter, at least 10 must be there for the class to win; 10 % are 8 pixels, 20 % are 16.
    assert positive.shares == pytest.approx([i / 10 for i in range(1, 10)])
    assert positive.curve == (1.0, *[0.0] * 8)
    assert positive.area.value == pytest.approx(0.5 / 8)
    negative = negative_perturbation(corner, pictures, classes, maps)
    # The 20 last are touched from 60 pixels on; at 80 % 16 of them are left, at 90 % 8.
    assert negative.curve == pytest.approx((*[1.0] * 8, 0.0), abs=0)
    assert negative.area.value > negative.area.random


def test_the_interval_is_that_of_pictures_and_batches_do_not_matter():
    pictures, classes, maps = case(40)
    pictures[:20] = 0.0  # nothing to lose
    found = deletion(corner, pictures, classes, maps, steps=8)
    assert found.area.low < found.area.value < found.area.high
    lost = deletion(corner, pictures[20:], classes[20:], maps[20:], steps=8).area.value
    deviation = abs(lost - sigmoid(-2.0)) * (0.25 / 40) ** 0.5
    assert found.area.high - found.area.low == pytest.approx(2 * 1.96 * deviation, rel=0.15)
    assert deletion(corner, pictures, classes, maps, steps=8, batch=7).curve == pytest.approx(found.curve)


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize("score", [deletion, insertion, positive_perturbation, negative_perturbation])
def test_what_cannot_be_played(score):
    pictures, classes, maps = case()
    spoiled = pictures.clone()
    spoiled[1, 0, 3, 4] = NAN
    for arguments, said in (
        ((corner, pictures[0], classes, maps), r"batch of pictures has the shape \(2, 8, 10\); expected \(p c h w\)"),
        ((corner, pictures.numpy(), classes, maps), "batch of pictures is a ndarray"),
        ((corner, pictures, classes[:2], maps), "3 pictures, 2 classes and 3 maps do not fit together"),
        ((corner, pictures, classes, maps[:2]), "3 pictures, 3 classes and 2 maps do not fit together"),
        ((corner, pictures, classes.tolist(), maps), "list of classes is a list; expected a tensor"),
        ((corner, pictures, classes, maps[0]), r"batch of maps has the shape \(4, 5\)"),
        ((corner, pictures, classes, maps[:, :0]), r"batch of maps is empty: its shape is \(3, 0, 5\)"),
        ((corner, pictures[..., :0], classes, maps), "batch of pictures is empty"),
        ((corner, pictures[:0], classes[:0], maps[:0]), "at least one picture"),
        ((corner, (255 * pictures).byte(), classes, maps), "torch.uint8; expected the float ones"),
        ((corner, spoiled, classes, maps), "batch of pictures is not finite: it holds nan"),
        ((corner, pictures, classes.float(), maps), "classes are whole numbers"),
        ((corner, pictures, classes > 0, maps), "classes are whole numbers"),
        ((corner, pictures, classes + 1, maps), "class 2 is not there: the model gives 2 classes, 0 to 1"),
        ((corner, pictures, classes - 2, maps), "class -1 is not there"),
        ((corner, pictures, classes, maps / 0), "batch of maps is not finite: it holds 60 numbers such as"),
        ((corner, pictures, classes, maps * 1j), "batch of maps has numbers of torch.complex64"),
        ((lambda x: x, pictures, classes, maps), r"the model gave \(\d+, 2, 8, 10\); expected logits"),
        ((lambda x: x[:, :0, 0, 0], pictures, classes, maps), r"the model gave \(\d+, 0\); expected logits"),
        ((lambda x: "a", pictures, classes, maps), r"the model gave str; .* lambda x: model\(x\).logits"),
        ((lambda x: corner(x) * INF, pictures, classes, maps), "the model gave logits that are not finite"),
        ((lambda x: corner(x) + NAN, pictures, classes, maps), r"not finite: \d+ numbers such as nan among"),
    ):
        with pytest.raises(SaccadeError, match=said):
            score(*arguments)
    for options, said in (
        ({"batch": 0}, "0 pictures at a time; expected 1 or more"),
        ({"batch": 1.5}, "1.5 pictures at a time: expected whole numbers"),
        ({"seed": -1}, "the seed -1; expected a whole number from 0"),
        ({"seed": "x"}, "the seed 'x': expected whole numbers"),
    ):
        with pytest.raises(SaccadeError, match=said):
            score(corner, pictures, classes, maps, **options)


def test_steps_and_fillings_that_make_no_sense():
    for options, said in (
        ({"steps": 0}, "0 steps"),
        ({"steps": 2.0}, "steps: expected"),
        ({"fill": NAN}, "become nan"),
    ):
        with pytest.raises(SaccadeError, match=said):
            deletion(corner, *case(), **options)


def test_logits_that_are_not_finite_only_at_a_later_step_are_seen():
    pictures, classes, maps = case()
    with pytest.raises(SaccadeError, match="logits that are not finite"):
        deletion(lambda x: corner(x) / x.amax(dim=(1, 2, 3))[:, None], pictures, classes, maps, steps=8)


def test_maps_of_whole_numbers_are_set_beside_the_same_random_ones():
    pictures, classes, maps = case()
    found = deletion(corner, pictures, classes, maps.long(), steps=8)
    assert found == deletion(corner, pictures, classes, maps, steps=8)
    assert found == deletion(corner, pictures, classes, maps > 0, steps=8)
    assert found == deletion(corner, pictures, classes.to(torch.uint8), maps.half(), steps=8)


def test_the_published_area_begins_with_the_unchanged_pictures():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 49, 5)).eval()
    pictures, maps = torch.randn(11, 3, 7, 7), torch.rand(11, 7, 7)
    with torch.no_grad():
        classes = model(pictures).argmax(dim=1)
    classes[:3] = (classes[:3] + 1) % 5
    found = positive_perturbation(model, pictures, classes, maps)
    assert found.start == pytest.approx(8 / 11)
    heights = [found.start, *found.curve]
    expected = sum(0.1 * (a + z) / 2 for a, z in itertools.pairwise(heights)) * 100
    assert found.published == pytest.approx(expected)
    assert len(found.curve) == len(found.random_curve) == len(found.shares) == 9
