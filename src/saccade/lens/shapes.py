"""Bring what a model asked of attention, and what the kernel saw of it, to (b h n k), (b g m k) and a mask."""

from dataclasses import dataclass

import torch
from torch import Tensor

from saccade.lens.kernels import Seen

Four = tuple[Tensor, Tensor, Tensor, Tensor | None]


@dataclass(eq=False)
class Asked:
    """The arguments of one attention call, as the model gave them, or as an edit rewrote them.

    borrowed: an edit gave it sources of another run.
    """

    q: Tensor
    k: Tensor
    v: Tensor
    mask: Tensor | None = None
    scale: float | None = None
    causal: bool = False
    borrowed: bool = False
    dropout: float = 0.0

    @classmethod
    def of(cls, seen: Seen) -> "Asked":
        """The arguments of a kernel that was called directly."""
        return cls(seen.q, seen.k, seen.v, seen.mask, seen.scale, seen.causal, dropout=seen.dropout)


def as_seen(asked: Asked, seen: Seen | None) -> Four:
    """q (b h n k), k (b g m k), v (b g m c) and the mask as the kernel saw them: in its dtype, without its padding.

    seen: None if no fused kernel took the call (PyTorch's own products did); then autocast tells the dtype.
    """
    if seen is None:
        return as_asked(asked)
    mask = asked.mask
    if mask is not None and seen.mask is not None and mask.dtype != torch.bool:
        mask = mask.to(seen.mask.dtype)
    return _pick(asked.q, seen.q), _pick(asked.k, seen.k), _pick(asked.v, seen.v), mask


def as_asked(asked: Asked) -> Four:
    """The same from the arguments alone, in the dtype that autocast makes of them.

    Three axes are (b n k) with one head, two (n k); more than four are folded into b. Batches are broadcast.
    """
    most = max(asked.q.ndim, asked.k.ndim, asked.v.ndim)
    q, k, v = (_autocast(t)[(None,) * (most - t.ndim)] for t in (asked.q, asked.k, asked.v))
    mask = asked.mask
    if mask is not None and mask.dtype != torch.bool:
        mask = _autocast(mask)
    if most <= 3:
        q, k, v = (t[(None,) * (3 - most)].unsqueeze(1) for t in (q, k, v))
        if mask is not None and mask.ndim == 3:
            mask = mask.unsqueeze(1)
    lead = torch.broadcast_shapes(q.shape[:-3], k.shape[:-3], v.shape[:-3])
    if mask is not None and mask.ndim > 4:
        alike = all(size == 1 for size in mask.shape[:-3])
        mask = mask.expand(*([1] * len(lead) if alike else lead), *mask.shape[-3:]).flatten(0, -4)
    q, k, v = (t.expand(*lead, *t.shape[-3:]) for t in (q, k, v))
    if q.shape[-3] == 1:  # one head of queries for several of keys
        q = q.expand(*lead, k.shape[-3], -1, -1)
    return q.flatten(0, -4), k.flatten(0, -4), v.flatten(0, -4), mask


def _pick(asked: Tensor, seen: Tensor) -> Tensor:
    """The kernel's tensor without what was padded onto its width; the asked one where its heads were repeated."""
    if seen.shape[:-1] == asked.shape[:-1]:
        return seen if seen.shape == asked.shape else seen[..., : asked.shape[-1]]
    return asked.to(seen.dtype)


def _autocast(t: Tensor) -> Tensor:
    device = t.device.type
    if torch.is_autocast_enabled(device) and t.is_floating_point() and t.dtype != torch.float64:
        return t.to(torch.get_autocast_dtype(device))
    return t
