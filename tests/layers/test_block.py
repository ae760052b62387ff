"""The block and its parts: residuals, drop-path, MLPs, norms."""

import math

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import nn

from saccade.layers import MLP, Block, BlockConfig, RMSNorm, SwiGLU
from saccade.layers.block import LayerScaleDropPath
from saccade.ops import rotary_angles

CONFIG = BlockConfig(width=12, heads=3, hidden=7)


@pytest.mark.parametrize("norm", ["rms", "layer"])
@pytest.mark.parametrize("activation", ["gelu", "gelu_tanh", "quick_gelu", "relu", "swiglu"])
@pytest.mark.parametrize("layer_scale", [False, True])
def test_two_residual_lines(norm, activation, layer_scale):
    config = CONFIG.model_copy(update={"norm": norm, "activation": activation, "layer_scale": layer_scale})
    block = Block(config).eval()
    for parameter in block.parameters():
        nn.init.normal_(parameter, std=0.5)
    x, angles, mask = torch.randn(2, 7, 12), rotary_angles((7,), 4), torch.rand(7, 7) > 0.3
    scales = [1.0 if b.layer_scale is None else b.layer_scale for b in (block.attention_branch, block.mlp_branch)]
    after_attention = x + scales[0] * block.attention(block.attention_norm(x), mask=mask, angles=angles)
    expected = after_attention + scales[1] * block.mlp(block.mlp_norm(after_attention))
    torch.testing.assert_close(block(x, mask=mask, angles=angles), expected)


def test_a_block_whose_branches_end_in_zero_is_the_identity():
    block, x = Block(CONFIG), torch.randn(2, 7, 12)
    nn.init.zeros_(block.attention.out.weight)
    nn.init.zeros_(block.mlp.down.weight)
    assert torch.equal(block(x), x)


def test_layer_scale_starts_small():
    block = Block(CONFIG.model_copy(update={"layer_scale": True}))
    x = torch.randn(2, 7, 12)
    assert 0 < (block(x) - x).abs().max() < 1e-3


def test_drop_path_is_off_in_evaluation():
    branch, x = LayerScaleDropPath(3, layer_scale=False, drop_path=0.5).eval(), torch.randn(2, 5, 3)
    assert torch.equal(branch(x), x)


def test_drop_path_skips_whole_pictures_at_its_rate():
    chance, pictures = 0.3, 10_000
    out = LayerScaleDropPath(3, layer_scale=False, drop_path=chance)(torch.ones(pictures, 2, 3))
    kept = out[:, 0, 0] != 0
    assert torch.equal(kept[:, None, None].expand_as(out), out != 0)  # all of a picture or nothing
    assert abs(kept.float().mean() - (1 - chance)) < 5 * math.sqrt(chance * (1 - chance) / pictures)
    torch.testing.assert_close(out[kept], torch.full_like(out[kept], 1 / (1 - chance)))  # the mean stays


def test_drop_path_keeps_the_dtype():
    branch = LayerScaleDropPath(3, layer_scale=True, drop_path=0.3).bfloat16()
    assert branch(torch.ones(4, 2, 3, dtype=torch.bfloat16)).dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"width": 0}, "width"),
        ({"heads": -1}, "heads"),
        ({"norm": "batch"}, "norm"),
        ({"activation": "tanh"}, "activation"),
        ({"drop_path": 1.0}, "drop_path"),
        ({"eps": 0}, "eps"),
        ({"eps": math.inf}, "eps"),
        ({"width": 65537}, "width"),
        ({"hidden": 65537}, "hidden"),
        ({"heads": 1025}, "heads"),
        ({"dropout": 0.1}, "dropout"),
    ],
)
def test_config_names_the_field(changes, field):
    with pytest.raises(ValidationError, match=field):
        BlockConfig(**{"width": 12, "heads": 3, "hidden": 7} | changes)


@pytest.mark.parametrize("bias", [True, False])
def test_swiglu_is_its_equation(bias):
    layer, x = SwiGLU(5, 7, bias=bias).double(), torch.randn(2, 3, 5, dtype=torch.float64)
    gate, up = layer.gate(x), layer.up(x)
    torch.testing.assert_close(layer(x), layer.down(gate / (1 + torch.exp(-gate)) * up))


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("gelu", lambda x: x * 0.5 * (1 + torch.erf(x / math.sqrt(2)))),
        ("gelu_tanh", lambda x: 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))),
        ("quick_gelu", lambda x: x / (1 + torch.exp(-1.702 * x))),
        ("relu", lambda x: x.clamp(min=0)),
    ],
)
def test_mlp_and_its_activations(name, function):
    layer, x = MLP(5, 7, name).double(), torch.randn(2, 3, 5, dtype=torch.float64)
    torch.testing.assert_close(layer(x), layer.down(function(layer.up(x))))


def test_rms_norm_is_its_equation():
    norm, x = RMSNorm(7, eps=1e-3), torch.randn(2, 3, 5, 7)
    nn.init.normal_(norm.weight)
    expected = x / (x.square().mean(dim=-1, keepdim=True) + 1e-3).sqrt() * norm.weight
    torch.testing.assert_close(norm(x), expected)
    torch.testing.assert_close(norm(x), F.rms_norm(x, (7,), norm.weight, 1e-3))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_rms_norm_takes_the_dtype_of_its_tokens(dtype):
    """As under autocast: half tokens, float weights."""
    norm, x = RMSNorm(7), torch.randn(2, 7)
    assert norm(x.to(dtype)).dtype == dtype
    torch.testing.assert_close(norm(x.to(dtype)).float(), norm(x), atol=0.03, rtol=0)


def test_zeros_stay_zeros():
    assert (RMSNorm(7)(torch.zeros(2, 7)) == 0).all()
