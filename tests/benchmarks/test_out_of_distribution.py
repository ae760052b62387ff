"""The scores of the benchmark are those of their papers."""

import importlib

import pytest
import torch


@pytest.fixture
def module(monkeypatch, request):
    monkeypatch.syspath_prepend(str(request.config.rootpath))
    return importlib.import_module("benchmarks.training.out_of_distribution")


def test_auroc_counts_pairs(module):
    inside, others = torch.tensor([0.1, 0.5, 0.5, 0.9, 0.3]), torch.tensor([0.5, 0.2, 1.0])
    pairs = [float(b > a) + 0.5 * float(a == b) for a in inside for b in others]
    assert module.auroc(inside, others) == pytest.approx(sum(pairs) / len(pairs))


def answers(module, n, seed):
    draw = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % 3
    cls = torch.randn(n, 5, generator=draw).double() + 4 * torch.nn.functional.one_hot(labels, 5)
    return module.Answers(cls, cls, cls[:, :3], labels)


def test_the_distance_is_to_the_nearest_class(module):
    train, new = answers(module, 101, 0), answers(module, 7, 1)
    means = torch.stack([train.cls[train.labels == c].mean(dim=0) for c in range(3)])
    precision = torch.linalg.inv(torch.cov((train.cls - means[train.labels]).T))
    expected = [min(float((x - m) @ precision @ (x - m)) for m in means) for x in new.cls]
    assert module.mahalanobis(train, relative=False)(new).tolist() == pytest.approx(expected)


def test_neighbours_are_found_by_cosine(module):
    train, new = answers(module, 31, 0), answers(module, 7, 1)
    similar = torch.nn.functional.cosine_similarity(new.cls[:, None], train.cls[None], dim=-1)
    expected = 1 - similar.sort(dim=1, descending=True).values[:, 9]
    torch.testing.assert_close(module.nearest(train)(new), expected)
