"""Precision and recall against a brute-force reference."""

import math

import pytest
import torch

from saccade.errors import SaccadeError
from saccade.tasks.generate import manifolds
from saccade.tasks.generate.manifolds import PrecisionRecall, on_manifold


def by_hand(points: list[list[float]], support: list[list[float]], k: int) -> list[bool]:
    radii = []
    for i, each in enumerate(support):
        others = sorted(math.dist(each, other) for j, other in enumerate(support) if j != i)
        radii.append(others[k - 1])
    return [any(math.dist(p, s) <= radius for s, radius in zip(support, radii, strict=True)) for p in points]


@pytest.mark.parametrize("k", [1, 3, 5])
@pytest.mark.parametrize("chunk", [4, 500])
def test_brute_force(k, chunk, monkeypatch):
    monkeypatch.setattr(manifolds, "CHUNK", chunk)
    generator = torch.Generator().manual_seed(k)
    real = torch.randn(23, 5, generator=generator, dtype=torch.float64)
    generated = torch.randn(31, 5, generator=generator, dtype=torch.float64) + 0.7
    expected = by_hand(generated.tolist(), real.tolist(), k), by_hand(real.tolist(), generated.tolist(), k)
    found = PrecisionRecall.of(generated, real, k)
    assert on_manifold(generated, real, k).tolist() == expected[0]
    assert (found.precision.right, found.precision.n) == (sum(expected[0]), 31)
    assert (found.recall.right, found.recall.n) == (sum(expected[1]), 23)
    assert 0 < found.precision.value < 1  # else the comparison says nothing
    assert 0 < found.recall.value < 1


def test_the_same_set_and_disjoint_ones():
    features = torch.randn(29, 7, generator=torch.Generator().manual_seed(0)) + 1000  # where cdist's product rounds
    same = PrecisionRecall.of(features[torch.randperm(29)], features)
    assert same.precision.value == same.recall.value == 1
    apart = PrecisionRecall.of(features + 50, features)
    assert apart.precision.value == apart.recall.value == 0


def test_copies_of_one_picture_are_precise_and_cover_nothing():
    real = torch.randn(37, 5, generator=torch.Generator().manual_seed(0))
    found = PrecisionRecall.of(real[:1].expand(17, 5), real)
    assert found.precision.value == 1
    assert found.recall.right == 1
    assert found.to_dict()["recall"]["n"] == 37


@pytest.mark.parametrize("k", [0, 5, 7])
def test_too_few_pictures(k):
    with pytest.raises(SaccadeError, match=f"the {k}th neighbour among 5 pictures"):
        on_manifold(torch.zeros(3, 2), torch.zeros(5, 2), k)


def test_features_that_are_not_numbers():
    with pytest.raises(SaccadeError, match="features are not numbers"):
        on_manifold(torch.full((5, 2), torch.nan), torch.zeros(5, 2), 1)
