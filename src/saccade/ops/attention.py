"""Attention of a target to a source. The only softmax over scores in the project is here.

Scaled dot-product attention (Vaswani et al. 2017, eq. 1): softmax(s Q Kᵀ + mask) V with s = 1/√k. `score`
is the argument of that softmax, `attention_weights` its value, `attend` the whole, fused.
"""

import math
from contextlib import AbstractContextManager, nullcontext

import torch
import torch.nn.functional as F
from jaxtyping import Float, Shaped
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function

from saccade.errors import SaccadeError

# In bf16 on a CPU, PyTorch's fused backward is up to five times slower than three batched products
# (benchmarks/core/vit.py). The products keep the weights for the backward pass, so they are used up to this size.
MAX_PRODUCT_BYTES = 256 * 2**20  # bytes of weights a call


def attend(
    q: Float[Tensor, "b h n k"],
    k: Float[Tensor, "b g m k"],
    v: Float[Tensor, "b g m c"],
    mask: Shaped[Tensor, "..."] | None = None,
    scale: float | None = None,
    causal: bool = False,
) -> Float[Tensor, "b h n c"]:
    """Fused attention: the values of the source, averaged with weights from the product of queries and keys.

    q: queries of the target. k, v: keys and values of the source; with g < h each serves h / g heads
    (grouped-query attention, Ainslie et al. 2023), and h must be a multiple of g.
    mask: broadcastable to (b h n m). Boolean: True where the target may attend. Float: added to the scores, in float32
    where q is bf16 or fp16 and the mask is of another dtype.
    scale: factor of q·k; default 1/√k.
    causal: target i attends to sources 0 to i only (aligned at the first token, as in PyTorch).

    Returns zeros for targets that may attend to nothing. Raises SaccadeError if shapes do not fit together.
    """
    if has_torch_function((q, k, v)):  # also true inside a TorchFunctionMode: this is how the lens sees the call
        return handle_torch_function(attend, (q, k, v), q, k, v, mask=mask, scale=scale, causal=causal)
    _check(q, k, v, mask)
    q, k, v = in_autocast_dtype(q, k, v)
    compute = _products if _products_are_faster(q, k, v, mask) else _fused
    with _no_autocast(q.device):  # it would round a float32 mask, and run the softmax of the products in fp32
        return compute(q, k, v, mask, scale, causal)


def attention_weights(
    q: Float[Tensor, "b h n k"],
    k: Float[Tensor, "b g m k"],
    mask: Shaped[Tensor, "..."] | None = None,
    scale: float | None = None,
    causal: bool = False,
) -> Float[Tensor, "b h n m"]:
    """How much each target token attends to each source token: between 0 and 1, summing to 1 over m.

    The definition of the weights that `attend` uses, with the same arguments. All n x m weights of every head are held
    in memory. A target that may attend to nothing gets a row of zeros. Computed in float32 (float64 for
    float64 inputs) and returned in the dtype of q.
    """
    return _softmax(score(q, k, mask, scale, causal), mask).to(q.dtype)


def score(
    q: Float[Tensor, "b h n k"],
    k: Float[Tensor, "b g m k"],
    mask: Shaped[Tensor, "..."] | None = None,
    scale: float | None = None,
    causal: bool = False,
) -> Float[Tensor, "b h n m"]:
    """Scaled and masked scores s q·k + mask, before the softmax; -inf where the target may not attend.

    Computed and returned in float32 (float64 for float64 inputs), as scores of fp16 inputs can exceed its range.
    """
    _check(q, k, k, mask)
    dtype = torch.promote_types(q.dtype, torch.float32)
    with _no_autocast(q.device):
        return _score(q.to(dtype), k.to(dtype), mask, scale, causal)


def default_scale(q: Float[Tensor, "... k"]) -> float:
    """1/√k, which keeps the variance of q·k at 1 for unit-variance entries (Vaswani et al. 2017, 3.2.1)."""
    return 1.0 / math.sqrt(max(q.shape[-1], 1))


def causal_mask(n: int, m: int, device: torch.device | None = None) -> Tensor:
    """(n, m) boolean: target i may attend to sources 0 to i."""
    return torch.ones(n, m, dtype=torch.bool, device=device).tril()


def _score(q: Tensor, k: Tensor, mask: Tensor | None, scale: float | None, causal: bool) -> Float[Tensor, "b h n m"]:
    """`score` in the dtype of q, but in float32 at least once a float mask is added."""
    s = _grouped(q * (default_scale(q) if scale is None else scale), k.transpose(-1, -2))
    if causal:
        s = s.masked_fill(~causal_mask(s.shape[-2], s.shape[-1], s.device), -math.inf)
    if mask is None:
        return s
    mask = _prepared(mask, torch.promote_types(s.dtype, torch.float32))
    return s.masked_fill(~mask, -math.inf) if mask.dtype == torch.bool else s + mask


def _softmax(s: Float[Tensor, "b h n m"], mask: Tensor | None) -> Float[Tensor, "b h n m"]:
    if mask is None:
        return torch.softmax(s, dim=-1)
    # A row with nothing to attend to would be 0/0. Give it finite scores, so that gradients stay finite as
    # well, and then no weight.
    empty = torch.isneginf(s).all(dim=-1, keepdim=True)
    return torch.softmax(s.masked_fill(empty, 0.0), dim=-1).masked_fill(empty, 0.0)


