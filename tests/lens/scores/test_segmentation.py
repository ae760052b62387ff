"""Maps as segmentations, by counting."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from saccade.errors import SaccadeError
from saccade.lens.scores import segmentation
from saccade.lens.scores.segmentation import average_precision


def test_by_hand():
    """Two pictures; in the second, one pixel of the thing is not found and one of the background is."""
    masks = torch.zeros(2, 2, 4, dtype=torch.bool)
    masks[0, :, :2] = masks[1, 0] = True
    maps = torch.zeros(2, 2, 4)
    maps[0, :, :2] = 5.0
    maps[1, 0, :3] = maps[1, 1, 0] = 2.0
    found = segmentation(list(maps), list(masks))
    assert found.accuracy.value == pytest.approx(14 / 16)
    assert found.miou.value == pytest.approx(7 / 9)  # of both classes 7 in common, 9 in either
    # Of the second, 16 pixels and classes: 8 said, of which 6 are right; then the other 8, of which 2.
    assert found.mean_ap.value == pytest.approx((1 + 6 / 8 * 6 / 8 + 2 / 8 * 8 / 16) / 2)
    assert found.pictures == 2
    assert found.accuracy.low == pytest.approx(12 / 16)
    assert found.accuracy.high == 1.0


def test_a_coarse_map_is_interpolated_before_its_mean_is_taken():
    mask = torch.zeros(9, 12, dtype=torch.bool)
    mask[:, 6:] = True
    coarse = torch.tensor([[0.0, 1.0]])
    found = segmentation([coarse], [mask])
    assert found.accuracy.value == 1.0
    columns = (torch.arange(12) + 0.5) / 6 - 0.5
    ramp = columns.clamp(0, 1)
    wrong = torch.zeros(9, 12, dtype=torch.bool)
    wrong[:, 4:] = True  # of the ramp's columns, two of the thing lie below its mean
    assert segmentation([coarse], [wrong]).accuracy.value == pytest.approx((ramp > 0.5).sum().item() / 12 + 4 / 12)


def test_random_maps_are_scored_beside():
    """Also when torch.manual_seed(0) made what they are compared with."""
    torch.manual_seed(0)
    masks = [torch.rand(28, 44) > 0.7 for _ in range(30)]
    right = segmentation([mask.float() for mask in masks], masks)
    assert (right.accuracy.value, right.miou.value, right.mean_ap.value) == (1.0, 1.0, 1.0)
    assert right.accuracy.random == pytest.approx(0.5, abs=0.03)
    noise = segmentation([torch.rand(28, 44) for _ in masks], masks)
    assert noise.accuracy.low < noise.accuracy.value < noise.accuracy.high
    assert noise.mean_ap.value == pytest.approx(noise.mean_ap.random, abs=0.02)
    assert noise.miou.random == right.miou.random


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.booleans()), min_size=1, max_size=12))
def test_average_precision_by_its_definition(pairs):
    scores, right = torch.tensor([p[0] for p in pairs]), torch.tensor([p[1] for p in pairs])
    total, before, expected = int(right.sum()), 0.0, 0.0
    for threshold in sorted(set(scores.tolist()), reverse=True):
        said = scores >= threshold
        recall = float((said & right).sum()) / max(total, 1)
        expected += (recall - before) * float((said & right).sum()) / float(said.sum())
        before = recall
    assert average_precision(scores, right) == pytest.approx(expected)


def test_what_cannot_be_scored():
    one, mask = torch.rand(3, 5), torch.ones(6, 10, dtype=torch.bool)
    for maps, masks, said in (
        ([], [], "at least one picture"),
        ([one], [], "maps of 1 pictures and masks of 0"),
        (3, [mask], "maps are a int; expected a sequence"),
        ([one.numpy()], [mask], "picture 0: the map is a ndarray; expected a tensor"),
        ([one, one[:0]], [mask, mask], r"picture 1: the map is empty: its shape is \(0, 5\)"),
        ([one], [mask[:0]], "picture 0: the mask is empty: its shape"),
        ([one], [mask[0]], r"picture 0: the mask has the shape \(10,\)"),
        ([one], [mask.float()], "boolean"),
        ([one[None]], [mask], r"the map has the shape \(1, 3, 5\); expected \(y x\)"),
        ([one / 0], [mask], "not finite"),
        ([one], [mask & False], "empty"),
    ):
        with pytest.raises(SaccadeError, match=said):
            segmentation(maps, masks)
