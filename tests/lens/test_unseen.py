"""Attention that cannot be seen is named, and never changed by being watched."""

import threading

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from saccade.lens import watch

from .models import Attend, Stack, eager


def test_eager_attention_is_named_as_missed():
    model = Stack(a=Attend(how=eager), b=Attend(), c=Attend(how=eager))
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
def test_multihead_attention_of_torch(grad):
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
    # Without gradients PyTorch takes its fast path for self-attention, which shows nothing.
    seen = [("layers.seen", "self")] * grad + [("layers.cross", "cross")]
    assert [(c.name, c.kind) for c in trace] == seen
    assert list(trace.missed) == ["layers.seen"] * (not grad) + ["layers.map"]
    assert "need_weights" in trace.missed["layers.map"] or not grad


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.filterwarnings("ignore:.*nested tensors")
def test_transformer_encoder_of_torch_keeps_its_fast_path(fast):
    model = nn.TransformerEncoder(nn.TransformerEncoderLayer(14, 2, 11, batch_first=True), 2).eval()
    padding = torch.arange(5) >= torch.tensor([[5], [3]])
    x = torch.randn(2, 5, 14)
    torch.backends.mha.set_fastpath_enabled(fast)
    try:
        with torch.no_grad():
            plain = model(x, src_key_padding_mask=padding)
            with watch(model) as trace:
                assert torch.equal(model(x, src_key_padding_mask=padding), plain)
    finally:
        torch.backends.mha.set_fastpath_enabled(True)
    if fast:
        assert list(trace.missed) == ["layers.0", "layers.1"]
        assert "set_fastpath_enabled(False)" in trace.missed["layers.0"]
    else:
        assert [c.name for c in trace] == ["layers.0.self_attn", "layers.1.self_attn"]
        assert not trace[0].columns([3, 4])[1].any()  # padding


def test_functional_multi_head_attention():
    class Direct(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.MultiheadAttention(14, 2)

        def forward(self, x, need):
            m = self.inner
            weights = (m.in_proj_weight, m.in_proj_bias, None, None, False, 0.0, m.out_proj.weight, m.out_proj.bias)
            return F.multi_head_attention_forward(x, x, x, 14, 2, *weights, need_weights=need)[0]

    model = Direct()
    with watch(model) as trace:
        model(torch.randn(5, 2, 14), False)
    assert [c.shape for c in trace] == [(2, 2, 5, 5)]
    with watch(model) as trace:
        model(torch.randn(5, 2, 14), True)
    assert list(trace.missed) == ["Direct"]


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


@pytest.mark.filterwarnings("ignore:.*flex_attention")
def test_flex_attention_is_named_as_missed():
    flex = pytest.importorskip("torch.nn.attention.flex_attention").flex_attention
    model, x = Stack(a=Attend(how=flex)), torch.randn(2, 5, 14)
    with torch.no_grad():
        plain = model(x)
        with watch(model) as trace:
            assert torch.equal(model(x), plain)
    assert len(trace) == 0
    assert "flex_attention" in trace.missed["blocks.a"]


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
