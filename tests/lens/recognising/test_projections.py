"""Tokens multiplied with a matrix: queries and keys, or scores of learned sources."""

import pytest
import torch
from torch import nn

from saccade.lens import watch

B, H, N, C = 3, 2, 5, 7


def projected(model, x):
    return (x @ w for w in (model.q, model.k, model.v))


def by_einsum(model, x):
    return (torch.einsum("bnd,hdc->bhnc", x, w.view(H * C, H, C).transpose(0, 1)) for w in (model.q, model.k, model.v))


def in_heads(model, x):
    return (t.unflatten(-1, (H, C)).transpose(1, 2) for t in projected(model, x))


PROJECTED = {
    "one head": (projected, lambda q, k: q @ k.mT),
    "several heads": (in_heads, lambda q, k: q @ k.mT / C**0.5),
    "einsum": (by_einsum, lambda q, k: torch.einsum("bhid,bhjd->bhij", q, k)),
    "a bias": (lambda model, x: (t + 0.1 for t in projected(model, x)), lambda q, k: torch.bmm(q, k.transpose(1, 2))),
    "one picture": (lambda model, x: (t[0] for t in projected(model, x)), lambda q, k: q @ k.mT),
}


@pytest.mark.parametrize("inference", [False, True])
@pytest.mark.parametrize("name", PROJECTED)
def test_projections_that_are_products_are_not_taken_for_scores(name, inference):
    project, scores = PROJECTED[name]

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.q, self.k, self.v = (nn.Parameter(torch.randn(H * C, H * C) / 5) for _ in range(3))

        def forward(self, x):
            q, k, v = project(self, x)
            self.weights = scores(q, k).softmax(-1)
            return self.weights @ v

    model, x = Model(), torch.randn(B, N, H * C)
    with torch.inference_mode(inference), watch(model) as trace:
        model(x)
        (call,) = trace
        assert not call.note
        assert not trace.missed
        assert call.kind == "self"
        torch.testing.assert_close(call.weights(), model.weights.reshape(call.shape), atol=1e-5, rtol=0)


def test_memory_units_are_sources():
    """External attention (Guo et al. 2021): tokens attend to learned keys by a matrix."""
    units = torch.randn(7, C)

    class Model(nn.Module):
        def forward(self, x):
            return (x @ units.T).softmax(-1) @ units

    with watch(model := Model()) as trace:
        model(x := torch.randn(B, N, C))
    assert trace[0].kind == "cross"
    torch.testing.assert_close(trace[0].weights()[:, 0], (x @ units.T).softmax(-1))
