"""attend and attention_weights @ v against float64, over every kind of call that PyTorch takes."""

import math
from dataclasses import dataclass
from typing import Any

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings
from torch import Tensor

from saccade.ops import attend, attention_weights, score

# Largest distance from float64 for values of about 1: a few roundings of the output, or of the weights.
CLOSE = {torch.float64: 1e-12, torch.float32: 2e-5, torch.float16: 6e-3, torch.bfloat16: 5e-2}
LENGTHS = [0, 1, 2, 7, 17, 67]
WIDTHS = [0, 1, 5, 8, 13, 32]


@dataclass
class Drawn:
    """A call, and whether its inputs require gradients (which decides between batched products and the kernel)."""

    q: Tensor
    k: Tensor
    v: Tensor
    kwargs: dict[str, Any]
    grad: bool

    def attend(self) -> Tensor:
        q, k, v = (t.detach().requires_grad_(self.grad) for t in (self.q, self.k, self.v))
        return attend(q, k, v, **self.kwargs).detach()

    def mixed(self) -> Tensor:
        return attention_weights(self.q, self.k, **self.kwargs) @ self._ungrouped(self.v)

    def exact(self) -> Tensor:
        """The formula in float64, without a line of the library."""
        mask, scale = self.kwargs["mask"], self.kwargs["scale"]
        q, k, v = self.q.double(), self._ungrouped(self.k).double(), self._ungrouped(self.v).double()
        s = q @ k.mT * (1 / math.sqrt(max(q.shape[-1], 1)) if scale is None else scale)
        if mask is not None:
            s = torch.where(mask, s, -math.inf) if mask.dtype == torch.bool else s + mask.double()
        if self.kwargs["causal"]:
            n, m = s.shape[-2:]
            s = torch.where(torch.arange(m) <= torch.arange(n)[:, None], s, -math.inf)
        return torch.softmax(s, dim=-1).nan_to_num(0.0) @ v  # a row of -inf alone gives NaN

    def close(self) -> float:
        """CLOSE, and what adding a mask this large loses in the dtype it is added in."""
        mask, dtype = self.kwargs["mask"], self.q.dtype
        if mask is None or mask.dtype == torch.bool:
            return CLOSE[dtype]
        largest = float(mask[mask.isfinite()].double().abs().max()) if mask.isfinite().any() else 0.0
        return CLOSE[dtype] + 4 * largest * torch.finfo(torch.promote_types(dtype, torch.float32)).eps

    def _ungrouped(self, t: Tensor) -> Tensor:
        return t.repeat_interleave(self.q.shape[1] // t.shape[1], dim=1)


def strided(draw, *shape: int, dtype: torch.dtype) -> Tensor:
    """Normal numbers in a layout that a model may come with."""
    layout = draw(st.sampled_from(["contiguous", "heads inside", "transposed", "sliced", "expanded"]))
    b, h, n, k = shape
    if layout == "heads inside":  # as a projection makes them
        return torch.randn(b, n, h, k, dtype=dtype).transpose(1, 2)
    if layout == "transposed":
        return torch.randn(b, h, k, n, dtype=dtype).mT
    if layout == "sliced":
        return torch.randn(b, h, n, 2 * k + 3, dtype=dtype)[..., 1 : 2 * k + 1 : 2]
    if layout == "expanded":
        return torch.randn(1, h, n, k, dtype=dtype).expand(shape)
    return torch.randn(shape, dtype=dtype)


def masks(draw, full: tuple[int, ...]) -> Tensor | None:
    """Any of the shapes that broadcast to the scores, boolean or of any float dtype, with and without empty rows."""
    kind = draw(st.sampled_from([None, torch.bool, torch.float64, torch.float32, torch.float16, torch.bfloat16]))
    if kind is None:
        return None
    shape = [size if draw(st.booleans()) else 1 for size in full][draw(st.integers(0, 4)) :]
    allowed = torch.rand(shape) < draw(st.sampled_from([0.0, 0.6, 1.0]))
    if kind == torch.bool:
        mask = allowed
    else:
        mask = torch.randn(shape, dtype=torch.float64) * 3 + draw(st.sampled_from([0, 0, -700, 300]))
        mask = mask.masked_fill(~allowed, draw(st.sampled_from([-math.inf, 0.0]))).to(kind)
    if mask.ndim >= 2 and draw(st.booleans()):
        mask = mask.mT.contiguous().mT
    return mask.expand(full) if draw(st.sampled_from([False, False, True])) else mask


@st.composite
def calls(draw) -> Drawn:
    torch.manual_seed(draw(st.integers(0, 10**6)))
    dtype = draw(st.sampled_from(list(CLOSE)))
    b, g, each = draw(st.sampled_from([0, 1, 2, 3])), draw(st.sampled_from([1, 2, 3])), draw(st.sampled_from([1, 1, 2]))
    n, m = draw(st.sampled_from(LENGTHS)), draw(st.sampled_from(LENGTHS))
    width, c = draw(st.sampled_from(WIDTHS)), draw(st.sampled_from(WIDTHS))
    c = width if draw(st.booleans()) else c  # PyTorch's kernel is fused only where they agree
    q = strided(draw, b, g * each, n, width, dtype=dtype)
    k = strided(draw, b, g, m, width, dtype=dtype)
    v = strided(draw, b, g, m, c, dtype=dtype)
    mask = masks(draw, (b, g * each, n, m))
    scale = draw(st.sampled_from([None, None, 0.0, 0.3, -0.7]))
    return Drawn(q, k, v, {"mask": mask, "scale": scale, "causal": draw(st.booleans())}, draw(st.booleans()))


@settings(max_examples=400)
@given(calls())
def test_attend_and_the_weights_are_exact_in_every_call(call):
    exact, dtype = call.exact(), call.q.dtype
    for out in (call.attend(), call.mixed()):
        assert out.dtype == dtype
        assert out.shape == exact.shape
        torch.testing.assert_close(out.double(), exact, atol=call.close(), rtol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("grad", [False, True])
@pytest.mark.parametrize("autocast", [False, True])
def test_a_float32_mask_is_not_rounded(dtype, grad, autocast):
    """A distance bias around -700, where a step of bf16 is 4 and one of fp16 is 0.5."""
    q, k, v = (torch.randn(2, 3, 67, 32).to(dtype) for _ in range(3))
    place = torch.arange(67.0)
    bias = -(place[:, None] - place).abs() / 7 - 700.0
    call = Drawn(q, k, v, {"mask": bias, "scale": None, "causal": False}, grad)
    with torch.autocast("cpu", dtype=dtype, enabled=autocast):
        for out in (call.attend(), call.mixed()):
            torch.testing.assert_close(out.double(), call.exact(), atol=CLOSE[dtype] / 2, rtol=0)
    rounded = Drawn(q, k, v, {"mask": bias.to(dtype), "scale": None, "causal": False}, grad)
    assert (rounded.attend() - call.exact()).abs().max() > CLOSE[dtype]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_scores_of_half_precision_are_float32(dtype):
    """Scores of some 500,000, beyond the largest number of fp16, 65,504."""
    q, k = (torch.randn(1, 2, 7, 64).to(dtype) * 250 for _ in range(2))
    s = score(q, k)
    assert s.dtype == torch.float32
    torch.testing.assert_close(s.double(), q.double() @ k.double().mT / 8, atol=1, rtol=1e-6)
    assert s.abs().max() > 65504
    weights = attention_weights(q, k)
    assert weights.dtype == dtype
    torch.testing.assert_close(weights.double(), torch.softmax(s.double(), -1), atol=CLOSE[dtype], rtol=0)


@pytest.mark.parametrize("shape", [(3, 7, 11), (1, 7, 11), (3, 1, 11), (7, 11), (1, 11), (11,), (), (2, 1, 1, 11)])
@pytest.mark.parametrize("kind", [torch.bool, torch.float32])
def test_every_mask_stays_fused(shape, kind):
    q, k, v = (torch.randn(2, 3, n, 13) for n in (7, 11, 11))
    with torch.no_grad(), torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        attend(q, k, v, mask=torch.ones(shape).to(kind))
    assert any("flash_attention" in event.key for event in profile.key_averages())
