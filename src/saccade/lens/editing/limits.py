"""Edits of a part of a call: of some heads, of some pictures of the batch, of one of a module's calls.

What an edit made of a call is put together with the call as it was, so that every edit can be limited, also one's own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool
from torch import Tensor

from saccade.errors import SaccadeError
from saccade.lens.attention.args import AttentionArgs
from saccade.lens.editing.base import Edit, Site, checked_indices, numbers, repeat_kv_heads, whole_mask

Pictures = int | Sequence[int] | str
HALVES = ("unconditional", "conditional")  # in the order of classifier-free guidance in one batch


def limited(
    edit: Edit, heads: int | Sequence[int] | None = None, pictures: Pictures | None = None, call: int | None = None
) -> Edit:
    """An edit of some heads, of some pictures, of one call: everything else stays as the model has it.

    heads: numbers of query heads, negative from the end. pictures: numbers in the batch, negative from the end; or
    "conditional" or "unconditional", the second and the first half of a batch in which classifier-free guidance has
    both (Ho & Salimans 2022). call: which of the calls that the module makes in one run, from 0. None: all.

    The edit must keep the sizes of the call (`borrow(append=True)` does not). Raises SaccadeError for other values, and
    in the forward pass for numbers that the call does not have, a batch that has no halves or changes its size between
    runs, and heads that cannot be distinguished from other axes.
    """
    if heads is None and pictures is None and call is None:
        return edit
    if isinstance(pictures, str) and pictures not in HALVES:
        raise SaccadeError(f"pictures={pictures!r}: expected numbers in the batch, or one of {HALVES}")
    if call is not None and (isinstance(call, bool) or not isinstance(call, int) or call < 0):
        raise SaccadeError(f"call={call!r}: expected the number of a call of the module within a run, from 0")
    return _Limited(
        edit,
        None if heads is None else numbers(heads, "heads="),
        pictures if pictures is None or isinstance(pictures, str) else numbers(pictures, "pictures="),
        call,
    )


@dataclass(frozen=True, eq=False)
class _Limited(Edit):
    edit: Edit
    heads: list[int] | None
    pictures: list[int] | str | None
    call: int | None

    def rewrite(self, arguments: AttentionArgs, site: Site) -> AttentionArgs:
        if self.call is not None and site.nth_in_run != self.call:
            return arguments
        if self.heads is not None and arguments.headless:
            raise SaccadeError(f"heads={self.heads} of {site.name!r}: {arguments.headless}")
        new = self.edit.rewrite(arguments, site)
        if new is arguments or (self.heads is None and self.pictures is None):
            return new
        return _chosen(self._where(arguments, site), new, arguments, site)

    def _where(self, arguments: AttentionArgs, site: Site) -> Bool[Tensor, "b h 1 1"]:
        """True for what the edit applies to."""
        b, h = arguments.q.shape[:2]
        where = torch.ones(b, 1, 1, 1, dtype=torch.bool)
        if self.pictures is not None:
            where = torch.zeros_like(where)
            where[self._numbers(b, site)] = True
        if self.heads is not None:
            mine = torch.zeros(1, h, 1, 1, dtype=torch.bool)
            mine[:, checked_indices(self.heads, h, "head", f"heads= of {site.name!r}")] = True
            where = where & mine
        return where.to(arguments.q.device)

    def _numbers(self, b: int, site: Site) -> list[int]:
        if not isinstance(self.pictures, str):
            assert self.pictures is not None
            return checked_indices(self.pictures, b, "picture", f"pictures= of {site.name!r}")
        first = site.memory.setdefault((self, site.name, "batch"), b)
        if b != first or b % 2:
            found = f"is {b} and was {first}" if b != first else f"is {b}"
            raise SaccadeError(
                f"pictures={self.pictures!r} of {site.name!r}: the batch {found}, so which half is which is not known "
                "(guidance begins or ends within the run, or makes two passes); limit the edit by during(...)"
            )
        start = HALVES.index(self.pictures) * (b // 2)
        return list(range(start, start + b // 2))


def _chosen(where: Bool[Tensor, "b h 1 1"], new: AttentionArgs, old: AttentionArgs, site: Site) -> AttentionArgs:
    """`new` where it is chosen, else `old`."""
    if where.shape[1] > 1:  # a head of keys for each head of queries
        new, old = repeat_kv_heads(new), repeat_kv_heads(old)
    width = new.v.shape[3] == old.v.shape[3]
    if new.q.shape != old.q.shape or new.k.shape != old.k.shape or new.v.shape != old.v.shape or not width:
        raise SaccadeError(
            f"edit of {site.name!r}: it changes the sizes of the call from k {tuple(old.k.shape)} to "
            f"{tuple(new.k.shape)}, and cannot be limited to some heads or pictures"
        )
    scaled = [_scaled(each, old) for each in (new, old)] if new.scale != old.scale else [new, old]
    one, other = scaled
    q, k, v = (torch.where(where, getattr(one, name), getattr(other, name)) for name in "qkv")
    mask = _mask(where, new, old)
    borrowed, scores = new.borrowed or old.borrowed, new.scores or old.scores
    return replace(old, q=q, k=k, v=v, mask=mask, causal=False, borrowed=borrowed, scores=scores)


def _scaled(arguments: AttentionArgs, like: AttentionArgs) -> AttentionArgs:
    """The same call with the scale of another, by its queries."""
    own, wanted = (each.q.shape[-1] ** -0.5 if each.scale is None else each.scale for each in (arguments, like))
    return replace(arguments, q=arguments.q * (own / wanted), scale=like.scale)


def _mask(where: Bool[Tensor, "b h 1 1"], new: AttentionArgs, old: AttentionArgs) -> Tensor | None:
    masks = [whole_mask(each) for each in (new, old)]
    if masks[0] is masks[1]:
        return masks[0]
    floats = any(mask is not None and mask.dtype != torch.bool for mask in masks)
    dtype = next((mask.dtype for mask in masks if mask is not None and mask.dtype != torch.bool), torch.bool)
    one, other = (_as(mask, dtype, floats, new.q.device) for mask in masks)
    return torch.where(where, one, other)


def _as(mask: Tensor | None, dtype: torch.dtype, floats: bool, device: torch.device) -> Tensor:
    """A mask, or none, as a boolean one or as one that is added."""
    if mask is None:
        return torch.zeros(1, 1, dtype=dtype, device=device) if floats else torch.ones(1, 1, dtype=dtype, device=device)
    if floats and mask.dtype == torch.bool:
        return torch.zeros((), dtype=dtype, device=device).masked_fill(~mask, -torch.inf)
    return mask
