"""What cannot be edited is named, and what would be edited wrongly is refused."""

import threading

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from saccade.errors import SaccadeError
from saccade.lens import drop_heads, edit

from ..models import Attend, Stack, pooled


def test_what_cannot_be_edited_is_named():
    class Threaded(Attend):
        def forward(self, x):
            out = []
            thread = threading.Thread(target=lambda: out.append(self.how(x)))
            thread.start()
            thread.join()
            return out[0]

    model = Stack(a=Attend(), e=Attend(how=pooled), f=Attend(how=pooled), t=Threaded(how=Attend()))
    x = torch.randn(2, 5, 14)
    with edit(model, {"*.[aet]*": drop_heads(0)}) as edits:
        model(x)
    assert edits.applied == {"blocks.a": 1}
    assert sorted(edits.missed) == ["blocks.e", "blocks.t.how"]
    assert "softmax" in edits.missed["blocks.e"]
    assert "thread" in edits.missed["blocks.t.how"]
    assert "missed: blocks.e: " in repr(edits)
    with (
        pytest.raises(SaccadeError, match=r"'blocks.t.how' cannot be edited: .* thread"),
        edit(model, {"*.t.*": drop_heads(0)}),
    ):
        model(x)
    with (
        pytest.raises(SaccadeError, match=r"edits of '\*.e' changed nothing: 'blocks.e' cannot be edited: softmax"),
        edit(model, {"*.e": drop_heads(0)}),
    ):
        model(x)


@pytest.mark.filterwarnings("ignore:`torch.jit")
def test_scripted_modules_cannot_be_edited():
    model, x = Stack(a=Attend(), b=torch.jit.trace(Attend(), torch.randn(2, 5, 14))), torch.randn(2, 5, 14)
    with edit(model, {"*": drop_heads(0)}) as edits:
        model(x)
    assert edits.applied == {"blocks.a": 1}
    assert "torch.jit" in edits.missed["blocks.b"]


def test_a_pattern_that_matches_nothing_is_an_error_once_the_model_ran():
    model, x = Stack(a=Attend(), b=Attend()), torch.randn(2, 5, 14)
    with edit(model, {"*.c": drop_heads(0)}):
        pass
    message = r"edits of '\*.c' changed nothing: no attention call has such a name; there are blocks.a, blocks.b"
    with pytest.raises(SaccadeError, match=message), edit(model, {"*.a": drop_heads(0), "*.c": drop_heads(0)}):
        model(x)
    linear = nn.Linear(14, 2)
    with pytest.raises(SaccadeError, match="the model made none"), edit(linear, {"*": drop_heads(0)}):
        linear(x)
    with pytest.raises(SaccadeError, match=r"not its \.forward"), edit(model.blocks["a"], {"*": drop_heads(0)}):
        model.blocks["a"].forward(x)


@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpointed_calls_are_refused(reentrant):
    model, x = Stack(a=Attend(), b=Attend()), torch.randn(2, 5, 14, requires_grad=True)
    with (
        pytest.raises(SaccadeError, match=r"edit of 'blocks\.a': it runs under activation checkpointing"),
        edit(model, {"*": drop_heads(0)}),
    ):
        checkpoint(model, x, use_reentrant=reentrant)


def test_calls_that_show_no_q_and_k_cannot_be_edited():
    def direct(q, k, v):
        return torch.ops.aten.scaled_dot_product_attention(q, k, v)

    model, x = Stack(a=Attend(how=direct)), torch.randn(2, 5, 14)
    with (
        pytest.raises(SaccadeError, match=r"'blocks.a' cannot be edited: .* shows no q, k and v"),
        edit(model, {"*": drop_heads(0)}),
    ):
        model(x)


@pytest.mark.filterwarnings("ignore:There is a performance drop")
def test_calls_within_vmap_cannot_be_edited():
    model, x = Stack(a=Attend()), torch.randn(3, 2, 5, 14)
    with (
        pytest.raises(SaccadeError, match=r"'blocks.a' cannot be edited: it ran inside a torch.func transform"),
        edit(model, {"*": drop_heads(0)}),
    ):
        torch.func.vmap(model)(x)


@pytest.mark.filterwarnings("ignore:`torch.jit")
def test_a_scripted_model_is_refused():
    model = torch.jit.script(nn.Linear(2, 2))
    with (
        pytest.raises(SaccadeError, match="a scripted module, which shows no calls"),
        edit(model, {"*": drop_heads(0)}),
    ):
        pass
