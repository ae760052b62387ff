"""The matrix products of a computation are found and repeated."""

import importlib
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def root(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))


def test_the_products_of_a_step_are_counted():
    layer, convolution = nn.Linear(5, 7), nn.Conv2d(3, 5, 2, stride=2)
    q, pictures = torch.randn(2, 3, 11, 13, requires_grad=True), torch.randn(2, 3, 4, 4)

    def step():
        layer(convolution(pictures).flatten(2).mT).sum().backward()
        F.scaled_dot_product_attention(q, q, q).sum().backward()

    repeat, operations = importlib.import_module("benchmarks.common.products").products(step)
    linear, convolved = 3 * 2 * (2 * 4 * 5 * 7), 2 * 2 * (2 * 4 * 12 * 5)
    assert operations == linear + convolved + 6 * 2 * (2 * 3 * 11 * 11 * 13)
    repeat()


def test_operands_have_the_layout_and_dtype_of_the_computation(monkeypatch):
    found = importlib.import_module("benchmarks.common.products")
    made = []
    monkeypatch.setattr(found, "_random", lambda layout, dtype: made.append((layout, dtype)) or torch.ones(1, 1))
    found.products(lambda: torch.ones(3, 5, dtype=torch.bfloat16).T @ torch.ones(3, 7, dtype=torch.bfloat16))
    assert made == [(((5, 3), (1, 5)), torch.bfloat16), (((3, 7), (7, 1)), torch.bfloat16)]
