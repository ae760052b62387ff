"""The scores of the benchmark are those of their papers."""

import pytest
import torch

from benchmarks.training.out_of_distribution import Answers, auroc, mahalanobis, nearest


def test_auroc_counts_pairs():
    inside, others = torch.tensor([0.1, 0.5, 0.5, 0.9, 0.3]), torch.tensor([0.5, 0.2, 1.0])
    pairs = [float(b > a) + 0.5 * float(a == b) for a in inside for b in others]
    assert auroc(inside, others) == pytest.approx(sum(pairs) / len(pairs))


def answers(n, seed):
    draw = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % 3
    cls = torch.randn(n, 5, generator=draw).double() + 4 * torch.nn.functional.one_hot(labels, 5)
    return Answers(cls, cls, cls[:, :3], labels)


def test_the_distance_is_to_the_nearest_class():
    train, new = answers(101, 0), answers(7, 1)
    means = torch.stack([train.cls[train.labels == c].mean(dim=0) for c in range(3)])
    precision = torch.linalg.inv(torch.cov((train.cls - means[train.labels]).T))
    expected = [min(float((x - m) @ precision @ (x - m)) for m in means) for x in new.cls]
    assert mahalanobis(train, relative=False)(new).tolist() == pytest.approx(expected)


def test_neighbours_are_found_by_cosine():
    train, new = answers(31, 0), answers(7, 1)
    similar = torch.nn.functional.cosine_similarity(new.cls[:, None], train.cls[None], dim=-1)
    expected = 1 - similar.sort(dim=1, descending=True).values[:, 9]
    torch.testing.assert_close(nearest(train)(new), expected)
