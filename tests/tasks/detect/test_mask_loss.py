"""The loss of masks: low where they are right, at pixels around the object, and the same for a batch and its parts."""

import pytest
import torch

from saccade.data.objects import ObjectAnnotations
from saccade.data.objects.planes import MaskPlanes
from saccade.models.masks import MaskFeatures
from saccade.ops.instances import GEOMETRY
from saccade.tasks.detect.mask_loss import AROUND, MARGIN, _window_pixels, make_mask_targets, mask_loss

SIZE, E = (31, 43), 2


def picture(boxes, crowd=None):
    """Filled rectangles."""
    masks = torch.zeros(len(boxes), *SIZE, dtype=torch.bool)
    for mask, (left, top, right, bottom) in zip(masks, boxes, strict=True):
        mask[top:bottom, left:right] = True
    return ObjectAnnotations(
        torch.tensor(boxes, dtype=torch.float32).view(-1, 4),
        torch.zeros(len(boxes), dtype=torch.long),
        SIZE,
        None if crowd is None else torch.tensor(crowd),
        planes=MaskPlanes.of(masks, SIZE),
    )


def shares(boxes):
    left, top, right, bottom = torch.tensor(boxes, dtype=torch.float32).unbind(-1)
    return torch.stack([(left + right) / 2, (top + bottom) / 2, right - left, bottom - top], -1) / torch.tensor(
        [SIZE[1], SIZE[0], SIZE[1], SIZE[0]]
    )


BOXES = [[5, 6, 14, 17], [20, 3, 39, 10], [25, 12, 28, 29]]


def loss(features, truth, boxes, pairs, seed=0):
    targets = make_mask_targets(truth, torch.Generator().manual_seed(seed))
    return mask_loss(features, boxes, targets, boxes, *(torch.tensor(each) for each in zip(*pairs, strict=True)))


def oracle(truth, sign=20.0):
    """A feature that is 1 in the first object, and one that is 1 in the others; queries that read one of them."""
    masks = truth.planes.masks()
    pixels = torch.stack([masks[0], masks[1:].any(dim=0)]).float()[None] * 2 - 1
    queries = torch.zeros(1, 2, 3 * E + GEOMETRY)
    queries[0, 0, 0] = queries[0, 1, 1] = sign
    return MaskFeatures(queries, pixels)


def test_right_masks_cost_nothing_and_wrong_ones_much():
    truth = picture(BOXES[:2])
    boxes, pairs = shares([BOXES[:2]]), [(0, 0, 0), (0, 1, 1)]
    assert loss(oracle(truth), [truth], boxes, pairs) < 0.01
    assert loss(oracle(truth, -20.0), [truth], boxes, pairs) > 30


def test_pairs_add_up_and_have_a_slope():
    torch.manual_seed(0)
    truth = [picture(BOXES), picture(BOXES[1:])]
    features = MaskFeatures(
        torch.randn(2, 3, 3 * E + GEOMETRY, requires_grad=True), torch.randn(2, E, *SIZE, requires_grad=True)
    )
    boxes = shares([BOXES, [*BOXES[1:], BOXES[0]]])
    pairs = [(0, 2, 0), (0, 1, 1), (1, 0, 1)]
    whole = loss(features, truth, boxes, pairs)
    apart = [loss(features, truth, boxes, [pair]) for pair in pairs]
    assert whole.item() == pytest.approx(sum(each.item() for each in apart), rel=1e-5)
    whole.backward()
    assert features.pixels.grad[0].any()
    assert [bool(q.any()) for q in features.queries.grad.flatten(0, 1)] == [False, True, True, True, False, False]


def test_pixels_are_of_the_window_around_a_box_and_of_the_picture():
    boxes = shares(BOXES)
    points = torch.rand(3, 997, 2, generator=torch.Generator().manual_seed(1))
    pixels = _window_pixels(boxes, points, SIZE)
    for (left, top, right, bottom), places in zip(BOXES, pixels, strict=True):
        for axis, (low, high, side) in enumerate(((left, right, SIZE[1]), (top, bottom, SIZE[0]))):
            reach = (high - low) * (AROUND - 1) / 2 + MARGIN
            assert places[:, axis].min() == pytest.approx(max(0, low - reach), abs=1)
            assert places[:, axis].max() + 1 == pytest.approx(min(side, high + reach), abs=1)


def test_crowds_are_no_targets_and_planes_are_padded():
    overlapping = picture([[2, 2, 12, 12], [5, 5, 20, 20]])
    crowded = picture(BOXES, crowd=[False, True, False])
    targets = make_mask_targets([overlapping, crowded], torch.Generator())
    assert targets.planes.shape == (2, 2, *SIZE)
    assert targets.planes[1].unique().tolist() == [0, 1, 2]
    assert targets.pad_planes(5).planes.shape == (2, 5, *SIZE)
    assert not targets.pad_planes(5).planes[:, 2:].any()


def test_an_object_without_pixels_counts_nothing():
    truth = picture(BOXES[:1])
    gone = ObjectAnnotations(truth.boxes, truth.labels, SIZE, planes=MaskPlanes(torch.zeros(1, *SIZE).short(), 1))
    features = MaskFeatures(torch.randn(1, 1, 3 * E + GEOMETRY), torch.randn(1, E, *SIZE))
    assert loss(features, [gone], shares([BOXES[:1]]), [(0, 0, 0)]) == 0
