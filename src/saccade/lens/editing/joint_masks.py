"""One mask for the sources of two runs."""

import torch
from jaxtyping import Float, Shaped
from torch import Tensor


def merge_mask_columns(
    own: Shaped[Tensor, "..."] | None,
    other: Shaped[Tensor, "..."] | None,
    taken: Tensor,
    at: Tensor,
    like: Tensor,
) -> Shaped[Tensor, "..."] | None:
    """A mask whose columns are the other's at `at` where `taken`, else one's own."""
    if own is None and other is None:
        return None
    own, other = _alike(own, other, like)
    other = other if other.shape[-1] == 1 else other[..., at]
    return torch.where(taken, other, own)


def concatenate_masks(
    own: Shaped[Tensor, "..."] | None, other: Shaped[Tensor, "..."] | None, m: int, more: int, like: Tensor
) -> Float[Tensor, "..."] | None:
    """A mask for m sources and `more` after them."""
    if own is None and other is None:
        return None
    own, other = (torch.atleast_2d(t) for t in _alike(own, other, like))
    lead = torch.broadcast_shapes(own.shape[:-1], other.shape[:-1])
    return torch.cat([own.expand(*lead, m), other.expand(*lead, more)], dim=-1)


def _alike(own: Tensor | None, other: Tensor | None, like: Tensor) -> tuple[Tensor, Tensor]:
    """Two masks of one dtype: boolean if both are, else added to the scores."""
    true = torch.ones(1, 1, dtype=torch.bool, device=like.device)
    masks = [true if t is None else t for t in (own, other)]
    if all(t.dtype == torch.bool for t in masks):
        return masks[0], masks[1]
    zero = like.new_zeros(())
    one, two = (zero.masked_fill(~t, -torch.inf) if t.dtype == torch.bool else t.to(like.dtype) for t in masks)
    return one, two
