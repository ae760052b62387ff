"""Recall in both directions and re-ranking."""

import pytest
import torch

from saccade.errors import SaccadeError
from saccade.tasks.match.scores import recalls, reranked


def test_recalls_by_hand():
    scores = torch.tensor([[3.0, 1.0, 2.0], [5.0, 4.0, 0.0], [0.0, 0.0, 1.0]])
    found = recalls(scores)
    assert found["recall@1"].tolist() == [True, False, True]
    assert found["recall@5"].tolist() == [True, True, True]
    assert found["recall@1 of pictures"].tolist() == [False, True, False]
    assert recalls(scores, scores.T)["recall@1 of pictures"].tolist() == [True, False, True]


def test_ties_are_wrong():
    assert not recalls(torch.zeros(7, 7))["recall@5"].any()


def test_not_a_number():
    with pytest.raises(SaccadeError, match="not a number"):
        recalls(torch.full((2, 2), torch.nan))


@pytest.mark.parametrize("offset", [-50.0, 0.0, 50.0])
def test_decided_pairs_come_first(offset):
    similarity = torch.tensor([[9.0, 8.0, 7.0, 6.0, 5.0]])
    decided = torch.tensor([[torch.nan, 1.0, torch.nan, 2.0, 3.0]]) + offset
    assert reranked(similarity, decided).argsort(descending=True).tolist() == [[4, 3, 1, 0, 2]]


def test_nothing_decided_keeps_the_order():
    similarity = torch.randn(3, 5, generator=torch.Generator().manual_seed(0))
    ranked = reranked(similarity, torch.full((3, 5), torch.nan))
    assert torch.equal(ranked.argsort(), similarity.argsort())
