"""Edits of whole models: a silent head equals one whose columns of the output projection are zero, a cut a mask."""

import pytest
import torch
from torch import nn
from transformers import CLIPConfig, CLIPModel, ViTConfig, ViTModel

from saccade.layers.block import BlockConfig
from saccade.lens import borrow, cut, drop_heads, edit, scale_heads, swap, watch
from saccade.models.vit import ViT
from saccade.models.vit import ViTConfig as OurConfig

TINY = {"hidden_size": 28, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 19}


def close(a, b):
    torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)


def zero_head(projection, head, heads):
    """Cut a head off from the rest of the model for good."""
    width = projection.in_features // heads
    with torch.no_grad():
        projection.weight[:, head * width : (head + 1) * width] = 0.0


def ours():
    model = ViT(OurConfig(block=BlockConfig(width=28, heads=2, hidden=19), depth=2, patch=11, grid=(2, 2)))
    return model, {"x": (torch.randn(2, 3, 22, 22),)}, lambda out: out


def hf_vit():
    model = ViTModel(ViTConfig(image_size=22, patch_size=11, **TINY), add_pooling_layer=False)
    return model, {"x": (torch.randn(2, 3, 22, 22),)}, lambda out: out.last_hidden_state


def clip():
    config = CLIPConfig(
        text_config={"vocab_size": 31, "max_position_embeddings": 7, "eos_token_id": 2, **TINY},
        vision_config={"image_size": 22, "patch_size": 11, **TINY},
    )
    words = torch.randint(3, 31, (2, 7))
    words[:, -1] = 2
    return CLIPModel(config), {"x": (words, torch.randn(2, 3, 22, 22))}, lambda out: out.logits_per_image


def multihead(need_weights, fast=True):
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = (nn.MultiheadAttention(28, 2, batch_first=fast) for _ in range(2))

        def forward(self, x, y):
            x = x + self.one(x, x, x, need_weights=need_weights)[0]
            return x + self.two(x, y, y, need_weights=need_weights)[0]

    return Model(), {"x": (torch.randn(2, 5, 28), torch.randn(2, 5, 28))}, lambda out: out


def encoder():
    layer = nn.TransformerEncoderLayer(28, 2, 19, batch_first=True)
    return nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), {"x": (torch.randn(2, 5, 28),)}, lambda out: out


def decoder():
    layer = nn.TransformerDecoderLayer(28, 2, 19, batch_first=True)
    return nn.TransformerDecoder(layer, 2), {"x": (torch.randn(2, 3, 28), torch.randn(2, 5, 28))}, lambda out: out


MODELS = {
    "ours": ours, "vit": hf_vit, "clip": clip, "encoder": encoder, "decoder": decoder,
    "mha": lambda: multihead(False), "mha with weights": lambda: multihead(True),
    "mha sequence first": lambda: multihead(True, False),
}  # fmt: skip


@pytest.fixture(params=MODELS)
def model(request):
    """A model with weights of some size, a function that runs it, and its attention modules."""
    torch.manual_seed(5)
    module, inputs, output = MODELS[request.param]()
    if hasattr(module, "set_attn_implementation"):
        module.set_attn_implementation("sdpa")
    for p in module.parameters():
        if p.ndim > 1:
            torch.nn.init.normal_(p, std=0.3)
    return module.eval(), lambda: output(module(*inputs["x"]))


def projections(module):
    """Every attention module's output projection."""
    names = ("out_proj", "proj", "o_proj", "out")
    found = {}
    for name, each in module.named_modules():
        if isinstance(each, nn.Linear):
            parent, _, last = name.rpartition(".")
            if (last in names and "mlp" not in parent) or name.endswith("attention.output.dense"):
                found[name] = each
    return list(found.values())


@pytest.mark.parametrize("grad", [False, True])
def test_silent_heads(model, grad):
    module, run = model
    with torch.set_grad_enabled(grad):
        plain = run()
        with edit(module, {"*": drop_heads(1)}) as edits, watch(module, values=True) as trace:
            got = run()
        assert not edits.missed
        assert not trace.missed
        assert set(edits.applied.values()) == {1}
        assert [c.name for c in trace] == list(edits.applied)
        assert not any(c.v[:, 1].any() for c in trace)
        assert torch.equal(run(), plain)
        for each in (found := projections(module)):
            zero_head(each, 1, 2)
        assert len(found) == len(trace)
        close(got, run())
    assert (got - plain).abs().max() > 1e-3


