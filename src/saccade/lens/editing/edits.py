"""Edits of an attention call: each rewrites q, k, v, mask or scale before the kernel, and never makes a map.

An edit takes the call as (b h n k), (b g m k), (b g m c) and a mask, and returns it rewritten.
"""

import math
import operator
from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from saccade import ops
from saccade.errors import SaccadeError
from saccade.lens.shapes import Asked

HUGE = -1e4  # masks of this and below shut out: with them weights are 0 in any dtype
Tokens = int | Sequence[int] | Int[Tensor, "i"]


@dataclass(frozen=True)
class Site:
    """Where a call is. name: its module. run: which forward pass within the block. nth, nth_in_run: which call of that
    name within the block and within the run, all from 0. memory: what edits keep until the block ends."""

    name: str
    run: int = 0
    nth: int = 0
    nth_in_run: int = 0
    memory: dict[Any, Any] = field(default_factory=dict)


class Edit(ABC):
    """A rewrite of attention calls. Holds no state of a block, so it may be used in several."""

    @abstractmethod
    def rewrite(self, asked: Asked, site: Site) -> Asked:
        """The call as the kernel is to see it; `asked` itself to leave it as it is.

        asked: q (b h n k), k (b g m k), v (b g m c), a mask broadcastable to (b h n m) or None. Raises SaccadeError,
        naming the module, if the edit does not fit the call.
        """


def drop_heads(*heads: int) -> Edit:
    """Silence heads: their output is zeros, because their values are.

    heads: numbers of query heads, negative from the end. Where several of them share values (grouped-query
    attention), only those named are silenced. Inputs of three axes (b n k) have one head.
    """
    return _ScaleHeads("drop_heads", 0.0, _numbers(heads, "drop_heads: head numbers"))


def scale_heads(factor: float, *heads: int) -> Edit:
    """Multiply the output of heads by a factor, through their values. heads: as for `drop_heads`."""
    return _ScaleHeads("scale_heads", _number(factor, "scale_heads"), _numbers(heads, "scale_heads: head numbers"))


def scale_source(tokens: Tokens, factor: float) -> Edit:
    """Multiply the attention paid to source tokens by a factor, after the softmax.

    This is attention re-weighting of prompt-to-prompt (Hertz et al. 2022, 3.2, where the factor is -2 to 2): the
    other weights stay, so rows no longer sum to 1. Done by scaling the tokens' rows of v, so a trace shows it in
    `Call.v`, not in the weights. tokens: source numbers, negative from the end.
    """
    return _ScaleSource(_numbers(tokens, "scale_source: token numbers"), _number(factor, "scale_source"))


def bias_source(tokens: Tokens, factor: float) -> Edit:
    """Multiply the attention paid to source tokens by a factor, before the softmax: rows still sum to 1.

    The weights of the tokens are multiplied and then each row is scaled to sum to 1. Done by adding log(factor) to
    the tokens' columns of the scores, in the dtype of q. factor: 0 or more; 0 cuts the tokens off. tokens: source
    numbers, negative from the end.
    """
    factor = _number(factor, "bias_source")
    if factor < 0:
        raise SaccadeError(f"bias_source: a factor of {factor}; before the softmax it is 0 or more (see scale_source)")
    return _BiasSource(_numbers(tokens, "bias_source: token numbers"), factor)


def cut(targets: Tokens | None = None, sources: Tokens | None = None) -> Edit:
    """Cut the targets off from the sources: a mask; each row sums to 1 over the sources it still sees.

    targets, sources: token numbers, negative from the end; None: all of them. A target that is left with nothing to
    attend to gets zeros.
    """
    if targets is None and sources is None:
        raise SaccadeError("cut() names neither targets nor sources; expected at least one, such as cut(sources=[3])")
    return _Cut(
        None if targets is None else _numbers(targets, "cut: target numbers"),
        None if sources is None else _numbers(sources, "cut: source numbers"),
    )


def during(edit: Edit | Sequence[Edit], runs: Collection[int]) -> Edit:
    """Apply an edit, or several in order, in some runs only.

    runs: which forward passes within the block, from 0 (counted as `Call.run`), such as range(0, 20): for a model
    that is called once a sampling step these are the steps.
    """
    if not isinstance(runs, Collection) or isinstance(runs, str):
        raise SaccadeError(f"during: runs {runs!r}; expected a range or a collection of run numbers")
    return _During(as_edits(edit, "during"), runs)


@dataclass(frozen=True, eq=False)
class _ScaleHeads(Edit):
    called: str
    factor: float
    heads: list[int]

    def rewrite(self, asked: Asked, site: Site) -> Asked:
        if asked.headless:
            raise SaccadeError(f"{self.called} of {site.name!r}: {asked.headless}")
        asked = ungrouped(asked)
        count = asked.q.shape[1]
        heads = within(self.heads, count, "head", f"{self.called} of {site.name!r}")
        return replace(asked, v=_scaled(asked.v, 1, heads, self.factor))


@dataclass(frozen=True, eq=False)
class _ScaleSource(Edit):
    tokens: list[int]
    factor: float

    def rewrite(self, asked: Asked, site: Site) -> Asked:
        tokens = within(self.tokens, asked.v.shape[2], "source", f"scale_source of {site.name!r}")
        return replace(asked, v=_scaled(asked.v, 2, tokens, self.factor))


