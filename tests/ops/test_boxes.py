"""Boxes: against areas counted on a fine grid, and by hand."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from saccade.ops.boxes import area, cxcywh_to_xyxy, edge_offsets, giou, iou, xyxy_to_cxcywh


def whole_boxes(draw, n: int) -> torch.Tensor:
    corners = [[draw(st.integers(0, 12)) for _ in range(4)] for _ in range(n)]
    return torch.tensor([[min(a, c), min(b, d), max(a, c) + 1, max(b, d) + 1] for a, b, c, d in corners]).float()


def counted(box: torch.Tensor) -> torch.Tensor:
    """The cells of a 13 x 13 grid that a box of whole numbers covers."""
    y, x = torch.meshgrid(torch.arange(13), torch.arange(13), indexing="ij")
    return (x >= box[0]) & (x < box[2]) & (y >= box[1]) & (y < box[3])


@given(st.data())
def test_overlaps_are_those_counted_cell_by_cell(data):
    a, b = whole_boxes(data.draw, 3), whole_boxes(data.draw, 5)
    both, union = iou(a[:, None], b[None]), giou(a[:, None], b[None])
    assert both.shape == union.shape == (3, 5)
    for i in range(3):
        for j in range(5):
            one, other = counted(a[i]), counted(b[j])
            shared, covered = (one & other).sum().item(), (one | other).sum().item()
            assert both[i, j].item() == pytest.approx(shared / covered)
            first, last = torch.minimum(a[i, :2], b[j, :2]), torch.maximum(a[i, 2:], b[j, 2:])
            around = (last - first).prod().item()
            assert union[i, j].item() == pytest.approx(shared / covered - (around - covered) / around, abs=1e-6)


@given(st.data())
def test_the_two_ways_to_write_a_box_are_each_others_inverse(data):
    boxes = whole_boxes(data.draw, 7)
    assert torch.equal(cxcywh_to_xyxy(xyxy_to_cxcywh(boxes)), boxes)
    assert torch.equal(area(boxes), xyxy_to_cxcywh(boxes)[:, 2:].prod(dim=1))


def test_inverted_and_empty_boxes_overlap_nothing():
    inverted, empty = torch.tensor([3.0, 3.0, 1.0, 1.0]), torch.tensor([2.0, 2.0, 2.0, 2.0])
    whole = torch.tensor([0.0, 0.0, 5.0, 5.0])
    assert area(inverted) == 0
    assert iou(inverted, whole) == iou(empty, whole) == iou(empty, empty) == 0


def test_giou_has_a_slope_where_boxes_are_apart():
    near = torch.tensor([0.0, 0.0, 1.0, 1.0], requires_grad=True)
    giou(near, torch.tensor([5.0, 0.0, 6.0, 1.0])).backward()
    assert near.grad is not None
    assert near.grad[2] > 0  # growing to the right brings it nearer


def test_edge_offsets_are_distances_of_the_middles_of_rows_and_columns_from_the_edges():
    box = torch.tensor([[[0.5, 0.4, 0.2, 0.6]]])  # 0.4 to 0.6 across, 0.1 to 0.7 down
    down, across = edge_offsets(box, (5, 2))
    assert down.shape == (1, 1, 5, 2)
    assert across.shape == (1, 1, 2, 2)
    middles = torch.tensor([0.1, 0.3, 0.5, 0.7, 0.9])
    assert torch.allclose(down[0, 0], torch.stack([middles - 0.1, middles - 0.7], dim=1), atol=1e-6)
    assert torch.allclose(across[0, 0], torch.tensor([[0.25 - 0.4, 0.25 - 0.6], [0.75 - 0.4, 0.75 - 0.6]]), atol=1e-6)