def test_watched_maps_are_those_that_were_used(model):
    """Swapping in the maps that a watch saw of an edited run reproduces them, from either side of the edit."""
    module, run = model
    with torch.no_grad():
        with watch(module, values=True) as above, edit(module, {"*": cut(sources=[1])}), watch(module, True) as below:
            edited = run()
        assert len(above) == len(below)
        for one, other in zip(above, below, strict=True):
            assert one.kind == other.kind
            assert not one.columns(1).any()
            close(one.weights(), other.weights())
            close(one.weights().sum(-1), torch.ones(one.shape[:3]))
        with edit(module, {"*": swap(above)}):
            close(run(), edited)
        with edit(module, {"*": borrow(above)}), watch(module) as trace:
            close(run(), edited)
        assert {c.kind for c in trace} == {"cross"}


def test_a_cut_is_a_mask_of_an_encoder():
    model, inputs, _ = encoder()
    model.eval()
    mask = torch.zeros(5, 5, dtype=torch.bool)
    mask[torch.tensor([[0], [3]]), torch.tensor([1, 4])] = True
    with torch.no_grad():
        expected = model(*inputs["x"], mask=mask)
        with edit(model, {"layers.*": cut([0, 3], [1, -1])}):
            close(model(*inputs["x"]), expected)
        padding = torch.arange(5) >= torch.tensor([[5], [3]])
        expected = model(*inputs["x"], mask=mask, src_key_padding_mask=padding)
        with edit(model, {"layers.*": cut([0, 3], [1, -1])}):
            close(model(*inputs["x"], src_key_padding_mask=padding), expected)


def test_one_layer_of_an_encoder_is_edited_and_the_others_are_not():
    model, inputs, _ = encoder()
    model.eval()
    with torch.no_grad():
        with edit(model, {"*.1.*": drop_heads(0)}) as edits:
            got = model(*inputs["x"])
        assert edits.applied == {"layers.1.self_attn": 1}
        zero_head(model.layers[1].self_attn.out_proj, 0, 2)
        close(got, model(*inputs["x"]))


@pytest.mark.parametrize("average", [False, True])
@pytest.mark.parametrize("batched", [False, True])
def test_returned_weights_are_the_edited_ones(average, batched):
    module = nn.MultiheadAttention(28, 2, batch_first=True)
    x = torch.randn(2, 5, 28) if batched else torch.randn(5, 28)
    hidden = torch.rand(5, 5) > 0.7  # True: may not attend
    hidden[:, 0] = False
    more = hidden.clone()
    more[:, 3] = True
    out, weights = module(x, x, x, attn_mask=more, average_attn_weights=average)
    with edit(module, {"*": cut(sources=3)}):  # where weights are needed PyTorch ignores what is_causal says
        got = module(x, x, x, attn_mask=hidden, average_attn_weights=average, is_causal=True)
    close(got[0], out)
    close(got[1], weights)
    assert got[1].shape == weights.shape
    with edit(module, {"*": [scale_heads(2.0, 0), scale_heads(2.0, 1)]}):
        assert module(x, x, x, need_weights=False)[1] is None


def test_a_head_of_multi_head_attention_forward_called_directly():
    class Direct(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.MultiheadAttention(28, 2)

        def forward(self, x):
            m = self.inner
            weights = (m.in_proj_weight, m.in_proj_bias, None, None, False, 0.0, m.out_proj.weight, m.out_proj.bias)
            return nn.functional.multi_head_attention_forward(x, x, x, 28, 2, *weights)[0]

    model, x = Direct(), torch.randn(5, 2, 28)
    with edit(model, {"Direct": drop_heads(1)}), watch(model) as below:
        got = model(x)
    with watch(model) as above, edit(model, {"*": drop_heads(1)}):
        close(model(x), got)
    assert [c.name for c in above] == [c.name for c in below] == ["Direct"]
    zero_head(model.inner.out_proj, 1, 2)
    close(got, model(x))
