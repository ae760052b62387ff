"""Every view equals the same quantity taken from the maps of Hugging Face's eager attention."""

import pytest
import torch
from transformers import (
    CLIPVisionConfig,
    CLIPVisionModel,
    Dinov2WithRegistersConfig,
    Dinov2WithRegistersModel,
    ViTConfig,
    ViTModel,
)

from saccade.lens import watch

TINY = {"hidden_size": 28, "num_hidden_layers": 3, "num_attention_heads": 2, "image_size": 55, "patch_size": 11}
MODELS = {
    "vit": (lambda: ViTModel(ViTConfig(intermediate_size=19, **TINY), add_pooling_layer=False), 1),
    "dinov2": (lambda: Dinov2WithRegistersModel(Dinov2WithRegistersConfig(num_register_tokens=3, **TINY)), 4),
    "clip": (lambda: CLIPVisionModel(CLIPVisionConfig(intermediate_size=19, **TINY)), 1),
}


@pytest.fixture(params=MODELS, scope="module")
def seen(request):
    """The trace of a watched model, its unwatched output, the watched one, the eager maps, and the prefix length."""
    build, prefix = MODELS[request.param]
    torch.manual_seed(3)
    model = build().eval()
    for p in model.parameters():  # larger weights than the default: maps with some structure
        torch.nn.init.normal_(p, std=0.3)
    x = torch.randn(2, 3, 55, 55)
    with torch.no_grad():
        model.set_attn_implementation("eager")
        maps = model(x, output_attentions=True).attentions
        model.set_attn_implementation("sdpa")
        plain = model(x).last_hidden_state
        with watch(model, values=True) as trace:
            watched = model(x).last_hidden_state
    assert len(trace) == len(maps) == 3
    return trace, plain, watched, maps, prefix


def close(a, b):
    torch.testing.assert_close(a, b, atol=1e-5, rtol=0)


def test_output_is_bit_for_bit_the_same(seen):
    _, plain, watched, _, _ = seen
    assert torch.equal(plain, watched)


def test_calls_are_named_and_whole(seen):
    trace, _, _, maps, prefix = seen
    names = [call.name for call in trace]
    assert len(set(names)) == 3
    assert all("att" in name for name in names)
    assert not trace.missed
    for call, w in zip(trace, maps, strict=True):
        assert call.kind == "self"
        assert call.shape == tuple(w.shape) == (2, 2, 25 + prefix, 25 + prefix)
        assert call.v.shape == call.k.shape


def test_views(seen):
    trace, _, _, maps, _ = seen
    for call, w in zip(trace, maps, strict=True):
        close(call.weights(), w)
        close(call.rows([0, 7, -1]), w[:, :, [0, 7, -1]])
        close(call.columns([2, -3]), w[..., [2, -3]])
        close(call.received(), w.mean(dim=2))
        close(call.entropy(), torch.special.entr(w).sum(-1))
        values, indices = call.top(5)
        close(values, w.topk(5).values)
        close(w.gather(-1, indices), values)


def test_distance(seen):
    trace, _, _, maps, prefix = seen
    spots = torch.stack(torch.meshgrid(torch.arange(5.0), torch.arange(5.0), indexing="ij"), -1).reshape(25, 2)
    steps = (spots[:, None] - spots[None]).square().sum(-1).sqrt()
    for call, w in zip(trace, maps, strict=True):
        among = w[:, :, prefix:, prefix:]
        expected = (among / among.sum(-1, keepdim=True) * steps).sum(-1).mean(-1)
        close(call.distance((5, 5)), expected)
        close(call.distance((5, 5), prefix=prefix), expected)


@pytest.mark.parametrize("token", [0, -2, "mean"])
def test_rollout(seen, token):
    trace, _, _, maps, _ = seen
    n = maps[0].shape[-1]
    r = torch.eye(n).expand(2, n, n)
    for w in maps:
        r = (0.5 * w.mean(dim=1) + 0.5 * torch.eye(n)) @ r
    if token == "mean":
        close(trace.rollout(torch.ones(n)), r.mean(dim=1))
    else:
        close(trace.rollout(token), r[:, token])
    close(trace.rollout().sum(-1), torch.ones(2))
