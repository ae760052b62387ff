"""Views of several calls against float64 references, for random shapes, masks, biases, groups of heads and scales."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from saccade.lens import Call, Mean, Trace, watch

from ..models import Attend, Stack
from .test_call import MASKS, make_mask


@st.composite
def layers(draw, kind="self"):
    """Calls of one (b, n) and their weights, in float64 from the definition."""
    b, n = draw(st.sampled_from([1, 2, 3])), draw(st.sampled_from([2, 3, 5, 7]))
    dtype = draw(st.sampled_from([torch.float32, torch.float64, torch.bfloat16]))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 10_000)))
    calls, maps = [], []
    for _ in range(draw(st.integers(1, 3))):
        g, repeat, width = (draw(st.sampled_from(sizes)) for sizes in ([1, 2, 3], [1, 2], [2, 5]))
        m = n if kind == "self" else 11
        causal, scale = draw(st.booleans()), draw(st.sampled_from([None, 0.3, 1.7]))
        q = torch.randn(b, g * repeat, n, width, generator=generator).to(dtype)
        k = torch.randn(b, g, m, width, generator=generator).to(dtype)
        mask = make_mask(draw(st.sampled_from(MASKS)), b, n, m, dtype, generator)
        scores = (q.double() @ k.double().repeat_interleave(repeat, dim=1).mT) * (scale or width**-0.5)
        if causal:
            scores = scores.masked_fill(~torch.ones(n, m).tril().bool(), -math.inf)
        if mask is not None:
            scores = scores.masked_fill(~mask, -math.inf) if mask.dtype == torch.bool else scores + mask.double()
        calls.append(Call("a", kind, q, k, None, None, mask, scale, causal))
        maps.append(scores.softmax(-1).nan_to_num(0.0))
    return calls, maps


def close(a, b):
    torch.testing.assert_close(a.double(), b, atol=2e-5, rtol=0)


@given(case=layers(), token=st.integers(-2, 1))
def test_rollout(case, token):
    calls, maps = case
    n = maps[0].shape[-1]
    r = torch.eye(n).double()
    for w in maps:
        a = w.mean(dim=1) + torch.eye(n)
        r = a / a.sum(-1, keepdim=True) @ r
    close(Trace(calls).rollout(token), r[:, token])
    close(Trace(calls).summary((n, 1), token).rollout, r[:, token])


@given(case=layers("cross"), places=st.lists(st.integers(-11, 10), min_size=1, max_size=3))
def test_words(case, places):
    calls, maps = case
    n = maps[0].shape[2]
    expected = sum(w.mean(dim=1)[..., places].mean(-1) for w in maps) / len(maps)
    found = Trace(calls).words({"it": places}, grid=(1, n))["it"]
    close(found[:, 0], expected)


@pytest.mark.parametrize("options", [{}, {"is_causal": True}, {"attn_mask": torch.randn(7, 7)}, {"scale": 0.3}])
def test_views_of_passing_calls(options):
    model = Stack(a=Attend(how=F.scaled_dot_product_attention, **options)).double()
    if "attn_mask" in options:
        model.blocks["a"].options = {"attn_mask": options["attn_mask"].double()}
    steps = [torch.randn(2, 7, 14).double() for _ in range(3)]
    with watch(model, views={"map": Mean(Call.weights), "received": Mean(Call.received)}) as trace:
        for x in steps:
            model(x)
    block, maps = model.blocks["a"], []
    for x in steps:
        q, k = block._split(block.q(x)), block._split(block.k(x))
        scores = q @ k.mT * options.get("scale", 7**-0.5)
        scores = scores + model.blocks["a"].options.get("attn_mask", 0.0)
        if "is_causal" in options:
            scores = scores.masked_fill(~torch.ones(7, 7).tril().bool(), -math.inf)
        maps.append(scores.softmax(-1))
    mean = torch.stack(maps).mean(dim=0).detach()
    torch.testing.assert_close(trace.seen["map"]["blocks.a"], mean)
    torch.testing.assert_close(trace.seen["received"]["blocks.a"], mean.mean(dim=2))
