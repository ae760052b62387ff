"""Relevance of attention written as separate operations: that of the fused call, and of whole maps with gradients."""

import gc
import weakref

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from transformers import ViTConfig, ViTForImageClassification

from saccade.errors import SaccadeError
from saccade.lens import Trace, cut, edit, legrad, scale_heads, scale_source, watch

from ..editing.test_separate_layouts import WAYS
from ..models import Attend, Stack, eager
from ..recognising.test_eager import KEPT, MIX, SCORES, SOFT, B, C, H, N, Written
from .test_relevance import Detects, Double, weighted

SDPA = F.scaled_dot_product_attention


def same_but_fused(model):
    """The same weights with the fused call."""
    fused = Detects(SDPA) if isinstance(model, Detects) else Double(**{name: Attend(how=SDPA) for name in model.blocks})
    fused.load_state_dict(model.state_dict())
    return fused


def traced(model, *inputs):
    with watch(model, gradients=True) as trace:
        model(*inputs)[:, 1].sum().backward()
    return trace


@pytest.mark.parametrize("how", [how for how in WAYS if "grouped" not in how.__name__])  # here no keys are shared
def test_relevance_is_that_of_the_fused_call(how):
    model, x = Double(a=Attend(how=how), b=Attend(how=how)), torch.randn(2, 7, 14).double()
    got, expected = traced(model, x), traced(same_but_fused(model), x)
    for token in (0, 3):
        torch.testing.assert_close(got.relevance(token), expected.relevance(token), rtol=1e-9, atol=1e-14)
    for one, other in zip(got, expected, strict=True):
        torch.testing.assert_close(legrad(one), legrad(other), rtol=1e-9, atol=1e-14)
    x, queries = torch.randn(2, 11, 14).double(), torch.randn(2, 5, 14).double()
    model = Detects(how)
    got, expected = traced(model, x, queries), traced(same_but_fused(model), x, queries)
    torch.testing.assert_close(got.relevance(2), expected.relevance(2), rtol=1e-9, atol=1e-14)


WRITTEN = {f"scores: {name}": {"scores": how} for name, how in SCORES.items()}
WRITTEN |= {f"softmax: {name}": {"soft": how} for name, how in SOFT.items() if name != "module"}
WRITTEN |= {f"product: {name}": {"mix": how} for name, how in MIX.items() if name != "twice"}
WRITTEN |= {f"kept as scores: {name}": {"scores": how} for name, (how, _) in KEPT.items() if name != "dropped keys"}


@pytest.mark.parametrize("name", WRITTEN)
def test_every_way_to_write_it_against_the_gradient_of_its_map(name):
    model, x, kept = Written(**WRITTEN[name]), torch.randn(B, N, H * C), []
    soft = model.soft

    def keeping(s):
        kept.append(soft(s))
        kept[0].retain_grad()
        return kept[0]

    with watch(model, gradients=True) as trace:
        model(x)[:, 0].square().sum().backward()
    model.soft = keeping
    model(x)[:, 0].square().sum().backward()
    expected = torch.eye(N) + weighted(kept[0].float() if kept[0].grad is None else kept[0])
    torch.testing.assert_close(trace.relevance(0).float(), expected[:, 0], atol=1e-5, rtol=1e-4)


def test_a_model_of_transformers_under_eager_attention():
    config = ViTConfig(
        hidden_size=14, num_hidden_layers=3, num_attention_heads=2, intermediate_size=22, image_size=22, patch_size=11,
        attn_implementation="eager",
    )  # fmt: skip
    model, x = ViTForImageClassification(config).eval(), torch.randn(2, 3, 22, 22)
    for p in model.parameters():
        nn.init.normal_(p, std=0.3)
    found = {}
    for how in ("eager", "sdpa"):
        model.set_attn_implementation(how)
        with watch(model, gradients=True) as trace:
            model(x).logits[:, 1].sum().backward()
        found[how] = trace.relevance()
    torch.testing.assert_close(found["eager"], found["sdpa"], rtol=1e-4, atol=1e-6)


def test_relevance_of_edited_calls():
    model, x = Double(a=Attend(how=eager), b=Attend(how=eager)), torch.randn(2, 7, 14).double()
    fused = same_but_fused(model)
    edits = {"*": [cut([1], [2, 3]), scale_source(0, 2.0), scale_heads(0.5, 1)]}
    with edit(fused, edits):
        expected = traced(fused, x).relevance()
    with edit(model, edits):
        below = traced(model, x).relevance()
    with watch(model, gradients=True) as above, edit(model, edits):
        model(x)[:, 1].sum().backward()
    for got in (below, above.relevance()):
        torch.testing.assert_close(got, expected, rtol=1e-6, atol=1e-8)  # eager's softmax is in fp32


