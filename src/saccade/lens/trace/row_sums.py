"""Weighted sums of a map's rows, by a fused kernel that writes no weight down."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from saccade.lens.attention.kernels import KernelCall, KernelRecorder
from saccade.lens.modes import hidden_no_grad


def fused_weighted_sum(
    q: Float[Tensor, "b h n k"],
    k: Float[Tensor, "b g m k"],
    lse: Float[Tensor, "b h n"],
    share: Float[Tensor, "b n"],
    scale: float,
) -> Float[Tensor, "b h m"] | None:
    """Σ_i share_i · exp(s q_i·k_j − lse_i) for every source j: of each target's row, so much.

    It is exp of the log-sum-exp over i of s k_j·q_i + (log share_i − lse_i). A fused kernel returns that beside its
    output if it is given the keys as queries, the queries as keys, and the bracket as its mask. share: 0 or more, for
    each picture at least one of them more. None if no kernel that returns it took the call.
    """
    kernels: list[KernelCall] = []
    k = k.repeat_interleave(q.shape[1] // k.shape[1], dim=1)
    with hidden_no_grad(), torch.autocast(q.device.type, enabled=False), KernelRecorder(kernels.append):
        bias = share.log()[:, None] - lse
        F.scaled_dot_product_attention(k, q, q, attn_mask=bias[:, :, None], scale=scale)
    if len(kernels) != 1 or kernels[0].lse is None:
        return None
    return kernels[0].lse.exp()
