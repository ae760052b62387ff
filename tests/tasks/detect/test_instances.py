"""Masks of found objects: in the pixels of the picture, without overlaps, and the same however they are grouped."""

from dataclasses import replace

import pytest
import torch

from saccade.data.objects.run_lengths import decode_rle
from saccade.data.preprocess import Placement
from saccade.models.masks import ROUND, MaskFeatures
from saccade.ops.instances import GEOMETRY, box_offsets, mask_logits
from saccade.tasks.detect import instances
from saccade.tasks.detect.instances import add_masks
from saccade.tasks.detect.result import Detections

SIZE, E = (37, 53), 3
SAME = Placement(1.0, 1.0, 0.0, 0.0)


def ellipses(boxes, scores, labels=None):
    """Detections of queries whose masks are the ellipses in their boxes."""
    boxes = torch.tensor(boxes, dtype=torch.float32).view(-1, 4)
    queries = torch.zeros(1, len(boxes), 3 * E + GEOMETRY)
    queries[..., -GEOMETRY:] = torch.tensor([ROUND, 0, 0, -ROUND, -ROUND, 0]) * 5
    found = Detections(
        boxes,
        torch.tensor(scores),
        torch.zeros(len(boxes), dtype=torch.long) if labels is None else torch.tensor(labels),
        queries=torch.arange(len(boxes)),
    )
    return found, MaskFeatures(queries, torch.zeros(1, E, *SIZE))


def dense(found):
    return torch.stack([decode_rle(mask) for mask in found.masks])


def drawn(box, size, scale=1.0):
    """The pixels of `size` whose centre lies in the ellipse of a box."""
    y, x = (torch.arange(side)[:, None] + 0.5 for side in size)
    left, top, right, bottom = (value * scale for value in box)
    u, v = (x.T - (left + right) / 2) / ((right - left) / 2), (y - (top + bottom) / 2) / ((bottom - top) / 2)
    return u**2 + v**2 < 1


def test_a_mask_is_where_its_logits_are_above_zero():
    box = [10.3, 5.2, 31.7, 30.9]
    found = add_masks(*ellipses([box], [0.8]), 0, SAME, SIZE)
    assert torch.equal(dense(found)[0], drawn(box, SIZE))
    y, x = drawn(box, SIZE).nonzero().unbind(1)
    assert found.boxes.tolist() == [[x.min(), y.min(), x.max() + 1, y.max() + 1]]
    assert 0.5 < found.scores[0] < 0.8  # times the mean probability inside


@pytest.mark.parametrize("scale", [2, 5])
def test_outlines_are_as_fine_as_the_picture(scale):
    box = [10.3, 5.2, 31.7, 30.9]
    size = (SIZE[0] * scale, SIZE[1] * scale)
    found = add_masks(*ellipses([box], [0.8]), 0, Placement(1 / scale, 1 / scale, 0.0, 0.0), size)
    expected = drawn(box, size, scale)
    wrong = (dense(found)[0] ^ expected).sum()
    assert wrong < 0.02 * expected.sum()
    blocks = expected[::scale, ::scale].repeat_interleave(scale, 0).repeat_interleave(scale, 1)
    assert wrong < 0.2 * (blocks ^ expected).sum()  # pixels enlarged would be far worse


def test_letterboxed_pictures_have_their_own_pixels():
    placement = Placement(0.5, 0.5, 6.0, -3.0)
    found = add_masks(*ellipses([[10.0, 6.0, 30.0, 26.0]], [0.8]), 0, placement, (90, 61))
    expected = drawn([8.0, 18.0, 48.0, 58.0], (90, 61))
    assert (dense(found)[0] ^ expected).sum() < 0.03 * expected.sum()


