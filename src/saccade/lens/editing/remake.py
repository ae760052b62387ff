"""Make an attention call again, with other q, k, v and mask."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Shaped
from torch import Tensor

from saccade import ops
from saccade.lens.attention.args import AttentionArgs
from saccade.lens.editing.base import whole_mask


def call_with_arguments(func: Callable, arguments: AttentionArgs) -> Shaped[Tensor, "b h n c"]:
    """Call `func`, `F.scaled_dot_product_attention` or `saccade.attend`, with other arguments.

    arguments: what to call it with, in four axes.
    """
    q, k, v, width = arguments.q, arguments.k, arguments.v, arguments.v.shape[3]
    if width < q.shape[3]:  # fused kernels want one width
        v = F.pad(v, (0, q.shape[3] - width))
    if func is ops.attend:
        return _narrow(func(q, k, v, mask=arguments.mask, scale=arguments.scale, causal=arguments.causal), width)
    mask = None if arguments.mask is None else torch.atleast_2d(whole_mask(arguments))
    options = {
        "is_causal": arguments.causal and mask is None,
        "scale": arguments.scale,
        "enable_gqa": q.shape[1] != k.shape[1],
    }
    return _narrow(func(q, k, v, attn_mask=mask, dropout_p=arguments.dropout, **options), width)


def leading_axes(arguments: AttentionArgs, out: Tensor) -> tuple[int, ...]:
    """The axes before the tokens in what a call returns. out: the same in four axes."""
    three = (arguments.q, arguments.k, arguments.v)
    if max(t.ndim for t in three) <= 3:
        return tuple(torch.broadcast_shapes(*(t.shape[:-2] for t in three)))
    return (*torch.broadcast_shapes(*(t.shape[:-3] for t in three)), out.shape[1])


def _narrow(out: Shaped[Tensor, "b h n w"], width: int) -> Shaped[Tensor, "b h n c"]:
    """Without what was padded onto its width; laid out by token, as fused kernels do and models rely on."""
    if out.shape[3] == width:
        return out
    return out[..., :width].transpose(1, 2).contiguous().transpose(1, 2)
