"""Edits of attention written as separate operations, against the explicit-map computation of the same edit."""

import math
from contextlib import nullcontext

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from saccade.errors import SaccadeError
from saccade.lens import (
    bias_source,
    cut,
    drop_heads,
    during,
    edit,
    scale_heads,
    scale_source,
    swap,
    watch,
)

from ..models import Attend, Stack, eager
from ..recognising.test_eager import KEPT, MIX, OPERATIONS, SCORES, SOFT, B, C, H, N, Written, decomposed, repeated
from .cases import close, normal
from .test_edit import assert_untouched
from .test_separate_layouts import folded

EDITS = [cut([0, 3], [1, 2]), scale_source([0, -1], -0.5), scale_heads(2.0, 1), bias_source(4, 3.0)]


def explicit(w, biased=True, severed=True):
    """What EDITS do to a map."""
    gone = torch.zeros(w.shape[-2:], dtype=torch.bool)
    gone[torch.tensor([[0], [3]]), torch.tensor([1, 2])] = severed
    factors = torch.ones(w.shape[-1], dtype=w.dtype)
    factors[4] = 3.0 if biased else 1.0
    columns = torch.ones(w.shape[-1], dtype=w.dtype)
    columns[[0, -1]] = -0.5
    w = normal(w.masked_fill(gone, 0.0) * factors) if biased or severed else w
    return w * columns * torch.tensor([1.0, 2.0]).to(w)[:, None, None]


MASKED_BY_NUMBERS = ("a lowest number", "a low number over whole rows", "a mask that is added")


def check(model, inference=False, biased=True):
    """The output is that of the explicit map, and watches above and below the edit show that."""
    x, edits = torch.randn(B, N, H * C), EDITS if biased else EDITS[:-1]
    with torch.inference_mode(inference):
        plain = model(x)
        w, v = explicit(model.weights.nan_to_num(0.0).float(), biased), model._split(model.v(x))
        with watch(model, values=True) as above, edit(model, {"Written": edits}) as done, watch(model, True) as below:
            got = model(x)
        assert torch.equal(model(x).nan_to_num(), plain.nan_to_num())
        torch.testing.assert_close(got, model.mix(w, v).transpose(1, 2).flatten(2), atol=2e-5, rtol=1e-5)
        longer = v if w.shape[-1] == N else torch.cat([v, v[:, :, :1]], dim=2)
        for trace in (above, below):
            (call,) = trace
            assert not trace.missed
            assert call.kind == ("self" if w.shape[-1] == N else "cross")
            torch.testing.assert_close(call.weights().float() @ call.v.float(), w @ longer, atol=2e-5, rtol=1e-5)
    assert done.applied == {"Written": 1}
    assert not done.missed
    assert_untouched(model)


@pytest.mark.parametrize("inference", [False, True])
@pytest.mark.parametrize("name", SCORES)
def test_every_way_to_write_scores(name, inference):
    # beside a number so low that a row is even, the log of a factor is lost; the fused kernel loses it as well
    check(Written(SCORES[name]), inference, biased=name not in MASKED_BY_NUMBERS)


@pytest.mark.parametrize("name", SOFT)
def test_every_way_to_write_the_softmax(name):
    check(Written(soft=SOFT[name]))


@pytest.mark.parametrize("name", MIX)
def test_every_way_to_mix_values(name):
    check(Written(mix=MIX[name]))


def test_a_decomposed_position_bias():
    check(Written(decomposed, mix=repeated))


@pytest.mark.parametrize("name", [name for name in KEPT if name != "dropped keys"])
def test_scores_that_are_no_plain_product(name):
    check(Written(KEPT[name][0]))


