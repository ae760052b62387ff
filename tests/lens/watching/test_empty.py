"""Attention without pictures, targets or sources, and attention that runs inside transforms of torch.func."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from saccade import ops
from saccade.lens import Trace, drop_heads, edit, watch

from ..models import Attend

H, C = 3, 4
SIZES = {"no pictures": (0, 5, 7), "no targets": (2, 0, 7), "no sources": (2, 5, 0), "nothing": (0, 0, 0)}


class Given(nn.Module):
    def __init__(self, how):
        super().__init__()
        self.how = how

    def forward(self, q, k):
        return self.how(q, k, k)


def given(b, n, m):
    return torch.randn(b, H, n, C), torch.randn(b, H, m, C)


@pytest.mark.parametrize("inference", [False, True])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("how", [F.scaled_dot_product_attention, ops.attend])
def test_views_of_nothing_are_empty(how, size, inference, tmp_path):
    (b, n, m), model = SIZES[size], Given(how)
    q, k = given(b, n, m)
    with torch.inference_mode(inference):
        expected = model(q, k)
        with watch(model) as trace:
            assert torch.equal(model(q, k), expected)
        (call,) = trace
        assert call.shape == (b, H, n, m)
        assert call.weights().shape == (b, H, n, m)
        assert call.rows([]).shape == (b, H, 0, m)
        assert call.columns([]).shape == (b, H, n, 0)
        for view, shape in ((call.received(), (b, H, m)), (call.entropy(), (b, H, n)), (call.lse, (b, H, n))):
            assert view.shape == shape
            assert torch.equal(view, torch.zeros(shape)) or m * n
        trace.save(tmp_path / "empty.safetensors")
        assert Trace.load(tmp_path / "empty.safetensors")[0].shape == (b, H, n, m)
        with edit(model, {"*": drop_heads(1)}):
            assert model(q, k).shape == (b, H, n, C)


@pytest.mark.parametrize("size", SIZES)
def test_separate_operations_on_nothing_are_named_as_that(size):
    model = Given(lambda q, k, v: (q @ k.mT).softmax(-1) @ v)
    with watch(model) as trace:
        model(*given(*SIZES[size]))
    assert not len(trace)
    assert "no scores at all" in trace.missed["Given"]


@pytest.mark.parametrize("grad", [True, False])
@pytest.mark.parametrize("needed", [True, False])
@pytest.mark.parametrize("size", [(0, 5, 14), (2, 0, 14)])
def test_multihead_attention_of_nothing(size, needed, grad):
    """Its fast path, too, runs on, and what is missed is not said to be missed for another reason."""
    model, x = nn.MultiheadAttention(14, 2, batch_first=True).eval(), torch.randn(size)
    try:
        with torch.set_grad_enabled(grad):
            expected = model(x, x, x, need_weights=needed)[0]
    except RuntimeError:  # the fast path of PyTorch refuses some
        return
    with torch.set_grad_enabled(grad), watch(model) as trace:
        assert torch.equal(model(x, x, x, need_weights=needed)[0], expected)
    why = trace.missed.get("MultiheadAttention", "there is no map" if len(trace) else "")
    assert "there is no map" in why


def separate(q, k, v):
    return (q @ k.mT).softmax(-1) @ v


MODELS = {
    "sdpa": lambda: Attend(),
    "separate": lambda: Attend(how=separate),
    "layer": lambda: nn.TransformerEncoderLayer(14, 2, 22, batch_first=True).eval(),
}


def ensemble(model, x):
    weights = {name: torch.stack([p, 1.3 * p]) for name, p in model.named_parameters()}
    return torch.func.vmap(lambda p: torch.func.functional_call(model, p, (x[0],)), randomness="different")(weights)


@pytest.mark.filterwarnings("ignore:There is a performance drop")
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("transform", [lambda model, x: torch.func.vmap(model)(x), ensemble])
def test_vmap_is_named(transform, name):
    """Never pictures as layers, nor pictures as heads."""
    model, x = MODELS[name](), torch.randn(3, 2, 5, 14)
    expected = transform(model, x)
    with watch(model) as trace:
        assert torch.equal(transform(model, x), expected)
    assert not len(trace)
    assert trace.missed
    assert all("torch.func" in why for why in trace.missed.values())


@pytest.mark.parametrize("name", MODELS)
def test_gradients_of_torch_func_are_named_or_exact(name):
    model, x = MODELS[name](), torch.randn(2, 5, 14)
    with watch(model) as plain:
        model(x)
    expected = torch.func.grad(lambda x: model(x).sum())(x)
    with watch(model) as trace:
        assert torch.equal(torch.func.grad(lambda x: model(x).sum())(x), expected)
    assert len(trace) or all("torch.func" in why for why in trace.missed.values())
    for call in trace:
        torch.testing.assert_close(call.weights(), plain[0].weights())


def test_other_weights_through_functional_call():
    model, x = Attend(how=separate), torch.randn(2, 5, 14)
    other = {name: 1.5 * p.detach() for name, p in model.named_parameters()}
    with watch(model) as trace:
        torch.func.functional_call(model, other, (x,))
    q, k = (F.linear(x, other[f"{i}.weight"], other[f"{i}.bias"]).unflatten(-1, (2, 7)) for i in "qk")
    torch.testing.assert_close(trace[0].weights(), torch.einsum("bihd,bjhd->bhij", q, k).softmax(-1))
