"""Attention taken from another run, against the explicit maps of both."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import saccade
from saccade.errors import SaccadeError
from saccade.lens import borrow, cut, drop_heads, edit, freeze, swap, watch

from .cases import SDPA, Raw, close, normal, pairs, run_edited


@given(pair=pairs(), watch_first=st.booleans(), frozen=st.booleans())
def test_swap_and_freeze_are_exact(pair, watch_first, frozen):
    here, there = pair
    if frozen:
        model = Raw()
        with edit(model, {"*": freeze()}) as edits, watch(model) as trace:
            plain = there.run(model)
            out = here.run(model)
        close(plain, there.weights() @ there.values())
        assert edits.applied == {"Raw": 1}
        call = trace[1]
    else:
        with watch(model := Raw()) as trace:
            there.run(model)
        out, call = run_edited(here, swap(trace), watch_first, model)
    close(out, there.weights() @ here.values())
    close(call.weights(), there.weights())


@given(pair=pairs(), watch_first=st.booleans(), data=st.data())
def test_swap_of_single_tokens_is_exact(pair, watch_first, data):
    here, there = pair
    m = here.shape[4]
    tokens = data.draw(st.dictionaries(st.integers(0, m - 1), st.integers(0, m - 1), min_size=1))
    with watch(model := Raw()) as trace:
        there.run(model)
    out, call = run_edited(here, swap(trace, tokens), watch_first, model)
    w = here.weights()
    for i, j in tokens.items():
        w[..., i] = there.weights()[..., j]
    close(out, normal(w) @ here.values())
    close(call.weights(), normal(w))


@given(pair=pairs(), watch_first=st.booleans(), append=st.booleans())
def test_borrow_is_exact(pair, watch_first, append):
    here, there = pair
    with watch(model := Raw(), values=True) as trace:
        there.run(model)
    out, call = run_edited(here, borrow(trace, append), watch_first, model)
    there.q, there.scale = here.q, here.scale
    w, v = there.weights(), there.values()
    if append:  # each map is weighted by how much of the joint softmax it holds
        sums = [case.scores().logsumexp(-1) for case in (here, there)]
        joint = torch.stack(sums).logsumexp(0).nan_to_num(neginf=0.0)
        parts = [case.weights() * (s - joint).exp()[..., None] for case, s in zip((here, there), sums, strict=True)]
        w, v = torch.cat(parts, dim=-1), torch.cat([here.values(), v], dim=2)
    close(out, w @ v)
    close(call.weights(), w)
    assert call.kind == "cross"


@pytest.mark.parametrize("how", [SDPA, saccade.attend])
@pytest.mark.parametrize("grouped", [False, True])
def test_gradients_are_those_of_the_explicit_edit(how, grouped):
    q, k, v = (torch.randn(2, h, 5, 3, dtype=torch.float64) for h in (4, 2 if grouped else 4, 2 if grouped else 4))
    with watch(model := Raw()) as trace:
        model(how, torch.randn_like(q), torch.randn_like(k), v, None, None, False)
    allowed = torch.ones(5, 5, dtype=torch.bool)
    allowed[3] = False  # it loses sight of everything
    theirs = trace[0].weights()

    def explicit(q, k, v):
        k, v = (t.repeat_interleave(4 // t.shape[1], dim=1) for t in (k, v))
        w = (3**-0.5 * q @ k.mT).softmax(-1)
        w = torch.stack([theirs[..., 1], *w.unbind(-1)[1:]], dim=-1)
        w = normal(w.masked_fill(~allowed, 0.0) + (~allowed) * 1e-300).masked_fill(~allowed, 0.0)
        return (w @ v) * torch.tensor([1.0, 0.0, 1.0, 1.0]).double()[:, None, None]

    def edited(q, k, v):
        with edit(model, {"*": [swap(trace, {0: 1}), cut(targets=3), drop_heads(1)]}):
            return model(how, q, k, v, None, None, False)

    results = []
    for function in (explicit, edited):
        inputs = [t.clone().requires_grad_() for t in (q, k, v)]
        out = function(*inputs)
        out.square().sum().backward()
        results.append([out, *(t.grad for t in inputs)])
    for a, b in zip(*results, strict=True):
        close(b, a)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (swap, r"swap of 'Raw': the recorded call has \(b h n m\) \(2, 4, 7, 5\); expected \(2, 4, 7, 11\)"),
        (lambda trace: swap(trace[:0]), "swap of 'Raw': the trace holds no call of that name; there are none"),
        (lambda trace: swap(trace, {12: 0}), "swap of 'Raw': source 12; it has 11"),
        (lambda trace: swap(trace, {0: 5}), "swap of 'Raw': recorded source 5; it has 5"),
        (lambda trace: saccade.during(swap(trace), [1]), "call 1 of that name .*the trace holds 1"),
    ],
)
def test_recorded_runs_that_do_not_fit_are_refused(make, message):
    model, (q, k, v) = Raw(), (torch.randn(2, h, n, 3) for h, n in ((4, 7), (2, 5), (2, 5)))
    with watch(model) as trace:
        model(SDPA, q, k, v, None, None, False)
    longer = torch.randn(2, 2, 11, 3)
    with pytest.raises(SaccadeError, match=message), edit(model, {"*": make(trace)}):
        twice(model, (q, longer, longer), (q, longer, longer))


def twice(model, *calls):
    for call in calls:
        model(SDPA, *call, None, None, False)


def test_frozen_maps_must_fit():
    model, (q, k, longer) = Raw(), (torch.randn(2, h, n, 3) for h, n in ((4, 7), (2, 5), (2, 11)))
    with pytest.raises(SaccadeError, match="freeze of 'Raw': the recorded call has"), edit(model, {"*": freeze()}):
        twice(model, (q, k, k), (q, longer, longer))


def test_borrowing_needs_values():
    model, q = Raw(), torch.randn(2, 3, 5, 2)
    with watch(model) as trace:
        model(SDPA, q, q, q, None, None, False)
    with pytest.raises(SaccadeError, match=r"no v of 'Raw'; record with watch\(model, values=True\)"):
        borrow(trace)


def test_borrowed_masks_must_fit_the_targets():
    model, (q, k, v) = Raw(), (torch.randn(2, h, n, 3) for h, n in ((4, 7), (2, 5), (2, 5)))
    with watch(model, values=True) as trace:
        model(SDPA, q, k, v, torch.ones(7, 5).bool(), None, False)
        model(SDPA, q[:, :, :3], k, v, torch.ones(2, 1, 1, 5).bool(), None, False)
    with (
        pytest.raises(SaccadeError, match="the mask of the recorded call is of 7 targets; expected 3"),
        edit(model, {"*": borrow(trace)}),
    ):
        model(SDPA, q[:, :, :3], k, v, None, None, False)
    with edit(model, {"*": borrow(trace[1:])}):
        assert model(SDPA, q, k, v, None, None, False).shape == (2, 4, 7, 3)
    with pytest.raises(SaccadeError, match=r"borrow of 'Raw': .* expected b=1 h=4"), edit(model, {"*": borrow(trace)}):
        model(SDPA, q[:1], k[:1], v[:1], None, None, False)


def test_sixteen_bits_are_enough_for_single_tokens():
    """Their difference of two log-sum-exps, 30.3 here, would be rounded by 6 % of the weight."""
    model, (q, k, other) = Raw(), torch.randn(3, 1, 2, 5, 8).bfloat16()
    with watch(model) as trace:
        model(SDPA, q, other, k, torch.tensor(30.3).expand(5, 5).bfloat16(), None, False)
        model(SDPA, q, k, k, None, None, False)
        with edit(model, {"*": swap(trace[:1], {0: 1})}):
            model(SDPA, q, k, k, None, None, False)
    w = torch.cat([trace[0].columns(1), trace[1].columns([1, 2, 3, 4])], dim=-1)
    torch.testing.assert_close(trace[2].weights(), normal(w), atol=2e-3, rtol=0)


def test_single_tokens_need_scores_of_an_ordinary_size():
    model, (q, k) = Raw(), torch.randn(2, 1, 2, 5, 3)
    with watch(model) as trace:
        model(SDPA, q, k, k, None, None, False)
    lowest = torch.zeros(5, 5).index_fill(0, torch.tensor(2), torch.finfo(torch.float32).min)
    with (
        pytest.raises(SaccadeError, match=r"swap of 'Raw': the runs' scores differ by inf"),
        edit(model, {"*": swap(trace, {0: 1})}),
    ):
        model(SDPA, q, k, k, lowest, None, False)


def test_a_run_of_inference_mode_can_be_taken_over_in_training():
    model, (q, k, v) = Raw(), torch.randn(3, 1, 2, 5, 3)
    with watch(model, values=True) as trace, torch.inference_mode():
        model(SDPA, q + 1, k + 1, v + 1, None, None, False)
    for each in (swap(trace), swap(trace, {0: 1}), borrow(trace, append=True)):
        inputs = [t.clone().requires_grad_() for t in (q, k, v)]
        with edit(model, {"*": each}):
            model(SDPA, *inputs, None, None, False).sum().backward()
        assert all(t.grad.isfinite().all() for t in inputs if t.grad is not None)
