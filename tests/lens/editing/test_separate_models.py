"""Edits of whole models of Hugging Face under eager attention: those of the fused call, and of maps edited by hand."""

import pytest
import torch
import transformers
from torch import nn

from saccade.errors import SaccadeError
from saccade.lens import bias_source, cut, drop_heads, edit, scale_heads, scale_source, watch

from ..recognising.test_eager_models import HIERA, MODELS, WORDS, tensors
from .cases import normal

DEFORMABLE = 12  # points of the deformable attention of Mask2Former, which is of another kind
SOURCES = [cut(sources=1), bias_source(0, 3.0), scale_source(2, -0.5)]


def explicit(w):
    """What SOURCES do to a map, and the first of some heads scaled."""
    if w.shape[-1] == DEFORMABLE:
        return w
    factors, columns = torch.ones(2, w.shape[-1], dtype=w.dtype)
    factors[:2], columns[2] = torch.tensor([3.0, 0.0]), -0.5
    w = normal(w * factors) * columns
    four = w.unflatten(0, (-1, 2)) if w.ndim == 3 else w  # two heads folded into the batch
    return torch.cat([four[:, :1] * 0.25, four[:, 1:]], dim=1).view_as(w)


def build(name, how):
    torch.manual_seed(3)
    model = MODELS[name][0]().eval().double()
    for p in model.parameters():
        nn.init.normal_(p, std=0.2)
    for part in model.modules() if how == "eager" else ():
        if getattr(part, "_supports_sdpa", False):
            part.set_attn_implementation("eager")
    return model


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.filterwarnings("ignore")
def test_edits_under_eager_attention(name, monkeypatch):
    size = MODELS[name][1]
    given = {"pixel_values": torch.randn(2, *(size if isinstance(size, tuple) else (3, size, size))).double()}
    given |= {"input_ids": WORDS} if name == "blip" else {}
    edits = [*SOURCES, scale_heads(0.25, 0)]
    model, outs = build(name, "eager"), {}
    with torch.no_grad():
        plain = tensors(model(**given))
        for how, each in (("eager", model), ("the default", build(name, "the default"))):
            with edit(each, {"*": edits}) as done, watch(each) as trace:
                outs[how] = tensors(each(**given))
            assert sum(done.applied.values()) == len(trace) > 0
            assert not done.missed or name == "mask2former"  # deformable attention
            assert not any(call.columns(1).any() for call in trace)
        softmax = torch.Tensor.softmax
        monkeypatch.setattr(torch.Tensor, "softmax", lambda x, *a, **o: explicit(softmax(x, *a, **o)))
        monkeypatch.setattr(torch, "softmax", lambda x, *a, **o: explicit(softmax(x, *a, **o)))
        outs["by hand"] = tensors(model(**given))
    for how in outs:
        for one, other in zip(outs["eager"], outs[how], strict=True):
            torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)
    assert max((a - b).abs().max() for a, b in zip(plain, outs["eager"], strict=True)) > 1e-2


@pytest.mark.filterwarnings("ignore")
def test_heads_that_cannot_be_told_from_windows_are_refused():
    model = transformers.HieraModel(transformers.HieraConfig(**HIERA, num_heads=[4, 4, 4, 4])).eval().double()
    with (
        pytest.raises(SaccadeError, match="the axis of the heads cannot be distinguished from others"),
        torch.no_grad(),
        edit(model, {"*": drop_heads(0)}),
    ):
        model(torch.randn(2, 3, 64, 64).double())


@pytest.mark.parametrize("name", ["vit", "swinv2", "detr"])
@pytest.mark.filterwarnings("ignore")
def test_weights_that_a_model_returns_are_those_of_the_edited_calls(name):
    _, size, fields = MODELS[name]
    model, given = build(name, "eager"), {"pixel_values": torch.randn(2, 3, size, size).double()}
    with torch.no_grad():
        plain = model(**given, output_attentions=True)
        with edit(model, {"*": SOURCES}), watch(model) as trace:
            out = model(**given, output_attentions=True)
    maps = [w for field in fields for w in out[field]]
    assert len(maps) == sum(len(plain[field]) for field in fields) > 1
    edited = [call.weights() for call in trace]
    for w in maps:
        assert any(each.numel() == w.numel() and torch.allclose(each.view_as(w), w, atol=1e-6) for each in edited)
        assert not w[..., 1].any()
    assert all(w[..., 1].all() for field in fields for w in plain[field])
    with torch.no_grad():
        again = model(**given, output_attentions=True)
    assert all(torch.equal(a, b) for field in fields for a, b in zip(plain[field], again[field], strict=True))


@pytest.mark.parametrize("name", ["swin", "swinv2"])
@pytest.mark.filterwarnings("ignore")
def test_windows_and_kinds_stay_known(name):
    model, x = build(name, "eager"), torch.randn(2, 3, 32, 32).double()
    with torch.no_grad():
        with watch(model) as plain:
            model(x)
        with watch(model) as above, edit(model, {"*": SOURCES}), watch(model) as below:
            model(x)
    for calls in zip(plain, above, below, strict=True):
        assert {call.kind for call in calls} == {"self"}
        assert all(torch.equal(call.windows.places, calls[0].windows.places) for call in calls)
