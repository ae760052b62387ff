"""Scores that were computed as separate operations, kept as what they are made of: score = scale q·k + what was added.

Every axis of the scores has a role: "t" targets, "s" sources, "b" a lead axis that both share (batch, heads, windows),
and "u", "v", an axis of only the queries or only the keys that an einsum put among the lead axes. q and k have the
axes of the scores and a last one, width: q is of size 1 on the axes of sources, k on those of targets. So whatever is
done to the axes of the scores (permuted, merged, split) is done to q, k and the added terms in the same way.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from saccade.lens.attention.args import is_shape_only, transformed
from saccade.lens.dataflow.call_origin import CallOrigin
from saccade.lens.dataflow.origins import memory

OVERWRITTEN = "something that it was made of was written into before its softmax"
Versions = tuple[tuple[Tensor, int], ...]  # of tensors
MASKING = -1e30  # what any score in fp32 vanishes beside
MERGED = {"b": "buv", "t": "tu", "s": "sv"}  # the role of an axis made of axes of several roles


@dataclass(frozen=True, eq=False)
class Scores:
    """What a tensor of scores is made of.

    why: "" if it is just that, else what else was done to it. eps: machine epsilon of the coarsest dtype that they were
    in. ambiguous: no axis of the product is shared but the width, as where tokens are multiplied with a matrix: it may
    be queries or keys instead of scores. note: what a reader must know of them, "" as a rule.
    """

    shape: tuple[int, ...]
    roles: str
    q: Tensor
    k: Tensor
    origin: CallOrigin
    scale: float = 1.0
    added: tuple[Tensor, ...] = ()
    why: str = ""
    eps: float = 0.0
    ambiguous: bool = False
    note: str = ""
    heads: tuple[int, int] | None = None  # (batch, heads), if it is known that they were merged into one axis
    versions: Versions = ()  # of what was used, to notice if it is written into
    moved: bool = False  # its axes are no longer those of the product

    def invalidated(self, why: str) -> "Scores":
        """The same after something that is not followed. The axes are still known."""
        nothing = self.q.new_zeros(())
        return replace(self, q=nothing, k=nothing, added=(), versions=(), why=self.why or why)

    def changed_to(self, t: Tensor, why: str) -> "Scores | None":
        """The record of what something that is not followed made of the scores, if their targets and sources are where
        they were."""
        if t.ndim != len(self.shape):
            return None
        same = all(t.shape[i] == self.shape[i] for i, role in enumerate(self.roles) if role in "ts")
        return replace(self.invalidated(why), shape=tuple(t.shape)) if same else None

    def reads_memory(self, place: int) -> bool:
        """Whether any of what was used lies in this memory."""
        return any(memory(t) == place for t, _ in self.versions)

    def using(self, t: Tensor) -> Versions:
        """What is used with t as well."""
        return (*self.versions, (t, version_of(t)))

    def times(self, factor: Tensor | float) -> "Scores":
        """Multiplied by a number, or by a tensor that is constant over sources or over targets."""
        if self.why:
            return self.broadcast(factor.shape) if isinstance(factor, Tensor) else self
        if not isinstance(factor, Tensor) or (factor.numel() == 1 and not _in_graph(factor)):
            factor = float(factor)
            return replace(self, scale=self.scale * factor, added=tuple(a * factor for a in self.added))
        wide = self.broadcast(factor.shape)
        t = wide.aligned(factor)
        both = [wide.sizes(t, roles) for roles in ("sv", "tu")]
        if max(both) > 1 and min(both) > 1:
            return wide.invalidated("its scores are multiplied by a tensor that depends on target and source")
        added = tuple(_up(a) * _up(t) for a in wide.added)
        if both[0] == 1:
            return replace(wide, q=_up(wide.q) * _up(t)[..., None], added=added)
        return replace(wide, k=_up(wide.k) * _up(t)[..., None], added=added)

    def plus(self, term: Tensor | float, sign: float = 1.0) -> "Scores":
        """With something added to it."""
        if self.why:
            return self.broadcast(term.shape) if isinstance(term, Tensor) else self
        if not isinstance(term, Tensor):
            term = torch.tensor(float(term), device=self.q.device)
        wide = self.broadcast(term.shape)
        t = term if term.is_floating_point() else term.float()
        return replace(wide, added=(*wide.added, wide.aligned(t if sign == 1.0 else -t)), versions=wide.using(term))

    def filled(self, where: Tensor, value: float) -> "Scores":
        """Masked. Adding a number so low that the score vanishes beside it has the same effect as putting any low
        number in its place, also in rows that are masked as a whole, unless more is done to those afterwards; the check
        of the result looks at them."""
        if value > -1e3:
            wide = self.broadcast(where.shape)
            return wide.invalidated(f"some of its scores are replaced by {value:g}")
        dtype = torch.promote_types(self.q.dtype, torch.float32)  # one that has the number
        zeros = torch.zeros(where.shape, dtype=dtype, device=where.device)
        return self.plus(zeros.masked_fill_(where, min(value, MASKING)))

    def broadcast(self, shape: Sequence[int]) -> "Scores":
        """To the shape that it has after an operation with a tensor of another shape."""
        full = tuple(torch.broadcast_shapes(self.shape, shape))
        if full == self.shape:
            return self
        new = len(full) - len(self.shape)
        if self.why:
            return replace(self, shape=full, roles="b" * new + self.roles)
        q, k, *added = (t[(None,) * new] for t in (self.q, self.k, *self.added))
        return replace(self, shape=full, roles="b" * new + self.roles, q=q, k=k, added=tuple(added))

    def aligned(self, t: Tensor) -> Tensor:
        """With as many axes as the scores."""
        return t[(None,) * (len(self.shape) - t.ndim)]

    def sizes(self, t: Tensor, roles: str) -> int:
        """How many numbers an aligned tensor has along the axes of some roles."""
        return math.prod(size for size, role in zip(t.shape, self.roles, strict=True) if role in roles)

    def permuted(self, order: Sequence[int]) -> "Scores":
        """With its axes in another order."""
        shape = tuple(self.shape[i] for i in order)
        roles = "".join(self.roles[i] for i in order)
        known = replace(self, shape=shape, roles=roles, moved=True)
        if self.why:
            return known
        q, k = (t.permute(*order, len(order)) for t in (self.q, self.k))
        return replace(known, q=q, k=k, added=tuple(a.permute(*order) for a in self.added))

    def reshaped(self, shape: Sequence[int]) -> "Scores | None":
        """Viewed with another shape; None if that mixes targets with sources, or either with the rest."""
        shape = tuple(shape)
        parts = grouped(self.shape, shape)
        if parts is None:
            return None
        roles, heads = [], self.heads
        for old, new in parts:
            large = [i for i in old if self.shape[i] > 1] or old[:1]
            role = merged({self.roles[i] for i in large} or {"b"})
            if role is None:
                return None
            roles.append(role * len(new))
            if role == "b" and len(old) == 2 and len(new) == 1:
                heads = (self.shape[old[0]], self.shape[old[1]])
        known = replace(self, shape=shape, roles="".join(roles), heads=heads, moved=True)
        if self.why:
            return known
        q, k = (regrouped(t, self.shape, parts, shape) for t in (self.q, self.k))
        return replace(known, q=q, k=k, added=tuple(regrouped(a, self.shape, parts, shape) for a in self.added))


def may_be_scores(a: Tensor, b: Tensor, out: Tensor) -> bool:
    """Whether a product can be followed: of real numbers that are there, outside of torch.func transforms."""
    three = (a, b, out)
    plain = all(t.is_floating_point() and not (t.is_nested or is_shape_only(t)) for t in three)
    plain = plain and all(t.layout == torch.strided for t in three)
    return plain and out.numel() > 0 and not transformed()


def scores_of(left: Tensor, right: Tensor, roles: str, out: Tensor, origin: CallOrigin, scale: float = 1.0) -> Scores:
    """The scores of q (axes..., width) and k (axes..., width), of size 1 where they lack an axis of `out`."""
    q, k = (t.to(out.dtype) for t in (left, right))  # the dtype that autocast computed it in
    versions = ((left, version_of(left)), (right, version_of(right)))
    return Scores(tuple(out.shape), roles, q, k, origin, scale, versions=versions)


def version_of(t: Tensor) -> int:
    """What PyTorch counts up when a tensor is written into; always -1 for those of inference mode."""
    return -1 if t.is_inference() else t._version


def unmodified(versions: Versions) -> bool:
    """Whether nothing was written into since, as far as PyTorch counts it."""
    return all(version_of(t) == version for t, version in versions)


def merged(roles: set[str]) -> str | None:
    """The role of an axis that axes of these roles are merged into."""
    if len(roles) == 1:
        return next(iter(roles))
    return next((role for role, parts in MERGED.items() if roles <= set(parts)), None)


Parts = list[tuple[list[int], list[int]]]


def grouped(old: Sequence[int], new: Sequence[int]) -> Parts | None:
    """Which axes of a tensor became which by a reshape: the smallest groups of equal size, in order.

    Axes that are alike at either end are paired first, so that axes of size 1 there keep their meaning. None for
    tensors without elements, and if the sizes do not agree.
    """
    if math.prod(old) != math.prod(new) or not math.prod(old):
        return None
    most = min(len(old), len(new))
    last = next((i for i in range(most) if old[-1 - i] != new[-1 - i]), most)
    first = next((i for i in range(most - last) if old[i] != new[i]), most - last)
    middle: Parts = []
    i, j = first, first
    while i < len(old) - last or j < len(new) - last:
        left: list[int] = []
        right: list[int] = []
        size = [1, 1]
        while not (left or right) or size[0] != size[1]:
            if (size[0] <= size[1] and i < len(old) - last) or j >= len(new) - last:
                left, size[0], i = [*left, i], size[0] * old[i], i + 1
            else:
                right, size[1], j = [*right, j], size[1] * new[j], j + 1
        middle.append((left, right))
    ends = [([i], [i]) for i in range(first)]
    return ends + middle + [([len(old) - i], [len(new) - i]) for i in range(last, 0, -1)]


def regrouped(t: Tensor, full: Sequence[int], parts: Parts, shape: Sequence[int]) -> Tensor:
    """Reshape a tensor that broadcasts to `full` in the way that `full` is reshaped to `shape`. It may have more axes
    at the end. Groups in which it is constant stay of size 1."""
    rest = t.shape[len(full) :]
    wide, target = list(t.shape), [1] * len(shape)
    for old, new in parts:
        if any(t.shape[i] != 1 for i in old):
            for i in old:
                wide[i] = full[i]
            for j in new:
                target[j] = shape[j]
    return t.expand(wide).reshape(*target, *rest)


def _in_graph(t: Tensor) -> bool:
    """Whether a tensor is part of a graph, which a number in its place would leave."""
    return t.requires_grad and torch.is_grad_enabled()


def _up(t: Tensor) -> Tensor:
    """In fp32 at least: the model rounded the scores after this, not before."""
    return t.to(torch.promote_types(t.dtype, torch.float32))