def test_no_pixel_has_two_objects_and_the_higher_score_takes_it():
    boxes = [[5.0, 5, 25, 25], [15.0, 5, 35, 25], [40.0, 20, 50, 30]]
    found = add_masks(*ellipses(boxes, [0.5, 0.9, 0.7], [0, 1, 2]), 0, SAME, SIZE)
    masks = dense(found)
    assert masks.sum(dim=0).max() == 1
    assert found.labels.tolist() == [1, 2, 0]
    assert torch.equal(masks[0], drawn(boxes[1], SIZE))
    assert torch.equal(masks[2], drawn(boxes[0], SIZE) & ~drawn(boxes[1], SIZE))
    assert (found.scores.diff() <= 0).all()


def test_the_same_object_again_is_left_out_with_its_relations():
    boxes = [[5.0, 5, 25, 25], [5.5, 5, 25, 25], [30.0, 5, 45, 25]]
    found, masks = ellipses(boxes, [0.9, 0.8, 0.7])
    relations = torch.tensor([[0, 1, 1], [0, 1, 2], [2, 0, 0]])
    found = replace(found, relations=relations, relation_scores=torch.tensor([0.9, 0.5, 0.4]))
    found = add_masks(found, masks, 0, SAME, SIZE)
    assert found.queries.tolist() == [0, 2]
    assert found.relations.tolist() == [[0, 1, 1], [1, 0, 0]]
    assert found.relation_scores.tolist() == pytest.approx([0.5, 0.4])


def test_masks_do_not_depend_on_how_windows_are_grouped(monkeypatch):
    torch.manual_seed(0)
    first = torch.rand(17, 2) * torch.tensor([40.0, 25.0])
    found, masks = ellipses(torch.cat([first, first + 2 + torch.rand(17, 2) * 20], dim=1).tolist(), [0.5] * 17)
    masks = MaskFeatures(masks.queries + torch.randn_like(masks.queries), torch.randn(1, E, *SIZE))
    together = add_masks(found, masks, 0, SAME, SIZE)
    monkeypatch.setattr(instances, "PIXELS", 1)
    apart = add_masks(found, masks, 0, SAME, SIZE)
    assert apart.masks == together.masks
    assert torch.allclose(apart.scores, together.scores)


def test_a_window_has_the_logits_of_its_pixels():
    torch.manual_seed(1)
    boxes = torch.tensor([[3.0, 4, 20, 30], [-2.0, 20, 9, 60], [50.0, 1, 53, 2]])
    queries, pixels = torch.randn(3, 3 * E + GEOMETRY), torch.randn(E, *SIZE)
    y, x = torch.meshgrid(*(torch.arange(side) + 0.5 for side in SIZE), indexing="ij")
    points = torch.stack([x, y], dim=-1).flatten(0, 1).expand(3, -1, 2)
    cxcywh = torch.cat([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]], dim=1)
    everywhere = mask_logits(queries, pixels.flatten(1).T.expand(3, -1, -1), box_offsets(points, cxcywh))
    for window, whole, box in zip(instances._windows(pixels, queries, boxes), everywhere, boxes.tolist(), strict=True):
        rows, columns = window.logits.shape
        part = whole.view(SIZE)[window.top : window.top + rows, window.left : window.left + columns]
        assert torch.allclose(window.logits, part, atol=1e-5)
        assert window.left <= max(0, box[0])
        assert window.left + columns >= min(SIZE[1], box[2])
        assert window.top <= max(0, box[1])
        assert window.top + rows >= min(SIZE[0], box[3])


def test_objects_without_a_pixel_are_left_out():
    found, masks = ellipses([[5.0, 5, 25, 25], [30.0, 5, 45, 25]], [0.9, 0.8])
    masks.queries[0, 1] = 0
    masks.queries[0, 1, -GEOMETRY] = -9.0
    assert add_masks(found, masks, 0, SAME, SIZE).queries.tolist() == [0]
    nothing = add_masks(replace(found, scores=torch.zeros(2)), masks, 0, SAME, SIZE)
    assert (len(nothing), nothing.masks) == (0, ())