def _products(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, scale: float | None, causal: bool
) -> Float[Tensor, "b h n c"]:
    """`attend` as two batched products around a softmax, in the dtype of q."""
    return _grouped(_softmax(_score(q, k, mask, scale, causal), mask).to(v.dtype), v)


def _fused(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, scale: float | None, causal: bool
) -> Float[Tensor, "b h n c"]:
    """`attend` as one call of PyTorch's kernel."""
    dtype = q.dtype
    if mask is not None:
        mask = _prepared(mask, dtype if mask.dtype == dtype else torch.promote_types(dtype, torch.float32))
    if causal and (mask is not None or (scale is not None and scale <= 0)):  # the kernel scales after its causal -inf
        mask, causal = _both(mask, causal_mask(q.shape[2], k.shape[2], q.device)), False
    if mask is not None and q.device.type != "cpu" and mask.dtype not in (torch.bool, dtype):
        q, k, v = (t.to(mask.dtype) for t in (q, k, v))  # only the CPU's kernel adds a mask of another dtype
    grouped = q.shape[1] != k.shape[1]
    return F.scaled_dot_product_attention(
        q, k, v, attn_mask=mask, is_causal=causal, scale=scale, enable_gqa=grouped
    ).to(dtype)


def _prepared(mask: Shaped[Tensor, "..."], dtype: torch.dtype) -> Shaped[Tensor, "b h n m"]:
    """The mask with four axes, without which PyTorch's kernel is not fused; a float mask in `dtype`."""
    mask = mask[(None,) * (4 - mask.ndim)]
    return mask if mask.dtype == torch.bool else mask.to(dtype)


def _grouped(left: Shaped[Tensor, "b h n p"], right: Shaped[Tensor, "b g p r"]) -> Shaped[Tensor, "b h n r"]:
    """Matrix product in which each of the g right heads serves h / g left heads, without repeating it."""
    (b, h, n, p), g = left.shape, right.shape[1]
    if g == h:
        return left @ right
    return (left.reshape(b, g, h // g * n, p) @ right).reshape(b, h, n, right.shape[-1])


def _both(mask: Tensor | None, allowed: Tensor) -> Tensor:
    if mask is None:
        return allowed
    return mask & allowed if mask.dtype == torch.bool else mask.masked_fill(~allowed, -math.inf)


def _products_are_faster(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> bool:
    if q.device.type != "cpu" or q.dtype != torch.bfloat16 or not torch.is_grad_enabled():
        return False
    if not (q.requires_grad or k.requires_grad or v.requires_grad):
        return False
    b, h, n, _ = q.shape
    each = 2 if mask is None or mask.dtype == torch.bool else 4  # a float mask makes weights in float32
    return b * h * n * k.shape[2] * each <= MAX_PRODUCT_BYTES


def _no_autocast(device: torch.device) -> AbstractContextManager:
    if _autocasts(device.type):
        return torch.autocast(device.type, enabled=False)
    return nullcontext()


def _autocasts(device: str) -> bool:
    # Not available on the meta device, where asking whether it is enabled is an error. Some versions of torch.compile
    # cannot trace the question.
    available = torch.compiler.is_compiling() or torch.amp.is_autocast_available(device)
    return available and torch.is_autocast_enabled(device)


def in_autocast_dtype(*tensors: Tensor) -> tuple[Tensor, ...]:
    """The tensors as a matrix product under autocast takes them; unchanged without it, and in float64."""
    device = tensors[0].device.type
    if tensors[0].dtype == torch.float64 or not _autocasts(device):
        return tensors
    dtype = torch.get_autocast_dtype(device)
    return tuple(t.to(dtype) for t in tensors)


def _check(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> None:
    fits = (
        q.ndim == k.ndim == v.ndim == 4
        and q.shape[0] == k.shape[0] == v.shape[0]
        and q.shape[3] == k.shape[3]
        and k.shape[1:3] == v.shape[1:3]
        and k.shape[1] > 0
        and q.shape[1] % k.shape[1] == 0
    )
    if not fits:
        raise SaccadeError(
            f"q, k, v of shapes {tuple(q.shape)}, {tuple(k.shape)}, {tuple(v.shape)} do not fit together: expected "
            "q (b h n k), k (b g m k), v (b g m c) with h a multiple of g. Split heads before calling."
        )
    if mask is None:
        return
    if mask.dtype != torch.bool and not mask.is_floating_point():
        raise SaccadeError(
            f"a mask is boolean (True where the target may attend) or float (added to the scores), not {mask.dtype}: "
            "convert it with mask.bool()"
        )
    scores = (*q.shape[:3], k.shape[2])
    sizes = zip(reversed(mask.shape), reversed(scores), strict=False)
    if mask.ndim > 4 or any(size not in (1, full) for size, full in sizes):
        raise SaccadeError(
            f"a mask of shape {tuple(mask.shape)} does not broadcast to the scores (b h n m) = {tuple(scores)}"
        )
