"""Logits of masks: the formula, term by term, and where pixels lie in boxes."""

import pytest
import torch

from saccade.ops.instances import FAR, GEOMETRY, box_offsets, mask_logits

N, P, E = 3, 7, 5


def test_edges_of_a_box_are_one_away_from_its_centre():
    box = torch.tensor([[10.0, 20.0, 4.0, 8.0]])
    points = torch.tensor([[[10.0, 20.0], [12.0, 24.0], [8.0, 16.0], [13.0, 20.0], [99.0, -99.0]]])
    expected = torch.tensor([[[0.0, 0.0], [1, 1], [-1, -1], [1.5, 0], [FAR, -FAR]]])
    assert torch.allclose(box_offsets(points, box), expected)


def test_a_box_without_sides_stays_finite():
    assert box_offsets(torch.ones(1, 1, 2), torch.zeros(1, 4)).abs().max() == FAR


def test_a_logit_is_the_sum_of_its_terms():
    generator = torch.Generator().manual_seed(0)
    queries, pixels, offsets = (
        torch.randn(*shape, generator=generator) for shape in ((N, 3 * E + GEOMETRY), (N, P, E), (N, P, 2))
    )
    found = mask_logits(queries, pixels, offsets)
    for i in range(N):
        q0, q1, q2 = queries[i, : 3 * E].double().view(3, E)
        for j in range(P):
            x, y = offsets[i, j].double().tolist()
            places = torch.tensor([1, x, y, x * x, y * y, x * y], dtype=torch.float64)
            score = (q0 + x * q1 + y * q2) @ pixels[i, j].double() / E**0.5
            assert found[i, j].item() == pytest.approx(float(score + places @ queries[i, 3 * E :].double()), rel=1e-4)


def test_half_precision_is_no_part_of_it():
    queries, pixels, offsets = torch.randn(N, 3 * E + GEOMETRY), torch.randn(N, P, E), torch.randn(N, P, 2)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(mask_logits(queries, pixels, offsets), mask_logits(queries, pixels, offsets))
        inside = mask_logits(queries, pixels, offsets)
    assert torch.equal(inside, mask_logits(queries, pixels, offsets))
