"""What the attention kernels saw and returned, read below autograd and autocast.

`F.scaled_dot_product_attention` chooses a kernel by device, dtype and shape, casts under autocast and pads. A dispatch
mode around the original call sees the kernel that was really taken: its q and k in its dtype, and the log-sum-exp it
returns anyway. Nothing is computed twice and no choice is guessed, so the output is that of the original call.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from saccade.lens.attention.dispatch import DispatchMode

aten = torch.ops.aten


@dataclass(eq=False)
class KernelCall:
    """One call of a fused kernel. lse is None where the kernel does not return it."""

    q: Tensor
    k: Tensor
    v: Tensor
    mask: Tensor | None
    causal: bool
    scale: float | None
    lse: Tensor | None
    dropout: float = 0.0


def _flash(q, k, v, dropout_p=0.0, is_causal=False, *_, attn_mask=None, scale=None, **__):
    return KernelCall(q, k, v, attn_mask, is_causal, scale, None, dropout_p)


def _biased(q, k, v, attn_bias, compute_log_sumexp, dropout_p=0.0, is_causal=False, *_, scale=None, **__):
    return KernelCall(q, k, v, attn_bias, is_causal, scale, None, dropout_p)


def _overrideable(q, k, v, attn_bias=None, dropout_p=0.0, is_causal=False, *_, scale=None, **__):
    return KernelCall(q, k, v, attn_bias, is_causal, scale, None, dropout_p)


# Each returns (output, log-sum-exp, ...).
KERNELS: dict[Any, Callable[..., KernelCall]] = {
    aten._scaled_dot_product_flash_attention_for_cpu.default: _flash,
    aten._scaled_dot_product_flash_attention.default: _flash,
    aten._scaled_dot_product_efficient_attention.default: _biased,
    aten._scaled_dot_product_cudnn_attention.default: _biased,
    aten._scaled_dot_product_fused_attention_overrideable.default: _overrideable,
}


COMPOSITE = aten.scaled_dot_product_attention.default  # what chooses one of them


class KernelRecorder(DispatchMode):
    """While active, calls `on_kernel` for every fused attention kernel, and `on_other` for every other operation with
    its arguments and its result."""

    def __init__(
        self, on_kernel: Callable[[KernelCall], None], on_other: Callable[[Any, tuple, dict, Any], None] | None = None
    ) -> None:
        super().__init__()
        self._on_kernel, self._on_other = on_kernel, on_other

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func is COMPOSITE and not args[0].is_nested:  # inference mode dispatches it whole
            with self:
                return func.decompose(*args, **kwargs)
        out = func(*args, **kwargs)
        if func in KERNELS:
            call = KERNELS[func](*args, **kwargs)
            call.lse = unpadded_lse(out[1], call.q)
            self._on_kernel(call)
        elif self._on_other is not None:
            self._on_other(func, args, kwargs, out)
        return out


def unpadded_lse(lse: Tensor, q: Tensor) -> Tensor | None:
    """The log-sum-exp as (b h n), whatever the kernel pads it to; None where it left it out."""
    b, h, n, _ = q.shape
    if lse.ndim == 4 and lse.shape[-1] == 1:
        lse = lse[..., 0]
    if lse.ndim != 3 or lse.shape[:2] != (b, h) or lse.shape[2] < n:
        return None
    return lse[:, :, :n]
