"""Attention that cannot be seen is named, and never changed by being watched."""

import threading

import pytest
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from saccade.lens import watch

from ..models import Attend, Stack, pooled


def test_attention_of_other_scores_is_named_as_missed():
    model = Stack(a=Attend(how=pooled), b=Attend(), c=Attend(how=pooled))
    x = torch.randn(2, 5, 14)
    plain = model(x)
    with watch(model) as trace:
        assert torch.equal(model(x), plain)
    assert [call.name for call in trace] == ["blocks.b"]
    assert list(trace.missed) == ["blocks.a", "blocks.c"]
    assert "(2, 2, 5, 5)" in trace.missed["blocks.a"]


def test_a_silent_attention_module_is_named_as_missed():
    class SecretAttention(nn.Linear):
        pass

    class PositionBiasAttention(nn.Linear):  # a part of an attention that is seen
        pass

    seen = Attend()
    seen.v = PositionBiasAttention(14, 14)
    model = Stack(a=SecretAttention(14, 14), b=seen)
    with watch(model) as trace:
        model(torch.randn(2, 5, 14))
    assert list(trace.missed) == ["blocks.a"]


def test_a_module_that_is_called_attention_by_the_one_around_it_is_named():
    class GatedDelta(nn.Linear):
        pass

    class Layer(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear_attn, self.attn_norm, self.mlp = (GatedDelta(14, 14) for _ in range(3))

        def forward(self, x):
            return self.mlp(self.attn_norm(self.linear_attn(x)))

    model = nn.Sequential(Layer(), Layer())
    with watch(model) as trace:
        model(torch.randn(2, 5, 14))
    assert list(trace.missed) == ["0.linear_attn", "1.linear_attn"]


def test_what_comes_after_an_attention_is_not_named():
    class AttentionOutput(nn.Linear):
        pass

    model = Stack(a=Attend(), b=AttentionOutput(14, 14))
    with watch(model) as trace:
        model(torch.randn(2, 5, 14))
    assert [call.name for call in trace] == ["blocks.a"]
    assert not trace.missed


def test_a_classifiers_softmax_is_not_attention():
    model = nn.Sequential(nn.Linear(14, 3), nn.Softmax(dim=-1))
    with watch(model) as trace:
        model(torch.randn(2, 5, 14))
    assert not trace.missed


@pytest.mark.parametrize("grad", [True, False])
def test_multihead_attention_within_a_model(grad):
    layers = {name: nn.MultiheadAttention(14, 2, batch_first=True) for name in ("seen", "cross", "map")}

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleDict(layers)

        def forward(self, x, context):
            x = x + self.layers["seen"](x, x, x, need_weights=False)[0]
            x = x + self.layers["cross"](x, context, context, need_weights=False)[0]
            return x + self.layers["map"](x, x, x)[0]

    model, x, context = Model().eval(), torch.randn(2, 5, 14), torch.randn(2, 5, 14)
    with torch.set_grad_enabled(grad):
        plain = model(x, context)
        with watch(model) as trace:
            assert torch.equal(model(x, context), plain)
    assert [(c.name, c.kind) for c in trace] == [
        ("layers.seen", "self"), ("layers.cross", "cross"), ("layers.map", "self")
    ]  # fmt: skip
    assert not trace.missed


def test_other_threads_are_not_seen_and_named():
    class Threaded(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = Attend()

        def forward(self, x):
            thread = threading.Thread(target=self.attention, args=(x,))
            thread.start()
            thread.join()
            return x

    model = Threaded()
    with watch(model) as trace:
        model(torch.randn(2, 5, 14))
    assert len(trace) == 0
    assert "thread" in trace.missed["attention"]


def test_calls_outside_the_model_are_not_taken_for_its_own():
    model, other = Attend(), Attend()
    with watch(model) as trace:
        other(torch.randn(2, 5, 14))
    assert len(trace) == 0
    assert list(trace.missed) == ["(outside)"]


@pytest.mark.filterwarnings("ignore:There is a performance drop")
def test_vmap_is_named_as_missed():
    model, x = Stack(cross=Attend()), torch.randn(3, 2, 5, 14)
    plain = torch.func.vmap(model)(x, x + 1)
    with watch(model) as trace:
        assert torch.equal(torch.func.vmap(model)(x, x + 1), plain)
    assert len(trace) == 0
    assert "torch.func" in trace.missed["blocks.cross"]


@pytest.mark.filterwarnings("ignore:`torch.jit")
def test_scripted_modules_are_named_as_missed():
    model, x = Stack(a=Attend(), b=torch.jit.trace(Attend(), torch.randn(2, 5, 14))), torch.randn(2, 5, 14)
    plain = model(x)
    with watch(model) as trace:
        assert torch.equal(model(x), plain)
    assert [c.name for c in trace] == ["blocks.a"]
    assert list(trace.missed) == ["blocks.b"]
    with watch(model.blocks["b"]) as trace:
        model.blocks["b"](x)
    assert "torch.jit" in next(iter(trace.missed.values()))


def test_the_math_kernel_is_seen_without_its_lse():
    model, x = Stack(a=Attend()), torch.randn(2, 5, 14)
    with sdpa_kernel(SDPBackend.MATH):
        plain = model(x)
        with watch(model) as trace:
            assert torch.equal(model(x), plain)
    assert trace[0]._lse is None
    assert trace[0].lse.shape == (2, 2, 5)