def twice(q, k, v):
    w = (q @ k.mT).softmax(-1)
    return w @ v + w @ v.abs()


def added(q, k, v):
    w, v = (q @ k.mT).softmax(-1).flatten(0, 1), v.flatten(0, 1)
    return torch.baddbmm(v, w, v).view_as(q)


class Supervised(Attend):
    """The loss depends on its map besides."""

    def __init__(self):
        super().__init__(how=self.attend)

    def attend(self, q, k, v):
        self.map = (q @ k.mT).softmax(-1)
        return self.map @ v


REFUSED = {
    "dropout": (lambda q, k, v: F.dropout((q @ k.mT).softmax(-1), 0.3) @ v, r"dropout changed its weights .*\.eval"),
    "a gate": (lambda q, k, v: ((q @ k.mT).softmax(-1) * 0.7) @ v, "its weights are changed after the softmax, by"),
    "two products": (twice, "does more with its weights than one product"),
    "added": (added, "its product with values is added to something"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_gradients_that_are_not_those_of_the_map_are_refused(name):
    how, why = REFUSED[name]
    with watch(model := Stack(a=Attend(how=how)), gradients=True) as trace:
        model(torch.randn(2, 5, 14)).sum().backward()
    with pytest.raises(SaccadeError, match=f"the gradient of the map of 'blocks.a' is not known: .*{why}"):
        trace.relevance()


def test_a_loss_of_the_map_itself_is_refused():
    with watch(model := Stack(a=Supervised()), gradients=True) as trace:
        out = model(torch.randn(2, 5, 14))
        (out.sum() + model.blocks["a"].map[..., 3].square().sum()).backward()
    with pytest.raises(SaccadeError, match="more with its weights than one product"):
        trace.relevance()


class Marked(torch.autograd.Function):
    """Does nothing; the graph holds the mark."""

    @staticmethod
    def forward(ctx, x, mark):
        ctx.mark = mark
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient, None


def test_watching_gradients_keeps_no_graph():
    """What waits for them must not be kept alive by the graph that it waits for."""
    model, mark = Stack(a=Attend(how=eager)), nn.Module()
    gc.disable()
    try:
        with watch(model, gradients=True) as trace:
            out = model(Marked.apply(torch.randn(2, 5, 14, requires_grad=True), mark))
            out.sum().backward()
        mark = weakref.ref(mark)
        assert mark() is not None
        del out
        assert mark() is None
    finally:
        gc.enable()
    assert trace.relevance().shape == (2, 5)


def test_save_and_load_keep_them(tmp_path):
    trace = traced(Double(a=Attend(how=eager)), torch.randn(2, 5, 14).double())
    trace.save(tmp_path / "a.safetensors")
    assert torch.equal(Trace.load(tmp_path / "a.safetensors").relevance(), trace.relevance())


@pytest.mark.parametrize("average", [False, True])
def test_torch_s_own_attention_with_its_weights(average):
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = (nn.MultiheadAttention(14, 2, batch_first=True) for _ in range(2))
            self.double()

        def forward(self, x, needed=True):
            for each in (self.one, self.two):
                out, self.map = each(x, x, x, need_weights=needed, average_attn_weights=average)
                x = x + out
            return x

    model, x, found = Model(), torch.randn(2, 5, 14).double(), []
    for needed in (True, False):
        with watch(model, gradients=True) as trace:
            model(x, needed)[:, 0, 3].sum().backward()
        found.append(trace.relevance())
    torch.testing.assert_close(*found, rtol=1e-9, atol=1e-14)
    with watch(model, gradients=True) as trace:
        (model(x)[:, 0, 3].sum() + model.map.square().sum()).backward()
    with pytest.raises(SaccadeError, match="'two' is not known: the model does more with its weights"):
        trace.relevance()


def test_functional_multi_head_attention_with_its_weights():
    class Direct(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.MultiheadAttention(14, 2).double()

        def forward(self, x, needed):
            m = self.inner
            weights = (m.in_proj_weight, m.in_proj_bias, None, None, False, 0.0, m.out_proj.weight, m.out_proj.bias)
            return F.multi_head_attention_forward(x, x, x, 14, 2, *weights, need_weights=needed)[0]

    model, x, found = Direct(), torch.randn(5, 2, 14).double(), []
    for needed in (True, False):
        with watch(model, gradients=True) as trace:
            model(x, needed)[0, :, 3].sum().backward()
        found.append(trace.relevance())
    torch.testing.assert_close(*found, rtol=1e-9, atol=1e-14)
