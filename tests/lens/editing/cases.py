"""Random attention calls and their explicit maps in float64."""

import math
from contextlib import ExitStack

import torch
import torch.nn.functional as F
from hypothesis import strategies as st
from torch import nn

import saccade
from saccade.lens import edit, watch

PRIMES = [2, 3, 5, 7, 11]
MASKS = ["none", "bool", "float", "keys", "four"]
SDPA = F.scaled_dot_product_attention


class Raw(nn.Module):
    """One attention call of given q, k, v."""

    def forward(self, how, q, k, v, mask, scale, causal):
        if how is saccade.attend:
            return how(q, k, v, mask=mask, scale=scale, causal=causal)
        if mask is not None and causal:  # PyTorch takes only one of them
            mask, causal = self.both(mask, q, k), False
        return how(q, k, v, attn_mask=mask, scale=scale, is_causal=causal, enable_gqa=q.shape[-3] != k.shape[-3])

    def both(self, mask, q, k):
        allowed = torch.ones(q.shape[-2], k.shape[-2]).tril().bool()
        return mask & allowed if mask.dtype == torch.bool else mask.masked_fill(~allowed, -math.inf)


class Case:
    """The arguments of a call, and its map and values with a head of each for every head of q."""

    def __init__(self, draw, shape=None):
        b, g, repeat = (draw(st.sampled_from([1, 2, 3])) for _ in range(3))
        n, m, width, values = (draw(st.sampled_from(PRIMES)) for _ in range(4))
        self.shape = b, g, repeat, n, m, width, values = shape or (b, g, repeat, n, m, width, values)
        self.generator = torch.Generator().manual_seed(draw(st.integers(0, 10_000)))
        self.q, self.k, self.v = (
            torch.randn(*size, generator=self.generator, dtype=torch.float64)
            for size in ((b, g * repeat, n, width), (b, g, m, width), (b, g, m, values))
        )
        self.mask = self.make_mask(draw(st.sampled_from(MASKS)))
        self.scale, self.causal = draw(st.sampled_from([None, 0.3, 1.7])), draw(st.booleans())
        self.how = draw(st.sampled_from([SDPA, saccade.attend]))
        axes = [4] if self.how is saccade.attend or repeat > 1 else [4, 5, 3] if g == 1 else [4, 5]
        self.axes = draw(st.sampled_from(axes))

    def make_mask(self, kind):
        b, _, _, n, m, _, _ = self.shape
        allowed = torch.rand(b, 1, n, m, generator=self.generator) > 0.3
        bias = torch.randn(b, 1, n, m, generator=self.generator, dtype=torch.float64)
        return {"none": None, "bool": allowed[0, 0], "float": bias[0, 0], "keys": allowed[:, :, :1], "four": bias}[kind]

    def scores(self):
        repeat = self.shape[2]
        scale = self.q.shape[-1] ** -0.5 if self.scale is None else self.scale
        s = scale * self.q @ self.k.repeat_interleave(repeat, dim=1).mT
        if self.causal:
            s = s.masked_fill(~torch.ones(s.shape[-2:]).tril().bool(), -math.inf)
        if self.mask is not None:
            s = s.masked_fill(~self.mask, -math.inf) if self.mask.dtype == torch.bool else s + self.mask
        return s

    def weights(self):
        return self.scores().softmax(-1).nan_to_num(0.0)

    def values(self):
        return self.v.repeat_interleave(self.shape[2], dim=1)

    def run(self, model):
        """Call the model with as many axes as the case has; the output in four."""
        q, k, v, mask = self.q, self.k, self.v, self.mask
        if self.axes == 5:
            q, k, v = (t[None] for t in (q, k, v))
        if self.axes == 3:
            q, k, v = (t[:, 0] for t in (q, k, v))
            mask = mask[:, 0] if mask is not None and mask.ndim == 4 else mask
        out = model(self.how, q, k, v, mask, self.scale, self.causal)
        return {3: lambda: out[:, None], 4: lambda: out, 5: lambda: out[0]}[self.axes]()


@st.composite
def pairs(draw):
    """Two calls of the same shapes."""
    one = Case(draw)
    other = Case(draw, one.shape)
    other.axes = one.axes if other.how is SDPA else 4
    return one, other


def close(a, b):
    torch.testing.assert_close(a, b, atol=1e-10, rtol=0)


def normal(w):
    return (w / w.sum(-1, keepdim=True)).nan_to_num(0.0)


def run_edited(case, edits, watch_first, model=None):
    """The edited output and the one call of the trace, the watch outside or inside the edit."""
    model = model or Raw()
    contexts = [lambda: edit(model, {"Raw": edits}), lambda: watch(model, values=True)]
    with ExitStack() as stack:
        entered = [stack.enter_context(each()) for each in (contexts[::-1] if watch_first else contexts)]
        out = case.run(model)
    trace = entered[0 if watch_first else 1]
    assert len(trace) == 1
    assert not trace.missed
    return out, trace[0]
