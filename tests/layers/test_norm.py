"""RMSNorm against PyTorch's, in every dtype, with and without gradients."""

import pytest
import torch
import torch.nn.functional as F

from saccade.layers import RMSNorm


def norm_and_tokens(dtype: torch.dtype, width: int = 37) -> tuple[RMSNorm, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    norm = RMSNorm(width)
    norm.weight.data = torch.rand(width, generator=generator) + 0.5
    return norm, (torch.randn(3, 5, width, generator=generator) * 7).to(dtype)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("gradients", [True, False])
def test_values_are_those_of_pytorch_and_the_input_stays(dtype, gradients):
    norm, x = norm_and_tokens(dtype)
    before = x.clone()
    with torch.set_grad_enabled(gradients):
        found = norm(x)
    assert found.dtype == dtype
    torch.testing.assert_close(found, F.rms_norm(x, (37,), norm.weight.to(dtype), norm.eps))
    assert torch.equal(x, before)


def test_gradients_are_those_of_pytorch_also_of_tokens_of_zeros():
    norm, x = norm_and_tokens(torch.float64)
    x[1, 2] = 0
    gradient = torch.randn(x.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    found = [x.clone().requires_grad_(), norm.weight]
    expected = [x.clone().requires_grad_(), norm.weight.detach().clone().requires_grad_()]
    norm(found[0]).backward(gradient)
    F.rms_norm(expected[0], (37,), expected[1].double(), norm.eps).backward(gradient)
    torch.testing.assert_close(found[0].grad, expected[0].grad)
    torch.testing.assert_close(found[1].grad, expected[1].grad)


def test_under_autocast_the_dtype_of_the_tokens_stays():
    norm, x = norm_and_tokens(torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        assert norm(x).dtype == torch.float32
        assert norm(x.bfloat16()).dtype == torch.bfloat16


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("gradients", [True, False])
def test_half_precision_rounds_once(dtype, gradients):
    """PyTorch 2.13 rounds before it multiplies by the weight too, and is off by up to twice as much."""
    norm, x = norm_and_tokens(dtype, 193)
    exact = F.rms_norm(x.double(), (193,), norm.weight.double(), norm.eps)
    with torch.set_grad_enabled(gradients):
        found = norm(x)
    within = exact.abs() * (torch.finfo(dtype).eps / 2 * 1.01)
    assert bool(((found.double() - exact).abs() <= within).all())
    torchs = F.rms_norm(x, (193,), norm.weight.to(dtype), norm.eps).double()
    assert not bool(((torchs - exact).abs() <= within).all())
