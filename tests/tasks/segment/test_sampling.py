"""Pixels drawn for the loss: which, how often, and that sums over them estimate sums over all."""

import pytest
import torch

from saccade.data.segments import IGNORE_INDEX
from saccade.tasks.segment.sampling import boundary_band, sample_pixels


def truth() -> torch.Tensor:
    mask = torch.zeros(2, 23, 29, dtype=torch.uint8)
    mask[0, 5:17, 11:] = 3
    mask[1, :, 13:] = 1
    mask[0, 19:] = IGNORE_INDEX
    return mask


def draw(mask, boundary_weight=2.0, seed=0):
    return sample_pixels(mask, boundary_weight, torch.Generator().manual_seed(seed))


def test_a_quarter_of_the_pixels_all_of_them_labelled():
    sample = draw(truth())
    assert sample.pixels.shape == (2, round(23 * 29 / 4))
    assert (truth().flatten(1).gather(1, sample.pixels) != IGNORE_INDEX).all()
    assert torch.equal(sample.pixels, draw(truth()).pixels)
    assert not torch.equal(sample.pixels, draw(truth(), seed=1).pixels)


@pytest.mark.parametrize("boundary_weight", [0.0, 2.5])
def test_sums_over_the_sample_estimate_those_over_all_pixels(boundary_weight):
    mask = truth()
    known, values = (mask != IGNORE_INDEX).flatten(1), torch.rand(2, 23 * 29)
    weight = known * (1 + boundary_weight * boundary_band(mask, 1).flatten(1))
    estimates = [(s.area * values.gather(1, s.pixels), s.weight * values.gather(1, s.pixels))
                 for s in (draw(mask, boundary_weight, seed) for seed in range(400))]  # fmt: skip
    area, loss = (torch.stack([each.sum(dim=1) for each in part]).mean(dim=0) for part in zip(*estimates, strict=True))
    torch.testing.assert_close(area, (known * values).sum(dim=1), rtol=5e-3, atol=0)
    torch.testing.assert_close(loss, (weight * values).sum(dim=1), rtol=5e-3, atol=0)


def test_pixels_next_to_boundaries_are_drawn_more_often():
    index, band = draw(truth(), 3.0).pixels, boundary_band(truth(), 1).flatten(1)
    drawn = band.gather(1, index).float().mean(dim=1)
    share = band.sum(dim=1) / (truth() != IGNORE_INDEX).flatten(1).sum(dim=1)
    torch.testing.assert_close(drawn, 4 * share / (1 + 3 * share), rtol=0.05, atol=0)


def test_pixels_of_a_picture_without_labels_have_no_weight():
    sample = draw(torch.full((1, 7, 11), IGNORE_INDEX, dtype=torch.uint8))
    assert not sample.area.any()
    assert not sample.weight.any()
    assert sample.pixels.max() < 77
