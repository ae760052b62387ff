"""Weighted sums of a map's rows, of all targets: in tiles, or by a fused kernel that writes no weight down."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from saccade.lens.attention.kernels import KernelCall, KernelRecorder
from saccade.lens.modes import hidden_no_grad
from saccade.lens.shared_setting import full_precision

ROWS = 128  # targets in a tile
NUMBERS = 2**19  # and about this many weights in it: 2 MB, which caches hold


def tiled_weighted_sum(
    q: Float[Tensor, "b h n k"],
    k: Float[Tensor, "b g m k"],
    lse: Float[Tensor, "b h n"],
    share: Float[Tensor, "b n"],
    scale: float,
) -> Float[Tensor, "b h m"]:
    """Σ_i share_i · exp(s q_i·k_j − lse_i) for every source j: of each target's row, so much.

    The log-sum-exp is one more entry of each query, for which every key has 1: so one product gives the logarithms of
    weights. A tile holds some heads of ROWS targets.
    """
    (b, h, n, _), m = q.shape, k.shape[2]
    with hidden_no_grad(), full_precision(q.device):
        k = torch.cat([k, k.new_ones(*k.shape[:3], 1)], dim=-1).repeat_interleave(h // k.shape[1], dim=1)
        q = torch.cat([q * scale, -lse[..., None]], dim=-1).flatten(0, 1)
        k, share = k.flatten(0, 1).mT, share[:, None, None].expand(-1, h, -1, -1).flatten(0, 1)
        total = q.new_zeros(b * h, 1, m)
        heads = max(1, NUMBERS // max(1, ROWS * m))
        room = q.new_empty(min(heads, b * h), ROWS, m)
        for i in range(0, b * h, heads):
            some = slice(i, i + heads)
            for a in range(0, n, ROWS):
                own = q[some, a : a + ROWS]
                tile = torch.matmul(own, k[some], out=room[: own.shape[0], : own.shape[1]]).exp_()
                total[some].baddbmm_(share[some, :, a : a + ROWS], tile)
        return total.view(b, h, m)


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