@given(
    chain=st.lists(st.sampled_from(sorted(OPERATIONS)), max_size=6), inference=st.booleans(),
    after=st.sampled_from(["nothing", "reshape", "cast", "copy", "swap heads", "flip heads", "roll", "add in place"]),
    mix=st.sampled_from(sorted(MIX)), seed=st.integers(0, 99),
)  # fmt: skip
def test_no_chain_of_operations_is_edited_wrongly(chain, inference, after, mix, seed):
    def passed(s, names):
        for name in names:
            s = OPERATIONS[name](s.clone() if "in place" in name or name == "assign" else s)
        return s

    torch.manual_seed(seed)
    model, x = Written(lambda q, k: passed(q @ k.mT, chain), mix=MIX[mix]), torch.randn(B, N, H * C)
    model.soft = lambda s: passed(s.softmax(-1), [after] if after != "nothing" else [])
    with torch.inference_mode(inference):
        plain = model(x)
        # a target that is left with sources of a huge negative number alone sees those alike, which no map can tell
        edits = EDITS[1:3] if {"lowest", "low", "fill in place"} & set(chain) else EDITS[:3]
        w = explicit(model.weights.nan_to_num(0.0), biased=False, severed=len(edits) == 3)
        expected = model.mix(w, model._split(model.v(x))).transpose(1, 2).flatten(2)
        with edit(both := nn.ModuleDict({"a": model, "b": Attend()}), {"*": edits}) as done:
            got = model(x)
            both["b"](x)
        if "a" in done.missed:
            assert after in ("flip heads", "roll", "add in place")
            assert torch.equal(got.nan_to_num(), plain.nan_to_num())
        else:
            assert done.applied == {"a": 1, "b": 1}
            real = plain.isfinite()
            torch.testing.assert_close(got[real], expected[real], atol=1e-4, rtol=1e-4)
        assert torch.equal(model(x).nan_to_num(), plain.nan_to_num())


class Learned(Written):
    """What a model learns about its scores, besides queries and keys."""

    def __init__(self, scores, soft=None):
        super().__init__(lambda q, k: scores(self, q, k), soft)
        self.bias, self.one = nn.Parameter(torch.randn(H, N, N)), nn.Parameter(torch.tensor(1.7))
        self.each = nn.Parameter(torch.rand(H, 1, 1))
        self.double()


LEARNED = {
    "a bias": lambda m, q, k: q @ k.mT * 0.3 + m.bias,
    "a temperature": lambda m, q, k: q @ k.mT * m.one,
    "a divisor": lambda m, q, k: q @ k.mT / m.one,
    "one for each head": lambda m, q, k: (F.normalize(q, dim=-1) @ k.mT * m.each.exp() + m.bias) * m.one,
    "a soft cap": lambda m, q, k: m.one * torch.tanh(q @ k.mT / m.one) + m.bias,
    "in place": lambda m, q, k: (q @ k.mT).mul_(m.one).add_(m.bias),
    "baddbmm": lambda m, q, k: torch.baddbmm(
        m.bias.repeat(B, 1, 1), q.flatten(0, 1), k.flatten(0, 1).mT, alpha=0.3
    ).view(B, H, N, N),
}  # fmt: skip


@pytest.mark.parametrize("name", LEARNED)
def test_gradients_reach_all_that_the_scores_are_made_of(name):
    model, x = Learned(LEARNED[name]), torch.randn(B, N, H * C).double()
    grads = []
    for soft in (lambda s: explicit(s.softmax(-1)), None):
        model.soft = soft or (lambda s: s.softmax(-1))
        model.zero_grad()
        given = x.clone().requires_grad_()
        with nullcontext() if soft else edit(model, {"*": EDITS}):
            out = model(given)
        out.square().sum().backward()
        grads.append([out, given.grad, *(p.grad for p in model.parameters() if p.grad is not None)])
    assert len(grads[0]) == len(grads[1]) > 5
    for one, other in zip(*grads, strict=True):
        close(one, other)


def test_only_what_matches_and_only_some_runs_and_calls():
    shared, x = Attend(how=eager), torch.randn(2, 5, 14)
    model = Stack(a=Attend(how=eager), b=Attend(), c=shared, d=shared)
    plain = model(x)
    with edit(model, {"*.[bc]": during(drop_heads(0), [1])}) as edits, watch(model, values=True) as trace:
        outs = [model(x) for _ in range(3)]
    assert torch.equal(outs[0], plain)
    assert torch.equal(outs[2], plain)
    assert edits.applied == {"blocks.b": 1, "blocks.c": 2}
    silent = [not call.v[:, 0].any() for call in trace]
    assert silent == [False] * 4 + [False, True, True, True] + [False] * 4
    with edit(model, {"*.c": swap(trace.runs(1))}), watch(model) as again:  # the second call takes the second map
        model(x + 1)
    for i in (2, 3):
        torch.testing.assert_close(again[i].weights(), trace[4 + i].weights())


