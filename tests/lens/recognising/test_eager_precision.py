"""Attention of separate operations in bf16, fp16 and under autocast: its own weights, and wrong ones are refused."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from saccade.lens import watch
from saccade.lens.recognising.steps import STEPS

B, H, N, C = 2, 3, 11, 13
ALLOWED = torch.rand(1, 1, N, N, generator=torch.Generator().manual_seed(1)) > 0.3
ALLOWED[..., 0] = True
EMPTY = ALLOWED.clone()
EMPTY[..., 2, :] = False  # a target that may attend to nothing
BIAS = torch.randn(H, N, N, generator=torch.Generator().manual_seed(2))
# How inputs are made, and what autocast is.
WAYS = {
    "bf16": (torch.bfloat16, None),
    "fp16": (torch.float16, None),
    "autocast bf16": (torch.float32, torch.bfloat16),
    "autocast fp16": (torch.float32, torch.float16),
}


class Written(nn.Module):
    """Projections, and attention whose weights are made by `weigh`. It keeps them."""

    def __init__(self, weigh, gain=3.0):
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(H * C, H * C) for _ in range(3))
        nn.init.normal_(self.q.weight, std=gain * (H * C) ** -0.5)
        self.weigh = weigh

    def forward(self, x):
        q, k, v = (layer(x).unflatten(-1, (H, C)).transpose(1, 2) for layer in (self.q, self.k, self.v))
        w = self.weigh(q, k)
        self.weights = w.detach().float().nan_to_num().view(B, H, N, N)
        return torch.matmul(w, v.reshape(*w.shape[:-1], C).to(w.dtype)).view(B, H, N, C).transpose(1, 2).flatten(2)


def scaled(q, k):
    return q @ k.mT * C**-0.5


def folded(q, k, joined):
    return joined(q.reshape(-1, N, C), k.reshape(-1, N, C).mT).softmax(-1)


def baddbmm(q, k):
    return torch.baddbmm(torch.empty(B * H, N, N, dtype=q.dtype), q, k, beta=0, alpha=C**-0.5)


WEIGH = {
    "matmul": lambda q, k: scaled(q, k).softmax(-1),
    "bmm": lambda q, k: folded(q, k, lambda q, k: torch.bmm(q, k) / C**0.5),
    "einsum": lambda q, k: torch.einsum("bhid,bhjd->bhij", q * C**-0.5, k).softmax(-1),
    "baddbmm": lambda q, k: folded(q, k, baddbmm),
    "softmax in fp32": lambda q, k: F.softmax(scaled(q, k), dim=-1, dtype=torch.float32).to(q.dtype),
    "scores to fp32": lambda q, k: scaled(q, k).float().softmax(-1).to(q.dtype),
    "q and k to fp32": lambda q, k: scaled(q.float(), k.float()).softmax(-1).to(q.dtype),
    "bias": lambda q, k: (scaled(q, k) + BIAS.to(q.dtype)).softmax(-1),
    "filled": lambda q, k: scaled(q, k).masked_fill(~EMPTY, torch.finfo(q.dtype).min).softmax(-1),
    "filled with no number": lambda q, k: scaled(q, k).masked_fill(~EMPTY, -torch.inf).softmax(-1).nan_to_num(),
    "added mask": lambda q, k: (scaled(q, k) + torch.where(ALLOWED, 0.0, -100.0).to(q.dtype)).softmax(-1),
}


def watched(model, way, inference=False):
    """The one call and the dtype of the kernels, where the output is bit for bit that of the unwatched model."""
    dtype, cast = WAYS[way]
    model, x = model.to(dtype), torch.randn(B, N, H * C, dtype=dtype)
    with torch.inference_mode(inference), torch.autocast("cpu", dtype=cast, enabled=cast is not None):
        expected = model(x)
        with watch(model, values=True) as trace:
            assert torch.equal(model(x).nan_to_num(), expected.nan_to_num())
    assert not trace.missed
    (call,) = trace
    return call, cast or dtype


@pytest.mark.parametrize("inference", [False, True])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", WEIGH)
def test_maps_are_the_models_own_within_the_rounding_of_its_dtype(name, way, inference):
    model = Written(WEIGH[name])
    call, dtype = watched(model, way, inference)
    assert not call.note
    products = torch.float32 if name == "q and k to fp32" and "autocast" not in way else dtype
    assert call.q.dtype == call.k.dtype == products
    assert call.v.dtype in (dtype, torch.float32)
    assert call.weights().dtype == torch.float32
    largest = float((call.q.float() @ call.k.float().mT).abs().max()) * call.scale + 4
    # A score is rounded up to three times by half a step, and so is the weight.
    torch.testing.assert_close(
        call.weights(), model.weights, rtol=2 * torch.finfo(dtype).eps * largest, atol=torch.finfo(dtype).eps
    )


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ["matmul", "baddbmm", "softmax in fp32", "scores to fp32", "filled"])
def test_scores_too_large_for_their_dtype_are_kept_as_the_model_rounded_them(name, way):
    model = Written(WEIGH[name], gain=400.0 if "fp16" in way else 100.0)
    call, dtype = watched(model, way)
    assert "a dtype of few digits" in call.note
    torch.testing.assert_close(call.weights(), model.weights, rtol=0, atol=torch.finfo(dtype).eps)


WRONG = {
    "a scale that is 5 % too large": ("times", lambda s, factor: s.times(1.05 * factor)),
    "no scale": ("times", lambda s, factor: s),
    "no bias": ("plus", lambda s, term: s),
    "a bias for another head": ("plus", lambda s, term: s.plus(term.roll(1, 0))),
    "a tenth of the bias too much": ("plus", lambda s, term: s.plus(1.1 * term)),
    "no mask": ("fill", lambda s, mask, value: s),
    "a mask for another target": ("fill", lambda s, mask, value: s.filled(mask.roll(1, -2), value)),
}


@pytest.mark.parametrize("inference", [False, True])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("wrong", WRONG)
def test_a_record_that_is_wrong_is_refused_in_any_dtype(monkeypatch, wrong, way, inference):
    """As if an operation were followed as something that it is not."""

    def weigh(q, k):
        return (scaled(q, k) + BIAS.to(q.dtype)).masked_fill(~ALLOWED, -1e4).softmax(-1)

    does, step = WRONG[wrong]
    monkeypatch.setitem(STEPS, does, lambda scores, t, func, args, kwargs, out: step(scores, *args[1:]))
    model = Written(weigh)
    call, dtype = watched(model, way, inference)
    assert "q and k as they were followed do not give its weights" in call.note
    torch.testing.assert_close(call.weights(), model.weights, rtol=0, atol=torch.finfo(dtype).eps)


def test_flat_maps_of_many_sources_are_looked_at_as_closely(monkeypatch):
    """A weight of 1/1009 differs by little from any other, so it is not differences of weights that are compared."""
    monkeypatch.setitem(STEPS, "times", lambda scores, t, func, args, kwargs, out: scores.times(0.5 * args[1]))
    q, k, v = (torch.randn(1, 1, 1009, 17) for _ in range(3))

    class Flat(nn.Module):
        def forward(self, q, k, v):
            return (q @ k.mT * 0.01).softmax(-1) @ v

    with watch(model := Flat()) as trace:
        model(q, k, v)
    assert "do not give its weights" in trace[0].note
    torch.testing.assert_close(trace[0].weights(), (q @ k.mT * 0.01).softmax(-1))
