"""Attention in modules of torch.nn, however they compute it, and FlexAttention."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from saccade.lens import watch
from saccade.lens.recognising import fused

from ..models import Attend, Stack

PADDING = torch.arange(5) >= torch.tensor([[5], [3], [4]])
CAUSAL = torch.ones(5, 5).triu(1).bool()
FLOAT = torch.randn(6, 5, 5, generator=torch.Generator().manual_seed(1))


def both(model, *inputs, grad=False, values=True, **options):
    """The trace of a model whose output is that of the unwatched one, and that output."""
    with torch.set_grad_enabled(grad):
        torch.manual_seed(5)
        plain = model(*inputs, **options)
        torch.manual_seed(5)
        with watch(model, values=values) as trace:
            watched = model(*inputs, **options)
    for a, b in zip(outputs(plain), outputs(watched), strict=True):
        assert torch.equal(a, b)
    return trace, plain


def outputs(out):
    given = out if isinstance(out, tuple) else (out,)
    return [t.to_padded_tensor(0.0) if t.is_nested else t.nan_to_num() for t in given if t is not None]


MASKS = [{}, {"key_padding_mask": PADDING}, {"attn_mask": CAUSAL}, {"key_padding_mask": PADDING, "attn_mask": CAUSAL}]


@pytest.mark.parametrize("grad", [True, False])
@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("masks", [*MASKS, {"attn_mask": FLOAT}])
@pytest.mark.parametrize("options", [{}, {"add_bias_kv": True, "add_zero_attn": True}, {"kdim": 11}])
@pytest.mark.filterwarnings("ignore:(Converting mask|Support for mismatched)")
def test_multihead_attention_has_the_weights_it_returns(options, masks, batch_first, grad):
    layer = nn.MultiheadAttention(14, 2, batch_first=batch_first, **options).eval()
    x, context = torch.randn(3, 5, 14), torch.randn(3, 5, options.get("kdim", 14))
    inputs = [x, context, torch.randn(3, 5, 14)] if "kdim" in options else [x, x, x]
    if not batch_first:
        inputs = [inputs[0].transpose(0, 1)] * 3 if "kdim" not in options else [t.transpose(0, 1) for t in inputs]
    trace, (_, expected) = both(layer, *inputs, grad=grad, average_attn_weights=False, **masks)
    (call,) = trace
    assert not trace.missed
    assert call.note == ""
    assert call.name == "MultiheadAttention"
    assert call.kind == ("self" if not options else "cross")
    torch.testing.assert_close(call.weights(), expected, atol=1e-5, rtol=0)
    trace, (out, _) = both(layer, *inputs, grad=grad, need_weights=False, **masks)
    torch.testing.assert_close(trace[0].weights(), expected, atol=1e-5, rtol=0)
    mixed = (trace[0].weights() @ trace[0].v).transpose(1, 2).flatten(2)
    mixed = layer.out_proj(mixed if batch_first else mixed.transpose(0, 1))
    torch.testing.assert_close(mixed, out, atol=1e-5, rtol=0)


@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("grad", [True, False])
def test_multihead_attention_with_dropout(need_weights, grad):
    layer, x = nn.MultiheadAttention(14, 2, dropout=0.4, batch_first=True), torch.randn(3, 5, 14)
    trace, _ = both(layer, x, x, x, grad=grad, need_weights=need_weights)
    _, expected = layer.eval()(x, x, x, average_attn_weights=False)
    (call,) = trace
    assert not trace.missed
    torch.testing.assert_close(call.weights(), expected.detach(), atol=1e-5, rtol=0)


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.filterwarnings("ignore:.*(nested tensors|enable_nested_tensor)")
def test_the_fast_path_of_an_encoder_shows_what_the_slow_one_does(norm_first, causal, padded, nested):
    layer = nn.TransformerEncoderLayer(14, 2, 11, activation="gelu", batch_first=True, norm_first=norm_first)
    model = nn.TransformerEncoder(layer, 2, enable_nested_tensor=nested).eval()
    options = {"mask": CAUSAL if causal else None, "src_key_padding_mask": PADDING if padded else None}
    x = torch.randn(3, 5, 14)
    trace, _ = both(model, x, **options)
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        slow, _ = both(model, x, **options)
    finally:
        torch.backends.mha.set_fastpath_enabled(True)
    assert not trace.missed
    assert [(c.name, c.kind, c.shape) for c in trace] == [(c.name, c.kind, c.shape) for c in slow]
    there = ~PADDING[:, None, :, None] if padded else torch.ones(3, 1, 5, 1)
    for fast, other in zip(trace, slow, strict=True):  # what stands at a place of padding is arbitrary
        torch.testing.assert_close(fast.weights() * there, other.weights() * there, atol=1e-5, rtol=0)
        torch.testing.assert_close(fast.v * there, other.v * there, atol=1e-5, rtol=0)


def test_a_fused_layer_that_gave_another_output_is_named(monkeypatch):
    model, x = nn.TransformerEncoderLayer(14, 2, 11, batch_first=True).eval(), torch.randn(3, 5, 14)
    rest = fused._rest_of_layer
    monkeypatch.setattr(fused, "_rest_of_layer", lambda x, y, given: rest(x, y, given) + 0.1)
    trace, _ = both(model, x)
    assert len(trace) == 0
    assert "another output" in trace.missed["TransformerEncoderLayer"]


class Direct(nn.Module):
    """Calls the function, without the module."""

    def __init__(self):
        super().__init__()
        self.inner = nn.MultiheadAttention(14, 2)

    def forward(self, x, context, need, dropout):
        m = self.inner
        weights = (m.in_proj_weight, m.in_proj_bias, None, None, False, dropout, m.out_proj.weight, m.out_proj.bias)
        return F.multi_head_attention_forward(
            x, context, context, 14, 2, *weights, need_weights=need, average_attn_weights=False
        )


@pytest.mark.parametrize("need", [True, False])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_functional_multi_head_attention(need, dropout):
    model, x = Direct(), torch.randn(5, 3, 14)
    _, expected = model(x, x, True, 0.0)
    trace, _ = both(model, x, x, need, dropout)
    (call,) = trace
    assert (call.name, call.kind) == ("Direct", "self")
    torch.testing.assert_close(call.weights(), expected.detach(), atol=1e-5, rtol=0)
    trace, _ = both(model, x, torch.randn(5, 3, 14), need, dropout)
    assert trace[0].kind == "cross"


flex_attention = pytest.importorskip("torch.nn.attention.flex_attention")
SLOPES = torch.tensor([0.5, 0.25])
FLEX = {
    "plain": {},
    "scaled": {"scale": 0.7},
    "added": {"score_mod": lambda s, b, h, i, j: s - SLOPES[h] * (i - j).abs()},
    "masked": {"mask": lambda b, h, i, j: (i >= j) & (j != b)},
    "both": {"score_mod": lambda s, b, h, i, j: s + j, "mask": lambda b, h, i, j: (i - j).abs() <= h + 1},
    "soft cap": {"score_mod": lambda s, b, h, i, j: 2 * torch.tanh(s / 2)},
}


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("name", FLEX)
@pytest.mark.filterwarnings("ignore:.*flex_attention")
def test_flex_attention(name, grouped):
    options = dict(FLEX[name])
    mask = options.pop("mask", None)
    if mask:
        options["block_mask"] = flex_attention.create_block_mask(mask, 3, 2, 5, 5, device="cpu", BLOCK_SIZE=1)

    def attend(q, k, v, weights=False):
        v = torch.eye(5).expand(3, 2, 5, 5) if weights else v
        k, v = (t[:, :1] for t in (k, v)) if grouped else (k, v)
        return flex_attention.flex_attention(q, k, v, enable_gqa=grouped, **options)

    layer, x = Attend(how=attend), torch.randn(3, 5, 14)
    with torch.no_grad(), torch.compiler.set_stance("force_eager"):  # else it compiles its own products every time
        trace, _ = both(Stack(a=layer), x)
        expected = attend(*(layer._split(part(x)) for part in (layer.q, layer.k, layer.v)), weights=True)
    (call,) = trace
    assert not trace.missed
    assert (call.name, call.kind) == ("blocks.a", "self")
    assert ("score_mod" in call.note) == (name == "soft cap")
    torch.testing.assert_close(call.weights(), expected, atol=1e-5, rtol=0)
