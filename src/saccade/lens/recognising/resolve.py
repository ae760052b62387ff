"""Decide what the softmax of followed scores was: queries and keys that give its result, or else its scores."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.autograd.graph import Node

from saccade.lens.attention.args import NO_NUMBERS, TRANSFORMED, is_shape_only, transformed
from saccade.lens.attention.heads import FOLDED, UNKNOWN, folded_heads
from saccade.lens.dataflow.call_origin import CallOrigin
from saccade.lens.dataflow.origins import memory
from saccade.lens.modules.declared import heads_of
from saccade.lens.modules.frame import Frame
from saccade.lens.recognising.scoring import OVERWRITTEN, Parts, Scores, Versions, regrouped, unmodified, version_of

ROWS = 8  # of each map that are computed again and compared with the softmax's own
MASKED = 4  # and rows that are masked as a whole, where masks by a number and by filling differ
SCORES = "kept as its scores"
AS_SCORES = SCORES + ", {n} x {m} numbers a head, in place of q and k (which are zeros here): {why}"
LOW = -1e3  # scores below it are masked
CLOSE = 5e-6  # scores that differ by less give log weights that differ by less than the smallest tolerance, 1e-5
TAIL = 12.0  # weights of less than e^-TAIL of the largest of their row do not matter
# Scores times the precision of their dtype. A weight may differ by about a quarter of it from that of unrounded scores.
COARSEST = 0.2
OTHER = "q and k as they were followed do not give its weights"
ROUNDED = "the model rounds scores as large as {:.0f} in a dtype of few digits, so that q and k give other weights"


@dataclass(eq=False)
class ResolvedSoftmax:
    """The map of one softmax as the tensors of a call: q (b h n k), k (b g m k), mask broadcastable to (b h n m).

    note: "" unless the mask is the scores themselves and q and k are zeros. used: it met values. versions: of what it
    is made of. stale: that was written into since. node: of the softmax in the graph, if it is in one.
    """

    q: Tensor
    k: Tensor
    mask: Tensor | None
    scale: float
    origin: CallOrigin
    note: str
    layout: "ScoreLayout"
    shape: tuple[int, ...]
    versions: Versions
    used: bool = False
    stale: bool = False
    node: Node | None = None

    def reads_memory(self, place: int) -> bool:
        """Whether any of what it is made of lies in this memory."""
        return any(memory(t) == place for t, _ in self.versions)


class ScoreLayout:
    """How the axes of scores become (b h n m).

    shape: of the scores. lead, targets: axes. source: the axis that the softmax runs over. The last lead axis is the
    heads and all before it the batch; the last two are the heads where keys are constant over the last (grouped
    queries). Of three or more, the heads are the only one after the first that has `count`, if there is one. A single
    lead axis is the batch, unless `heads` = (batch, heads) says that both were merged into it. Where `folded`, how many
    heads there surely are, is the first of two and not the second, they are (heads, batch): `exchanged`. unknown: why
    it is not known which are the heads, "" if it is.
    """

    def __init__(
        self, shape: Sequence[int], targets: Sequence[int], source: int, heads: tuple[int, int] | None, grouped: bool,
        count: int | None = None, folded: int | None = None,
    ) -> None:  # fmt: skip
        lead = [i for i in range(len(shape)) if i not in targets and i != source]
        counted = [i for i in lead[1:] if shape[i] == count]
        self.known = len(lead) < 3 or len(counted) == 1  # which axis is that of the heads
        self.unknown = "" if self.known or grouped else UNKNOWN
        if len(lead) > 2 and len(counted) == 1 and not grouped:
            lead.append(lead.pop(lead.index(counted[0])))
        self.order = [*lead, *targets, source]
        self.full = tuple(shape[i] for i in self.order)
        self.lead, own = len(lead), len(lead) + len(targets)
        sizes = self.full[: self.lead]
        split: Parts
        self._split = grouped and self.lead == 3  # it was seen what is the batch and what the heads
        if self.lead == 0:
            split, self.b, self.h = [([], [0, 1])], 1, 1
        elif self.lead == 1 and heads and math.prod(heads) == sizes[0]:
            split, (self.b, self.h), self._split = [([0], [0, 1])], heads, True
        else:
            first = 1 if self.lead == 1 else self.lead - 1 - (grouped and self.lead > 2)
            split = [(list(range(first)), [0]), (list(range(first, self.lead)), [1])]
            self.b, self.h = math.prod(sizes[:first]), math.prod(sizes[first:])
        self._sizes = self.b, self.h
        self.exchanged = folded == self.b != self.h
        if self.exchanged:
            self.b, self.h = self.h, self.b
        self._sure = folded == self.h
        if folded and not self._sure and (self.lead == 1 or self.h == 1):
            self.unknown = FOLDED
        self.parts = [*split, (list(range(self.lead, own)), [2]), ([own], [3])]
        self.n, self.m = math.prod(self.full[self.lead : own]), self.full[-1]

    def has_heads(self, count: int | None, width: int, given: Sequence[Tensor]) -> bool:
        """Whether the axis that was taken for the heads is surely that of the heads.

        count: how many there are, if the module that attends says so; then windows must not be as many. Without it: if
        the axis before is as long as the batch that the module was given, and the heads, each of this `width`, make up
        the width of its tokens; or if it was given queries in heads.
        """
        if self._sure or self.unknown:
            return self._sure and count in (None, self.h)
        if self._split or self.lead == 0:
            return count == self.h or (count is None and self.lead != 1)
        if count is not None:
            return self.h == count and count not in self.full[1 : self.lead - 1]
        shape = given[0].shape if given and self.lead < 3 else ()
        if len(shape) == 4:
            return self.full[: self.lead] == shape[:2]
        return len(shape) == 3 and self.full[0] == shape[0] and self.h * width == shape[2]

    def permuted(self, t: Tensor) -> Tensor:
        """A tensor with the axes of the scores, or those and one more: lead axes, targets, source."""
        return t.permute(*self.order, *range(len(self.order), t.ndim))

    def folded(self, t: Tensor) -> Tensor:
        """The same permuted to (b h n m), or (b h n m k), of size 1 where it is constant."""
        t = regrouped(t, self.full, self.parts, (*self._sizes, self.n, self.m))
        return t.transpose(0, 1) if self.exchanged else t

    def unfolded(self, t: Tensor) -> Tensor:
        """The other way: (b h n c), of all targets, as (lead axes, targets, c)."""
        t = t.transpose(0, 1) if self.exchanged else t
        return t.reshape(*self.full[:-1], t.shape[-1])

    def queries(self, q: Tensor) -> Tensor:
        """q (b h n k) of a tensor with the permuted axes of the scores and the width."""
        return self.folded(q).squeeze(3).expand(self.b, self.h, self.n, -1)

    def keys(self, k: Tensor) -> Tensor:
        """k (b g m k), of as few heads as it has."""
        last = self.lead - 1
        if self.lead < 3 or len(self.parts[1][0]) < 2 or k.shape[last] > 1:
            return self.folded(k).squeeze(2).expand(self.b, -1, self.m, -1)
        # Grouped queries: the keys have no axis of the queries in a group.
        full = (*self.full[:last], *self.full[last + 1 :])
        parts = [([i - (i > last) for i in old if i != last], new) for old, new in self.parts]
        k = regrouped(k.squeeze(last), full, parts, (self.b, full[last - 1], self.n, self.m))
        return k.squeeze(2).expand(self.b, -1, self.m, -1)


@lru_cache(maxsize=256)
def score_layout(
    shape: tuple[int, ...], targets: tuple[int, ...], source: int, heads: tuple[int, int] | None, grouped: bool,
    count: int | None, folded: int | None,
) -> ScoreLayout:  # fmt: skip
    """The layout of scores of this shape, made once: the layers of a model have few."""
    return ScoreLayout(shape, targets, source, heads, grouped, count, folded)


def resolve(
    scores: Scores, given: Tensor, out: Tensor, axis: int, heads: int | None = None, frames: Sequence[Frame] = ()
) -> ResolvedSoftmax | str:
    """What the softmax of `given` over an axis was, of which `scores` is the record; or why it is no attention.

    heads: how many there are in a single lead axis, if that is known. frames: the running modules.
    """
    role = scores.roles[axis]
    if role not in "st" or any(r == role and i != axis and out.shape[i] > 1 for i, r in enumerate(scores.roles)):
        return f"its softmax of {tuple(out.shape)} runs over axis {axis}, which is not that of the sources"
    other = "t" if role == "s" else "s"
    targets = [i for i, r in enumerate(scores.roles) if r == other]
    merged = scores.heads if heads is None or out.shape[0] % heads else (out.shape[0] // heads, heads)
    q, k = (scores.q, scores.k) if role == "s" else (scores.k, scores.q)
    lead = [i for i in range(out.ndim) if i not in targets and i != axis]
    grouped = not scores.why and len(lead) > 2 and k.shape[lead[-1]] == 1 < out.shape[lead[-1]]
    count, size = heads_of(frames[-1].module) if frames else None, math.prod(out.shape[i] for i in lead)
    folded = folded_heads(size, q.shape[-1], frames) if len(lead) in (1, 2) and q.ndim else None
    layout = score_layout(tuple(out.shape), tuple(targets), axis, merged, grouped, count, folded)
    origin = scores.origin
    if layout.lead > 2:  # windows or frames beside the heads
        plain = layout.known and not (scores.moved or grouped) and sorted(layout.order[: layout.lead]) == lead
        origin = origin.folded(layout.order[: layout.lead]) if plain and lead == list(range(layout.lead)) else origin
    why = scores.why or ("" if unmodified(scores.versions) else OVERWRITTEN)
    if not why:
        q, k, *added = (layout.permuted(t) for t in (q, k, *scores.added))
        mask = _sum(added)
        why = why_not_softmax(q, k, mask, scores.scale, layout, layout.permuted(given), scores.eps)
        if not why:
            mask = None if mask is None else layout.folded(mask)
            q, k = layout.queries(q), layout.keys(k)
            return ResolvedSoftmax(
                q, k, mask, scores.scale, origin, scores.note, layout, tuple(out.shape), scores.versions
            )
    nothing = given.new_zeros(1, 1, 1, 1)
    b, h, n, m = layout.b, layout.h, layout.n, layout.m
    kept = layout.folded(layout.permuted(given))
    note = AS_SCORES.format(n=n, m=m, why=why)
    q, k = nothing.expand(b, h, n, 1), nothing.expand(b, h, m, 1)
    versions = ((given, version_of(given)),)
    return ResolvedSoftmax(q, k, kept, 1.0, origin, note, layout, tuple(out.shape), versions)


def why_unfollowed(out: Tensor) -> str:
    """Why a softmax is missed whose scores are not followed from a product."""
    if transformed():
        return TRANSFORMED
    if is_shape_only(out):
        return NO_NUMBERS
    if not out.numel():
        return f"it attended with no scores at all, {tuple(out.shape)}: there is no map"
    return (
        f"softmax of scores {tuple(out.shape)} that are not followed from a product of queries and keys, and product "
        "with values as separate operations, not a fused call"
    )


@torch.no_grad()
def why_not_softmax(
    q: Tensor, k: Tensor, mask: Tensor | None, scale: float, layout: ScoreLayout, scores: Tensor, eps: float
) -> str:
    """Why softmax(scale q·k + mask) is not the softmax of the scores, all with permuted axes; "" if it is.

    Compared are some rows: the first, the last, some between, and some that are masked as a whole. By the logarithms
    of the weights, so that a small weight is looked at as closely as a large one, where they are at least e⁻¹² of the
    row's largest. eps: the precision of the coarsest dtype that the scores passed through; the tolerance is what
    rounding them a few times in it does.
    """
    # In inference mode no write is counted, so every head of every picture is looked at.
    count = max(ROWS, 2 * math.prod(scores.shape[: layout.lead])) if scores.is_inference() else ROWS
    rows = _some_rows(scores.shape[:-1], mask, scores.device, count)
    whole = scores.shape
    queries = q.squeeze(len(whole) - 1).expand(*whole[:-1], -1)[rows].float()
    sources = k.reshape(*k.shape[: layout.lead], *k.shape[-2:]).expand(*whole[: layout.lead], whole[-1], -1)
    sources = sources[rows[: layout.lead]].float()
    s = (queries[:, None] * sources).sum(-1) * scale
    size = s.abs()
    if mask is not None:
        term = mask.expand(whole)[rows].float()
        s, size = s + term, size + term.abs()
    got = scores[rows].float()
    if _same(s, got, size, eps):  # as a rule; what follows is a dozen operations
        return ""
    a, b = s.log_softmax(-1), got.log_softmax(-1)
    empty = a.isnan().any(-1)  # rows that may attend to nothing
    if not torch.equal(empty, b.isnan().any(-1)):
        return OTHER
    matters = ((a > a.amax(-1, keepdim=True) - TAIL) | (b > b.amax(-1, keepdim=True) - TAIL)) & ~empty[:, None]
    size = torch.where(matters & (size < -LOW), size, 0.0).amax(-1)  # masked ones aside
    most = abs(scale) * queries.norm(dim=-1) * sources.norm(dim=-1).amax(-1)
    tolerance = 1e-5 + 3 * eps * size + 8 * torch.finfo(torch.float32).eps * most  # products are summed up in fp32
    if bool(((a - b).abs().masked_fill(~matters, 0.0).amax(-1) > tolerance).any()):
        return OTHER
    return ROUNDED.format(float(size.max())) if eps * float(size.max()) > COARSEST else ""


def _same(s: Tensor, got: Tensor, size: Tensor, eps: float) -> bool:
    """Whether scores are so close that their softmax cannot differ by more than is tolerated, nor by their rounding."""
    off = torch.where(s == got, 0.0, s - got).abs().amax()  # masked ones are equal
    return float(off) <= CLOSE and eps * float(torch.where(size < -LOW, size, 0.0).amax()) <= COARSEST


@lru_cache(maxsize=256)
def _spread_rows(shape: tuple[int, ...], most: int, device: torch.device) -> tuple[Tensor, ...]:
    """Indices of the first row, the last, and some between."""
    total = math.prod(shape)
    count = min(most, total)
    flat = torch.tensor([i * (total - 1) // max(1, count - 1) for i in range(count)], device=device)
    return torch.unravel_index(flat, shape) if shape else ()


def _some_rows(shape: Sequence[int], mask: Tensor | None, device: torch.device, most: int) -> tuple[Tensor, ...]:
    rows = _spread_rows(tuple(shape), most, device)
    if mask is None:
        return rows
    masked = (mask.amax(dim=-1) <= LOW).nonzero()[:MASKED]
    return tuple(torch.cat([a, b]) for a, b in zip(rows, masked.T, strict=True))


def _sum(terms: list[Tensor]) -> Tensor | None:
    """What was added to the scores in all, in fp32 where it is more than one thing."""
    if not terms:
        return None
    first, *rest = terms
    for term in rest:
        first = first.float() + term if first.dtype != torch.float64 else first + term
    return first
