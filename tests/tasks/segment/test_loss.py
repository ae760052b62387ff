"""The parts of the segmentation loss, against slow references written from their definitions."""

import pytest
import torch

from saccade.data.segments import IGNORE_INDEX
from saccade.models.segmenter import SegmenterOutput
from saccade.tasks.segment.loss import DICE, PATCHES, PIXELS, segmentation_loss
from saccade.tasks.segment.sampling import SampledPixels, boundary_band

CLASSES, BORDER = 5, 2.0


def example(seed=0):
    random = torch.Generator().manual_seed(seed)
    truth = torch.randint(0, CLASSES - 1, (2, 6, 10), generator=random).repeat_interleave(2, 1).byte()  # one is absent
    truth[0, :3, :4] = IGNORE_INDEX
    predicted = SegmenterOutput(
        torch.randn(2, CLASSES, 12, 10, generator=random), torch.randn(2, CLASSES, 3, 2, generator=random)
    )
    return predicted, truth


def loss_of_all_pixels(predicted, truth):
    known = (truth != IGNORE_INDEX).float().flatten(1)
    weight = known * (1 + BORDER * boundary_band(truth, 1).float().flatten(1))
    sample = SampledPixels(torch.arange(known.shape[1]).expand(len(truth), -1), known, weight)
    return segmentation_loss(predicted._replace(logits=predicted.logits.flatten(2)), truth, sample)


@pytest.mark.parametrize("reach", [1, 2])
def test_pixels_next_to_another_class(reach):
    _, truth = example()
    found = boundary_band(truth, reach)
    b, rows, columns = truth.shape
    for i in range(b):
        for y in range(rows):
            for x in range(columns):
                part = truth[i, max(0, y - reach) : y + reach + 1, max(0, x - reach) : x + reach + 1]
                others = part[(part != IGNORE_INDEX) & (part != truth[i, y, x])]
                assert bool(found[i, y, x]) == (truth[i, y, x] != IGNORE_INDEX and len(others) > 0)


def test_every_part_is_what_its_definition_says():
    predicted, truth = example(3)
    parts = loss_of_all_pixels(predicted, truth)
    logs, borders = predicted.logits.double().log_softmax(1), boundary_band(truth, 1)
    total = weights = 0.0
    for i, y, x in (truth != IGNORE_INDEX).nonzero().tolist():
        weight = 1 + BORDER * borders[i, y, x].item()
        total -= weight * logs[i, truth[i, y, x].item(), y, x].item()
        weights += weight
    assert parts["pixels"].item() == pytest.approx(PIXELS * total / weights, rel=1e-5)

    known, shares = truth != IGNORE_INDEX, predicted.logits.double().softmax(1)
    dice = []
    for k in range(CLASSES):
        mine, theirs = shares[:, k][known], (truth == k)[known].double()
        if theirs.sum():
            dice.append(1 - 2 * (mine * theirs).sum().item() / (mine.sum() + theirs.sum()).item())
    assert len(dice) == CLASSES - 1
    assert parts["dice"].item() == pytest.approx(DICE * sum(dice) / len(dice), rel=1e-5)

    total = 0.0
    logs = predicted.patch_logits.double().log_softmax(1)
    for i, y, x in known.nonzero().tolist():
        total -= logs[i, truth[i, y, x].item(), y // 4, x // 5].item()
    assert parts["patches"].item() == pytest.approx(PATCHES * total / known.sum().item(), rel=1e-5)


def test_ignored_pixels_do_not_change_the_loss():
    predicted, truth = example(1)
    other = SegmenterOutput(predicted.logits.clone(), predicted.patch_logits)
    other.logits[0, :, :3, :4] += torch.randn(CLASSES, 3, 4)
    a, b = loss_of_all_pixels(predicted, truth), loss_of_all_pixels(other, truth)
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_a_picture_of_which_nothing_is_known_costs_nothing():
    predicted, truth = example()
    truth.fill_(IGNORE_INDEX)
    assert sum(loss_of_all_pixels(predicted, truth).values()) == 0


def test_the_right_answer_costs_next_to_nothing():
    truth = torch.zeros(1, 8, 8, dtype=torch.uint8)
    truth[:, :, 4:] = 2
    sure = 50 * torch.nn.functional.one_hot(truth.long(), 3).movedim(-1, 1).float()
    predicted = SegmenterOutput(sure, sure[:, :, ::4, ::4])
    assert sum(loss_of_all_pixels(predicted, truth).values()) < 1e-4


def test_areas_are_summed_in_float32_under_autocast():
    """They are counted by index_add, whose parts must be of one type."""
    predicted, truth = example()
    expected = loss_of_all_pixels(predicted, truth)
    with torch.autocast("cpu", torch.bfloat16):
        found = loss_of_all_pixels(predicted, truth)
    assert torch.equal(found["dice"], expected["dice"])
