"""Edits of an attention call: each rewrites q, k, v, mask or scale before the kernel, and never makes a map.

An edit takes the call as (b h n k), (b g m k), (b g m c) and a mask, and returns it rewritten.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from saccade.errors import SaccadeError
from saccade.lens.attention.args import AttentionArgs
from saccade.lens.editing.base import (
    Edit,
    Site,
    Tokens,
    as_edits,
    checked_indices,
    minus_infinity_for_huge,
    number,
    numbers,
    repeat_kv_heads,
    restricted_mask,
    whole_mask,
)
from saccade.lens.editing.limits import Pictures, limited

Heads = int | Sequence[int] | None


def drop_heads(*heads: int, pictures: Pictures | None = None, call: int | None = None) -> Edit:
    """Silence heads: their output is zeros, because their values are.

    heads: numbers of query heads, negative from the end. Where several of them share values (grouped-query
    attention), only those named are silenced. Inputs of three axes (b n k) have one head. pictures, call: see
    `limited`.
    """
    edit = _ScaleHeads("drop_heads", 0.0, numbers(heads, "drop_heads: head numbers"))
    return limited(edit, pictures=pictures, call=call)


def scale_heads(factor: float, *heads: int, pictures: Pictures | None = None, call: int | None = None) -> Edit:
    """Multiply the output of heads by a factor, through their values. heads, pictures, call: as for `drop_heads`."""
    edit = _ScaleHeads("scale_heads", number(factor, "scale_heads"), numbers(heads, "scale_heads: head numbers"))
    return limited(edit, pictures=pictures, call=call)


def scale_source(
    tokens: Tokens, factor: float, heads: Heads = None, pictures: Pictures | None = None, call: int | None = None
) -> Edit:
    """Multiply the attention paid to source tokens by a factor, after the softmax.

    This is attention re-weighting of prompt-to-prompt (Hertz et al. 2022, 3.2, where the factor is -2 to 2): the
    other weights stay, so rows no longer sum to 1. Done by scaling the tokens' rows of v, so a trace shows it in
    `Call.v`, not in the weights. tokens: source numbers, negative from the end. heads, pictures, call: see `limited`.
    """
    edit = _ScaleSource(numbers(tokens, "scale_source: token numbers"), number(factor, "scale_source"))
    return limited(edit, heads, pictures, call)


def bias_source(
    tokens: Tokens, factor: float, heads: Heads = None, pictures: Pictures | None = None, call: int | None = None
) -> Edit:
    """Multiply the attention paid to source tokens by a factor, before the softmax: rows still sum to 1.

    The weights of the tokens are multiplied and then each row is scaled to sum to 1. Done by adding log(factor) to
    the tokens' columns of the scores, in the dtype of q. factor: 0 or more; 0 cuts the tokens off. tokens: source
    numbers, negative from the end. heads, pictures, call: see `limited`.
    """
    factor = number(factor, "bias_source")
    if factor < 0:
        raise SaccadeError(f"bias_source: a factor of {factor}; before the softmax it is 0 or more (see scale_source)")
    return limited(_BiasSource(numbers(tokens, "bias_source: token numbers"), factor), heads, pictures, call)


def cut(
    targets: Tokens | None = None,
    sources: Tokens | None = None,
    heads: Heads = None,
    pictures: Pictures | None = None,
    call: int | None = None,
) -> Edit:
    """Cut the targets off from the sources: a mask; each row sums to 1 over the sources it still sees.

    targets, sources: token numbers, negative from the end; None: all of them. A target that is left with nothing to
    attend to gets zeros. heads, pictures, call: see `limited`.
    """
    if targets is None and sources is None:
        raise SaccadeError("cut() names neither targets nor sources; expected at least one, such as cut(sources=[3])")
    edit = _Cut(
        None if targets is None else numbers(targets, "cut: target numbers"),
        None if sources is None else numbers(sources, "cut: source numbers"),
    )
    return limited(edit, heads, pictures, call)


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

    def rewrite(self, arguments: AttentionArgs, site: Site) -> AttentionArgs:
        if arguments.headless:
            raise SaccadeError(f"{self.called} of {site.name!r}: {arguments.headless}")
        arguments = repeat_kv_heads(arguments)
        count = arguments.q.shape[1]
        heads = checked_indices(self.heads, count, "head", f"{self.called} of {site.name!r}")
        return replace(arguments, v=_scaled(arguments.v, 1, heads, self.factor))


@dataclass(frozen=True, eq=False)
class _ScaleSource(Edit):
    tokens: list[int]
    factor: float

    def rewrite(self, arguments: AttentionArgs, site: Site) -> AttentionArgs:
        tokens = checked_indices(self.tokens, arguments.v.shape[2], "source", f"scale_source of {site.name!r}")
        return replace(arguments, v=_scaled(arguments.v, 2, tokens, self.factor))


@dataclass(frozen=True, eq=False)
class _BiasSource(Edit):
    tokens: list[int]
    factor: float

    def rewrite(self, arguments: AttentionArgs, site: Site) -> AttentionArgs:
        tokens = checked_indices(self.tokens, arguments.k.shape[2], "source", f"bias_source of {site.name!r}")
        bias = arguments.q.new_zeros(1, arguments.k.shape[2])
        bias[:, tokens] = math.log(self.factor) if self.factor else -math.inf
        mask = whole_mask(arguments)
        if mask is not None and mask.dtype == torch.bool:
            mask = arguments.q.new_zeros(()).masked_fill(~mask, -math.inf)
        if mask is not None and not self.factor:
            mask = minus_infinity_for_huge(mask)
        return replace(arguments, mask=bias if mask is None else mask + bias.to(mask.dtype), causal=False)


@dataclass(frozen=True, eq=False)
class _Cut(Edit):
    targets: list[int] | None
    sources: list[int] | None

    def rewrite(self, arguments: AttentionArgs, site: Site) -> AttentionArgs:
        n, m, where = arguments.q.shape[2], arguments.k.shape[2], f"cut of {site.name!r}"
        rows = torch.ones(1 if self.targets is None else n, dtype=torch.bool)
        columns = torch.ones(m, dtype=torch.bool)
        if self.targets is not None:
            rows = ~rows
            rows[checked_indices(self.targets, n, "target", where)] = True
        if self.sources is not None:
            columns = ~columns
            columns[checked_indices(self.sources, m, "source", where)] = True
        allowed = ~(rows[:, None] & columns).to(arguments.q.device)
        return replace(arguments, mask=restricted_mask(whole_mask(arguments), allowed), causal=False)


@dataclass(frozen=True, eq=False)
class _During(Edit):
    edits: list[Edit]
    runs: Collection[int]

    def rewrite(self, arguments: AttentionArgs, site: Site) -> AttentionArgs:
        if site.run in self.runs:
            for edit in self.edits:
                arguments = edit.rewrite(arguments, site)
        return arguments


def _scaled(v: Float[Tensor, "b g m c"], axis: int, idx: list[int], factor: float) -> Float[Tensor, "b g m c"]:
    at = torch.tensor(idx, device=v.device)
    part = v.index_select(axis, at)
    # 0 silences infinities as well, which 0 * inf would not
    return v.index_copy(axis, at, part * factor if factor else torch.zeros_like(part))