@dataclass(frozen=True, eq=False)
class _BiasSource(Edit):
    tokens: list[int]
    factor: float

    def rewrite(self, asked: Asked, site: Site) -> Asked:
        tokens = within(self.tokens, asked.k.shape[2], "source", f"bias_source of {site.name!r}")
        bias = asked.q.new_zeros(1, asked.k.shape[2])
        bias[:, tokens] = math.log(self.factor) if self.factor else -math.inf
        mask = whole_mask(asked)
        if mask is not None and mask.dtype == torch.bool:
            mask = asked.q.new_zeros(()).masked_fill(~mask, -math.inf)
        if mask is not None and not self.factor:
            mask = shut(mask)
        return replace(asked, mask=bias if mask is None else mask + bias.to(mask.dtype), causal=False)


@dataclass(frozen=True, eq=False)
class _Cut(Edit):
    targets: list[int] | None
    sources: list[int] | None

    def rewrite(self, asked: Asked, site: Site) -> Asked:
        n, m, where = asked.q.shape[2], asked.k.shape[2], f"cut of {site.name!r}"
        rows = torch.ones(1 if self.targets is None else n, dtype=torch.bool)
        columns = torch.ones(m, dtype=torch.bool)
        if self.targets is not None:
            rows = ~rows
            rows[within(self.targets, n, "target", where)] = True
        if self.sources is not None:
            columns = ~columns
            columns[within(self.sources, m, "source", where)] = True
        allowed = ~(rows[:, None] & columns).to(asked.q.device)
        return replace(asked, mask=allowing(whole_mask(asked), allowed), causal=False)


@dataclass(frozen=True, eq=False)
class _During(Edit):
    edits: list[Edit]
    runs: Collection[int]

    def rewrite(self, asked: Asked, site: Site) -> Asked:
        if site.run in self.runs:
            for edit in self.edits:
                asked = edit.rewrite(asked, site)
        return asked


# what edits are made of


def ungrouped(asked: Asked) -> Asked:
    """The same call with a head of k and v for every head of q."""
    h = asked.q.shape[1]
    k, v = (t if t.shape[1] == h else t.repeat_interleave(h // t.shape[1], dim=1) for t in (asked.k, asked.v))
    return replace(asked, k=k, v=v)


def whole_mask(asked: Asked) -> Shaped[Tensor, "..."] | None:
    """The mask with causality in it: boolean or float, or None if every target sees every source."""
    if not asked.causal:
        return asked.mask
    return allowing(asked.mask, ops.causal_mask(asked.q.shape[2], asked.k.shape[2], asked.q.device))


def allowing(mask: Shaped[Tensor, "..."] | None, allowed: Bool[Tensor, "n m"]) -> Shaped[Tensor, "..."]:
    """A mask that lets pass only what `allowed` does as well."""
    if mask is None:
        return allowed
    return mask & allowed if mask.dtype == torch.bool else shut(mask).masked_fill(~allowed, -math.inf)


def shut(mask: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """The same mask with -inf for huge negative numbers, so that a target left with nothing does not fall back on what
    the model had shut out. Rows of such numbers alone stay as the model has them."""
    out = mask <= HUGE
    return mask.masked_fill(out & ~out.all(dim=-1, keepdim=True), -math.inf)


def _scaled(v: Float[Tensor, "b g m c"], axis: int, idx: list[int], factor: float) -> Float[Tensor, "b g m c"]:
    at = torch.tensor(idx, device=v.device)
    part = v.index_select(axis, at)
    # 0 silences infinities as well, which 0 * inf would not
    return v.index_copy(axis, at, part * factor if factor else torch.zeros_like(part))


def as_edits(given: object, where: str) -> list[Edit]:
    """One edit or a sequence of them as a list."""
    edits = []
    for edit in given if isinstance(given, (list, tuple)) else [given]:
        if not isinstance(edit, Edit):
            what = f"the function {edit.__name__}" if hasattr(edit, "__name__") else f"a {type(edit).__name__}"
            raise SaccadeError(f"{where}: {what}; expected an edit such as drop_heads(2), or a list of edits")
        edits.append(edit)
    return edits


def within(idx: Sequence[int], length: int, what: str, where: str) -> list[int]:
    """Indices 0 to length − 1, each once. Raises SaccadeError for one that is not there."""
    if wrong := [i for i in idx if not -length <= i < length]:
        raise SaccadeError(f"{where}: {what} {wrong[0]}; it has {length} {what}s, 0 to {length - 1}")
    return sorted({i % length for i in idx})


def _number(value: object, where: str) -> float:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, RuntimeError) as error:
        raise SaccadeError(f"{where}: a factor of {value!r}; expected a number") from error
    if not math.isfinite(number):
        raise SaccadeError(f"{where}: a factor of {number}; expected a finite number")
    return number


def _numbers(given: Any, where: str) -> list[int]:
    values = given.reshape(-1).tolist() if isinstance(given, Tensor) else given
    values = list(values) if isinstance(values, (list, tuple, range)) else [values]
    try:
        numbers = [operator.index(i) for i in values]
    except TypeError as error:
        raise SaccadeError(f"{where} {given!r}; expected whole numbers") from error
    if not numbers or any(isinstance(i, bool) for i in values):
        raise SaccadeError(f"{where} {given!r}; expected at least one whole number")
    return numbers
