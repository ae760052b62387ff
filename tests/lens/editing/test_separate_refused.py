"""Attention of separate operations that is not known well enough to be made again is named, and runs as unedited."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from saccade.errors import SaccadeError
from saccade.lens import bias_source, borrow, cut, drop_heads, edit, scale_source, swap, watch

from ..models import Attend, Stack, eager


def soft(q, k):
    return (q @ k.mT).softmax(-1)


def dropped(q, k, v):
    return F.dropout(soft(q, k), 0.3) @ v


def gated(q, k, v):
    return (soft(q, k) * torch.tensor([0.5, 1.0])[:, None, None]) @ v


def talking(q, k, v):
    return torch.einsum("bhij,hg->bgij", soft(q, k), torch.tensor([[0.7, 0.4], [-0.2, 1.1]])) @ v


def masked_after(q, k, v):
    return soft(q, k).masked_fill(torch.eye(q.shape[2]).bool(), 0.0) @ v


def written(q, k, v):
    w = soft(q, k)
    w[:, 1].mul_(0.5)
    return w @ v


def written_view(q, k, v):
    w = soft(q, k)
    w.diagonal(dim1=-2, dim2=-1).zero_()
    return w @ v


def query_written(q, k, v):
    q = q.clone()
    w = soft(q, k)
    q[0, 0, 1].mul_(3.0)
    return w @ v


def out_given(q, k, v):
    return torch.matmul(soft(q, k), v, out=torch.empty_like(v))


def added(q, k, v):
    return torch.baddbmm(v.flatten(0, 1), soft(q, k).flatten(0, 1), v.flatten(0, 1), alpha=0.5).view_as(v)


def summed(q, k, v):
    return torch.einsum("bhij,bhjd->bhd", soft(q, k), v)[:, :, None].expand_as(v)


def by_target(q, k, v):
    """Other values for each target: a relative position of the values."""
    near = v[:, :, None] * torch.arange(1.0, q.shape[2] + 1)[:, None, None]
    return torch.einsum("bhij,bhijd->bhid", soft(q, k), near)


def turned_over(q, k, v):
    return soft(q, k)[..., torch.arange(q.shape[2] - 1, -1, -1)] @ v


def differential(q, k, v):
    return (soft(q, k) - 0.3 * soft(k, q)) @ v


NAMED = {
    differential: "after the softmax, by sub",
    dropped: r"dropout changed its weights .* call model.eval\(\)", gated: "after the softmax, by mul",
    talking: "after the softmax, by einsum", masked_after: "after the softmax, by masked_fill",
    written: "after the softmax, by |do not give", written_view: "by a write into them|do not give",
    query_written: "written into before its values were met", out_given: "written into another tensor",
    added: "added to something in the same operation", summed: "summed over more than the sources",
    by_target: "cannot be brought to its heads", turned_over: "after the softmax|cannot be brought",
}  # fmt: skip


@pytest.mark.parametrize("inference", [False, True])
@pytest.mark.parametrize("how", NAMED)
def test_what_is_no_plain_attention_is_named_and_runs_as_it_is(how, inference):
    model, x = Stack(a=Attend(how=how), b=Attend(how=eager)), torch.randn(2, 5, 14)
    with torch.inference_mode(inference), torch.no_grad():
        torch.manual_seed(1)
        plain = model.blocks["a"](x)
        torch.manual_seed(1)
        with edit(model, {"*": cut(sources=1)}) as done, watch(model) as trace:
            first = model.blocks["a"](x)
            model.blocks["b"](x)
        assert torch.equal(first, plain)
        assert done.applied == {"blocks.b": 1}
        assert list(done.missed) == ["blocks.a"]
        assert not trace["blocks.b"][0].columns(1).any()
        message = rf"edits of '\*.a' changed nothing: 'blocks.a' cannot be edited: .*({NAMED[how]})"
        with pytest.raises(SaccadeError, match=message), edit(model, {"*.a": cut(sources=1)}):
            model(x)


class Block(nn.Module):
    """As vit-pytorch writes it."""

    def __init__(self, width=14, heads=2, dropout=0.2):
        super().__init__()
        self.heads, self.scale = heads, (width // heads) ** -0.5
        self.norm, self.attend, self.dropout = nn.LayerNorm(width), nn.Softmax(dim=-1), nn.Dropout(dropout)
        self.to_qkv, self.to_out = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width)

    def forward(self, x):
        qkv = self.to_qkv(self.norm(x)).chunk(3, dim=-1)
        q, k, v = (t.unflatten(-1, (self.heads, -1)).transpose(1, 2) for t in qkv)
        attn = self.dropout(self.attend(torch.matmul(q, k.transpose(-1, -2)) * self.scale))
        return self.to_out(torch.matmul(attn, v).transpose(1, 2).flatten(2))


def test_dropout_in_training_and_evaluation():
    model, x = Stack(a=Block(), b=Block(dropout=0.0)), torch.randn(2, 5, 14)
    with edit(model, {"*": drop_heads(0)}) as done:
        model(x)
    assert done.applied == {"blocks.b": 1}
    assert "dropout" in done.missed["blocks.a"]
    with edit(model.eval(), {"*": drop_heads(0)}) as done:
        got = model(x)
    assert done.applied == {"blocks.a": 1, "blocks.b": 1}
    for block in model.blocks.values():
        with torch.no_grad():
            block.to_out.weight[:, :7] = 0.0
    torch.testing.assert_close(got, model(x))


class Two(Attend):
    """Calls of which only the last can be edited."""

    def __init__(self, first):
        super().__init__(how=lambda q, k, v: first(q, k, v) + eager(q, k + 1, v))


@pytest.mark.parametrize(("first", "calls"), [(gated, 2), (differential, 3)])
def test_calls_are_counted_as_a_watch_counts_them(first, calls):
    model, x = Two(first), torch.randn(2, 5, 14)
    with watch(model) as trace:
        model(x)
    assert len(trace) == calls
    with edit(model, {"*": swap(trace)}) as done, watch(model) as again:
        model(x + 1)
    assert done.applied == {"Two": 1}
    assert "Two" in done.missed
    torch.testing.assert_close(again[-1].weights(), trace[-1].weights())
    assert (again[0].weights() - trace[0].weights()).abs().max() > 1e-3


def capped(q, k, v):
    return torch.tanh(q @ k.mT).softmax(-1) @ v


def test_sources_cannot_be_borrowed_by_scores():
    model, x = Stack(a=Attend(how=capped)), torch.randn(2, 5, 14)
    fused = Stack(a=Attend())
    with watch(model, values=True) as capped_trace, watch(fused, values=True) as trace:
        model(x)
        fused(x)
    for here, there, which in ((model, trace, "this"), (fused, capped_trace, "the recorded")):
        with (
            pytest.raises(SaccadeError, match=f"borrow of 'blocks.a': {which} call is known by its scores only"),
            edit(here, {"*": borrow(there)}),
        ):
            here(x)
    with pytest.raises(SaccadeError, match=r"borrow of 'blocks\.a': this call is known by its scores only"):
        run_edited(fused, [swap(capped_trace), borrow(trace)], x)


def run_edited(model, edits, x):
    with edit(model, {"*": edits}):
        model(x)


@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpointed_calls_are_refused(reentrant):
    model, x = Stack(a=Attend(how=eager)), torch.randn(2, 5, 14, requires_grad=True)
    with (
        pytest.raises(SaccadeError, match=r"edit of 'blocks\.a': it runs under activation checkpointing"),
        edit(model, {"*": drop_heads(0)}),
    ):
        checkpoint(model, x, use_reentrant=reentrant)


def test_a_compiled_model_is_edited(unchecked):
    model, x = Stack(a=Attend(how=eager)), torch.randn(2, 5, 14)
    compiled = torch.compile(model, backend="eager")
    with torch.no_grad():
        plain = compiled(x)
        with edit(model, {"*": drop_heads(0)}):
            expected = model(x)
        with edit(compiled, {"blocks.*": drop_heads(0)}) as done:
            torch.testing.assert_close(compiled(x), expected)
        assert done.applied == {"blocks.a": 1}
        assert torch.equal(compiled(x), plain)


@pytest.mark.filterwarnings("ignore:There is a performance drop")
def test_calls_within_vmap_cannot_be_edited():
    model, x = Stack(a=Attend(how=eager)), torch.randn(3, 2, 5, 14)
    with pytest.raises(SaccadeError, match=r"'blocks\.a' cannot be edited"), edit(model, {"*": drop_heads(0)}):
        torch.func.vmap(model)(x)


def test_what_an_edit_does_not_fit_is_an_error():
    model, x = Stack(a=Attend(how=eager)), torch.randn(2, 5, 14)
    with pytest.raises(SaccadeError, match=r"scale_source of 'blocks\.a': source 5"):
        run_edited(model, scale_source(5, 2.0), x)


def test_an_operation_that_cannot_be_followed_is_named(monkeypatch):
    def broken(*args):
        raise RuntimeError("broken")

    model, x = Stack(a=Attend(how=eager)), torch.randn(2, 5, 14)
    monkeypatch.setattr("saccade.lens.editing.editor.arguments_of", broken)
    with pytest.raises(SaccadeError, match=r"'blocks\.a' cannot be edited: .*could not be followed: .*broken"):
        run_edited(model, drop_heads(0), x)
    monkeypatch.setattr("saccade.lens.recognising.eager.Recogniser.product", broken)
    with pytest.raises(SaccadeError, match=r"'blocks\.a' cannot be edited: .*could not be followed: .*broken"):
        run_edited(model, drop_heads(0), x)


def by_head(q, k, v):
    """Heads put one after another in the batch, as Set Transformer does: nothing shows that they are heads."""
    q, k, v = (torch.cat(t.unbind(1)) for t in (q, k, v))
    return torch.stack(((q @ k.mT).softmax(-1) @ v).chunk(2), dim=1)


def test_heads_that_cannot_be_told_from_pictures():
    model, x = Stack(a=Attend(how=by_head)), torch.randn(3, 5, 14)
    with (
        pytest.raises(
            SaccadeError, match=r"drop_heads of 'blocks\.a': .*the axis of the heads cannot be distinguished"
        ),
        edit(model, {"*": drop_heads(0)}),
    ):
        model(x)
    with edit(model, {"*": cut(sources=1)}), watch(model) as trace:
        got = model(x)
    assert trace[0].shape == (6, 1, 5, 5)
    model.blocks["a"].how = lambda q, k, v: F.scaled_dot_product_attention(q, k, v, scale=1.0)
    with edit(model, {"*": cut(sources=1)}):
        torch.testing.assert_close(got, model(x))


class Named(nn.Module):
    """Two heads by a name of its own, so that only the axes tell what is a head."""

    def __init__(self, laid):
        super().__init__()
        self.qkv, self.laid = nn.Linear(8, 24), laid

    def forward(self, x):
        q, k, v = (self.laid(t) for t in self.qkv(x).chunk(3, dim=-1))
        return (q @ k.mT / 2).softmax(-1) @ v


@pytest.mark.parametrize(
    "laid",
    [
        lambda t: t.transpose(0, 1).reshape(6, 6, 4).transpose(0, 1),  # pictures and heads on one axis
        lambda t: torch.cat(t.split(4, dim=2)),
        lambda t: t.view(3, 2, 3, 8),  # one head, windows
    ],
)
def test_an_axis_that_may_be_another_is_not_taken_for_the_heads(laid):
    x = torch.randn(3, 6, 8)
    with (
        pytest.raises(SaccadeError, match="axis of the heads cannot be distinguished"),
        edit(model := Named(laid), HEADS),
    ):
        model(x)


def test_heads_that_make_up_the_width_are_taken_for_heads():
    model, x = Named(lambda t: t.view(3, 6, 2, 4).transpose(1, 2)), torch.randn(3, 6, 8)
    plain = model(x)
    with edit(model, HEADS):
        out = model(x)
    assert not out[:, 0].any()
    torch.testing.assert_close(out[:, 1], plain[:, 1])


HEADS = {"*": drop_heads(0)}


def test_a_map_that_mixes_maps_is_missed():
    def twice(q, k, v):
        w = (q @ k.mT).softmax(-1)
        return (w @ w) @ v

    model, x = Attend(how=twice), torch.randn(2, 5, 14)
    with (
        pytest.raises(SaccadeError, match="multiplied with weights of a softmax"),
        edit(model, {"*": cut(sources=[0])}),
    ):
        model(x)
    with watch(model) as trace:
        model(x)
    assert len(trace) == 0
    assert "multiplied with weights of a softmax" in trace.missed["Attend"]


@pytest.mark.parametrize("low", [-1e9, torch.finfo(torch.float32).min, -1e4])
@pytest.mark.parametrize("change", [cut(sources=[0]), bias_source(0, 0.0)])
def test_a_target_left_with_nothing_does_not_look_at_what_was_masked(change, low):
    mask = torch.full((5, 5), low).triu(1)
    mask[3] = low  # a row that the model masks as a whole stays as it has it

    def masked(q, k, v):
        return (q @ k.mT + mask).softmax(-1) @ v

    model, x = Attend(how=masked), torch.randn(2, 5, 14)
    with edit(model, {"*": change}), watch(model) as trace:
        model(x)
    weights = trace[0].weights()
    assert not weights[:, :, 0].any()
    assert not weights[:, :, 1, 2:].any()
    if low < -1e6:  # beside which scores vanish
        torch.testing.assert_close(weights[:, :, 3, 1:], torch.full((2, 2, 4), 0.25))
