"""Losses and ranks of matching, beside their equations in float64."""

import math

import pytest
import torch

from saccade.errors import SaccadeError
from saccade.ops.image_text_matching import match_loss, ranking_loss, ranks, recall, sigmoid_loss


def test_sigmoid_loss_is_its_equation():
    logits = torch.randn(5, 7, dtype=torch.float64) * 3
    labels = torch.randint(-1, 2, (5, 7))
    expected = 0.0
    for i in range(5):
        for j in range(7):
            if labels[i, j] >= 0:
                z = 1 if labels[i, j] else -1
                expected += math.log(1 + math.exp(-z * float(logits[i, j])))
    assert float(sigmoid_loss(logits, labels)) == pytest.approx(expected / 5, rel=1e-12)
    assert float(sigmoid_loss(logits, labels == 1)) == pytest.approx(
        float(sigmoid_loss(logits, labels.clamp(min=0))), rel=1e-12
    )


def test_pairs_that_do_not_count_have_no_gradient():
    logits = torch.tensor([[1.0, math.inf, -2.0]], requires_grad=True)
    sigmoid_loss(logits, torch.tensor([[1, -1, 0]])).backward()
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad, torch.tensor([[-1 / (1 + math.e), 0.0, 1 / (1 + math.e**2)]]))


def test_match_loss_is_the_mean_over_counted_pairs():
    logits, labels = torch.randn(11, dtype=torch.float64), torch.tensor([1, 0, -1, 1, 1, 0, -1, 0, 0, 1, -1])
    chance = torch.sigmoid(logits)
    each = torch.where(labels == 1, -chance.log(), -(1 - chance).log())
    torch.testing.assert_close(match_loss(logits, labels), each[labels >= 0].mean())
    assert float(match_loss(logits, torch.full((11,), -1))) == 0


def test_ranking_loss_is_its_equation():
    logits, labels = torch.randn(5, 7, dtype=torch.float64), torch.randint(-1, 2, (5, 7))
    labels[3], labels[4, :2] = -1, torch.tensor([1, 0])
    each = [
        math.log(1 + math.exp(float(row[j] - row[i])))
        for row, known in zip(logits, labels, strict=True)
        for i in range(7)
        for j in range(7)
        if known[i] == 1 and known[j] == 0
    ]
    assert float(ranking_loss(logits, labels)) == pytest.approx(sum(each) / len(each), rel=1e-12)
    assert float(ranking_loss(logits, labels.clamp(min=0) * 0)) == 0


def test_ranking_loss_has_no_gradient_by_what_is_not_known():
    logits = torch.tensor([[1.0, math.inf, -2.0], [2.0, 3.0, math.inf]], requires_grad=True)
    ranking_loss(logits, torch.tensor([[1, -1, 0], [1, 1, -1]])).backward()
    assert logits.grad is not None
    g = 1 / (1 + math.e**3)
    torch.testing.assert_close(logits.grad, torch.tensor([[-g, 0.0, g], [0.0, 0.0, 0.0]]))


def test_extreme_half_precision_logits_stay_finite():
    logits = torch.tensor([[3e4, -3e4]], dtype=torch.float16)
    assert float(sigmoid_loss(logits, torch.tensor([[0, 1]]))) == pytest.approx(6e4, rel=1e-3)


def test_ranks_count_ties_against_the_model():
    scores = torch.tensor([[0.3, 0.9, 0.5], [0.5, 0.5, 0.1], [0.2, 0.8, 0.8], [math.inf, 1.0, -math.inf]])
    matches = torch.tensor([[0, 1, 0], [1, 0, 0], [0, 1, 1], [0, 0, 1]]).bool()
    assert ranks(scores, matches).tolist() == [1, 2, 1, 3]
    assert recall(scores, matches, 1) == 0.5
    assert recall(scores, matches, 2) == 0.75
    assert recall(scores, matches, 3) == 1.0


def test_a_constant_score_finds_nothing():
    assert recall(torch.zeros(7, 5), torch.arange(35).view(7, 5) % 5 == 0, 4) == 0


def test_ranks_are_those_of_a_sort_where_nothing_ties():
    scores = torch.rand(13, 17, dtype=torch.float64)
    matches = torch.rand(13, 17) < 0.2
    matches[:, 3] = True
    order = scores.argsort(dim=1, descending=True)
    expected = [next(r for r, j in enumerate(row, 1) if matches[i, j]) for i, row in enumerate(order.tolist())]
    assert ranks(scores, matches).tolist() == expected


def test_what_cannot_be_ranked():
    matches = torch.eye(2, 3).bool()
    with pytest.raises(SaccadeError, match="1 of 6 scores are not a number"):
        ranks(torch.tensor([[math.nan, 1, 2], [1, 2, 3]]), matches)
    with pytest.raises(SaccadeError, match="row 1 has no match among its 3"):
        ranks(torch.rand(2, 3), matches & torch.tensor([[True], [False]]))
