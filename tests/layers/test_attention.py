"""The attention layer against plain loops in float64 from its own weights, and against PyTorch's."""

import copy
import math

import pytest
import torch
from torch import Tensor, nn

from saccade.errors import SaccadeError
from saccade.layers import Attention
from saccade.ops import rotary_angles

WIDTH, SOURCE_WIDTH, HEADS = 12, 10, 6


def linear(layer: nn.Linear, x: Tensor) -> Tensor:
    out = x @ layer.weight.double().T
    return out if layer.bias is None else out + layer.bias.double()


def normed(norm: nn.Module, x: Tensor) -> Tensor:
    if isinstance(norm, nn.Identity):
        return x
    return x / (x.square().mean() + norm.eps).sqrt() * norm.weight.double()


def turned(x: Tensor, angles: Tensor | None) -> Tensor:
    if angles is None:
        return x
    half = len(x) // 2
    spun = torch.complex(x[:half], x[half:]) * torch.polar(torch.ones_like(angles), angles).to(torch.complex128)
    return torch.cat([spun.real, spun.imag])


@torch.no_grad()
def by_hand(layer, target, source=None, allowed=None, angles=None, source_angles=None) -> Tensor:
    """One target token, one head, one source token at a time."""
    if source is None:
        source, source_angles = target, angles
    target, source = target.double(), source.double()
    k = layer.head_width
    heads = layer.query.out_features // k
    sharing = heads // (layer.key.out_features // k)
    result = torch.zeros_like(target)
    for b in range(len(target)):
        query, key, value = linear(layer.query, target[b]), linear(layer.key, source[b]), linear(layer.value, source[b])
        for i in range(target.shape[1]):
            mixed = torch.zeros(heads * k, dtype=torch.float64)
            for h in range(heads):
                g = slice(h // sharing * k, h // sharing * k + k)
                q = normed(layer.query_norm, query[i, h * k : h * k + k])
                q = turned(q, None if angles is None else angles[i].double())
                seen = [j for j in range(source.shape[1]) if allowed is None or allowed[b, i, j]]
                scores = []
                for j in seen:
                    one = normed(layer.key_norm, key[j, g])
                    one = turned(one, None if source_angles is None else source_angles[j].double())
                    scores.append(float(q @ one) / math.sqrt(k))
                total = sum(math.exp(s) for s in scores)
                for j, s in zip(seen, scores, strict=True):
                    mixed[h * k : h * k + k] += math.exp(s) / total * value[j, g]
            result[b, i] = linear(layer.out, mixed)
    return result


def randomised(layer: nn.Module) -> nn.Module:
    for parameter in layer.parameters():
        nn.init.normal_(parameter, std=0.5)
    return layer.eval()


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("qk_norm", [True, False])
@pytest.mark.parametrize("kv_heads", [None, 3, 1])
def test_self_attention_by_hand(kv_heads, qk_norm, bias):
    layer = randomised(Attention(WIDTH, HEADS, kv_heads=kv_heads, qk_norm=qk_norm, bias=bias))
    target, angles = torch.randn(2, 7, WIDTH), rotary_angles((2, 3), WIDTH // HEADS, prefix=1)
    for given in (None, angles):
        result = layer(target, angles=given)
        torch.testing.assert_close(result.double(), by_hand(layer, target, angles=given), atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("qk_norm", [True, False])
@pytest.mark.parametrize("kv_heads", [None, 2])
def test_cross_attention_by_hand(kv_heads, qk_norm):
    layer = randomised(Attention(WIDTH, 2, kv_heads=kv_heads, source_width=SOURCE_WIDTH, qk_norm=qk_norm))
    target, source = torch.randn(2, 5, WIDTH), torch.randn(2, 7, SOURCE_WIDTH)
    expected = by_hand(layer, target, source)
    torch.testing.assert_close(layer(target, source).double(), expected, atol=2e-5, rtol=1e-5)

    allowed = torch.rand(2, 5, 7) > 0.3
    angles, source_angles = rotary_angles((5,), 6), rotary_angles((7,), 6)
    result = layer(target, source, mask=allowed[:, None], angles=angles, source_angles=source_angles)
    expected = by_hand(layer, target, source, allowed, angles, source_angles)
    torch.testing.assert_close(result.double(), expected, atol=2e-5, rtol=1e-5)


def test_causal_by_hand():
    layer = randomised(Attention(WIDTH, HEADS))
    target = torch.randn(2, 5, WIDTH)
    allowed = torch.ones(2, 5, 5).tril().bool()
    expected = by_hand(layer, target, allowed=allowed)
    torch.testing.assert_close(layer(target, causal=True).double(), expected, atol=2e-5, rtol=1e-5)


def test_self_attention_is_cross_attention_to_itself():
    layer, x = randomised(Attention(WIDTH, HEADS, qk_norm=True)), torch.randn(2, 7, WIDTH)
    angles = rotary_angles((7,), WIDTH // HEADS)
    torch.testing.assert_close(layer(x), layer(x, x), atol=0, rtol=0)
    together = layer(x, x, angles=angles, source_angles=angles)
    torch.testing.assert_close(layer(x, angles=angles), together, atol=0, rtol=0)


@pytest.mark.parametrize("masked", [False, True])
def test_same_as_torch_self_attention(masked):
    ours, theirs = Attention(WIDTH, HEADS), randomised(nn.MultiheadAttention(WIDTH, HEADS, batch_first=True))
    for i, layer in enumerate((ours.query, ours.key, ours.value)):
        layer.weight.data = theirs.in_proj_weight[i * WIDTH : (i + 1) * WIDTH].clone()
        layer.bias.data = theirs.in_proj_bias[i * WIDTH : (i + 1) * WIDTH].clone()
    ours.out.load_state_dict(theirs.out_proj.state_dict())
    x = torch.randn(2, 7, WIDTH)
    forbidden = torch.rand(7, 7) > 0.7 if masked else None
    expected, _ = theirs(x, x, x, attn_mask=forbidden, need_weights=False)
    torch.testing.assert_close(ours(x, mask=None if forbidden is None else ~forbidden), expected)


def test_same_as_torch_cross_attention():
    ours = Attention(WIDTH, HEADS, source_width=SOURCE_WIDTH)
    theirs = nn.MultiheadAttention(WIDTH, HEADS, kdim=SOURCE_WIDTH, vdim=SOURCE_WIDTH, batch_first=True)
    randomised(theirs)
    for i, name in enumerate(("query", "key", "value")):
        layer = getattr(ours, name)
        layer.weight.data = getattr(theirs, f"{name[0]}_proj_weight").data.clone()
        layer.bias.data = theirs.in_proj_bias[i * WIDTH : (i + 1) * WIDTH].clone()
    ours.out.load_state_dict(theirs.out_proj.state_dict())
    x, source = torch.randn(2, 5, WIDTH), torch.randn(2, 7, SOURCE_WIDTH)
    torch.testing.assert_close(ours(x, source), theirs(x, source, source, need_weights=False)[0])


def test_the_order_of_the_source_does_not_matter():
    layer, x, source = randomised(Attention(WIDTH, HEADS)), torch.randn(2, 5, WIDTH), torch.randn(2, 7, WIDTH)
    torch.testing.assert_close(layer(x, source), layer(x, source[:, torch.randperm(7)]), atol=1e-5, rtol=1e-5)


def test_qk_norm_bounds_the_scores():
    """Scaling the input a thousandfold changes nothing but the values."""
    layer, x = randomised(Attention(WIDTH, HEADS, qk_norm=True, bias=False)), torch.randn(2, 7, WIDTH)
    torch.testing.assert_close(layer(1000 * x) / 1000, layer(x), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_other_dtypes(dtype):
    layer, x = Attention(WIDTH, 2, qk_norm=True), torch.randn(2, 7, WIDTH)
    angles = rotary_angles((7,), 6)
    result = copy.deepcopy(layer).to(dtype)(x.to(dtype), angles=angles)
    assert result.dtype == dtype
    torch.testing.assert_close(result.float(), layer(x, angles=angles), atol=0.03, rtol=0)


def test_gradcheck():
    layer = randomised(Attention(4, 2, kv_heads=1, qk_norm=True)).double()
    x = torch.randn(1, 3, 4, dtype=torch.float64, requires_grad=True)
    source = torch.randn(1, 2, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(layer, (x, source), fast_mode=True)


def test_every_weight_learns():
    layer = Attention(WIDTH, HEADS, kv_heads=2, source_width=SOURCE_WIDTH, qk_norm=True)
    layer(torch.randn(2, 5, WIDTH), torch.randn(2, 7, SOURCE_WIDTH)).square().sum().backward()
    for name, parameter in layer.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize(("heads", "kv_heads"), [(5, None), (6, 4), (0, None), (6, 0), (6, -1)])
def test_heads_that_do_not_divide(heads, kv_heads):
    with pytest.raises(SaccadeError, match=f"width of 12 with {heads} heads"):
        Attention(WIDTH, heads, kv_heads=kv_heads)
