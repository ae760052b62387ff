"""Masks against plain loops."""

import itertools

import pytest
import torch

from saccade.ops import attention_weights, causal_mask, padding_mask, window_mask


def test_causal_mask():
    mask = causal_mask(5, 7)
    assert mask.dtype == torch.bool
    assert all(mask[i, j] == (j <= i) for i in range(5) for j in range(7))


def test_padding_mask():
    mask = padding_mask(torch.tensor([0, 3, 7]), 7)
    assert mask.shape == (3, 1, 1, 7)
    assert mask[:, 0, 0].sum(dim=-1).tolist() == [0, 3, 7]
    assert mask[1, 0, 0].tolist() == [True] * 3 + [False] * 4


def test_nothing_attends_to_padding():
    q, k = torch.randn(2, 3, 5, 2), torch.randn(2, 3, 7, 2)
    weights = attention_weights(q, k, mask=padding_mask(torch.tensor([0, 3]), 7))
    assert (weights[0] == 0).all()
    assert (weights[1, :, :, 3:] == 0).all()
    assert (weights[1, :, :, :3] > 0).all()


@pytest.mark.parametrize("prefix", [0, 3])
@pytest.mark.parametrize("reach", [0, 1, 2, 100])
@pytest.mark.parametrize("grid", [(7,), (3, 5), (2, 3, 5), (1, 1)])
def test_window_mask(grid, reach, prefix):
    mask = window_mask(grid, reach, prefix)
    places = list(itertools.product(*(range(size) for size in grid)))  # the first axis turns slowest: row by row
    assert mask.shape == (prefix + len(places),) * 2
    assert mask[:prefix].all()
    assert mask[:, :prefix].all()
    for i, here in enumerate(places):
        for j, there in enumerate(places):
            near = all(abs(a - b) <= reach for a, b in zip(here, there, strict=True))
            assert mask[prefix + i, prefix + j] == near


def test_masks_combine():
    both = window_mask((11,), reach=2) & causal_mask(11, 11)
    assert both[5].nonzero().flatten().tolist() == [3, 4, 5]