def test_nested_blocks_of_separate_operations():
    model, x = Stack(a=Attend(how=eager), b=Attend()), torch.randn(2, 5, 14)
    with watch(model, values=True) as trace, edit(model, {"*": scale_source(0, 2.0)}) as outer:
        with edit(model.blocks, {"*": [scale_source(1, 3.0), cut(sources=2)]}) as inner, watch(model, True) as within:
            model(x)
        model(x)
    assert outer.applied == {"blocks.a": 2, "blocks.b": 2}
    assert inner.applied == {"a": 1, "b": 1}
    v = model.blocks["a"]._split(model.blocks["a"].v(x))
    for seen in (trace, within):
        torch.testing.assert_close(seen[0].v, v * torch.tensor([2.0, 3.0, 1.0, 1.0, 1.0])[:, None])
        assert not seen[0].columns(2).any()
    assert len(trace) == 4
    assert trace[2].columns(2).all()
    assert not trace.missed


def test_kinds_stay_those_of_the_model():
    class Crossed(Attend):
        def forward(self, x, context):
            return super().forward(x, context)

    model, x, y = Stack(a=Attend(how=eager), cross=Crossed(how=eager)), torch.randn(2, 5, 14), torch.randn(2, 5, 14)
    for edits, kinds in ((cut(sources=0), ["self", "cross"]), (drop_heads(0), ["self", "cross"])):
        with watch(model) as above, edit(model, {"*": edits}), watch(model) as below:
            model(x, y)
        assert [c.kind for c in above] == [c.kind for c in below] == kinds


@pytest.mark.parametrize("how", [eager, folded])
def test_autocast_and_bfloat16(how):
    model, fused, x = Stack(a=Attend(how=how)), Stack(a=Attend()), torch.randn(2, 5, 14)
    fused.load_state_dict(model.state_dict())
    edits = {"*": [cut([0], [1, 2]), scale_source(1, 2.0), bias_source(0, 0.2)]}
    with torch.autocast("cpu", torch.bfloat16):
        plain = model(x)
        with edit(fused, edits):
            expected = fused(x)
        with edit(model, edits) as done, watch(model, values=True) as trace:
            got = model(x)
    assert got.dtype == plain.dtype
    assert {t.dtype for t in (trace[0].q, trace[0].k, trace[0].v)} == {torch.bfloat16}
    assert done.applied
    torch.testing.assert_close(got, expected, atol=3e-2, rtol=0)
    model.bfloat16(), fused.bfloat16()
    with edit(model, edits) as done, edit(fused, edits):
        torch.testing.assert_close(model(x.bfloat16()), fused(x.bfloat16()), atol=6e-2, rtol=0)
    assert done.applied


def test_targets_left_with_nothing_get_zeros():
    attention, x = Attend(how=eager), torch.randn(2, 5, 14, requires_grad=True)
    with edit(attention, {"*": cut(targets=[1, 3])}), watch(attention) as trace:
        out = attention(x)
    assert not out[:, [1, 3]].any()
    out.sum().backward()
    assert x.grad.isfinite().all()
    assert not trace[0].rows([1, 3]).any()


def test_a_model_that_no_edit_touches_computes_the_same_bit_for_bit():
    model, x = Stack(a=Attend(how=eager), b=Attend(how=folded)), torch.randn(2, 5, 14)
    plain = model(x)
    with edit(model, {"*": during(drop_heads(0), [1])}), watch(model) as trace:
        assert torch.equal(model(x), plain)
    with watch(model) as unedited:
        model(x)
    assert [c.name for c in trace] == [c.name for c in unedited]
    assert all(torch.equal(a.q, b.q) for a, b in zip(trace, unedited, strict=True))


def ran_and_broken(model, x):
    model(x)
    raise RuntimeError("broken")


@pytest.mark.parametrize("where", ["edit", "model", "block"])
def test_exceptions_leave_no_trace(where):
    class Broken(Attend):
        def forward(self, x):
            out = super().forward(x)
            if where == "model":
                raise RuntimeError("broken")
            return out

    model, x = Stack(a=Broken(how=eager), b=Attend(how=eager)), torch.randn(2, 5, 14)
    with (
        pytest.raises((RuntimeError, SaccadeError), match=r"broken|drop_heads of 'blocks.a': head 7"),
        edit(model, {"*": drop_heads(7 if where == "edit" else 0)}),
    ):
        ran_and_broken(model, x)
    assert_untouched(model)
    with watch(model) as trace:
        model.blocks["b"](x)
    assert trace[0].columns(0).all()
    assert math.isfinite(float(trace[0].q.sum()))
