"""How many bits a page can afford: the smallest error of a weight that fits, in all layers if that is possible."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from saccade.lens import Call
from saccade.studio.page.pack import (
    PackedAttentionLayer,
    QuantizedQueriesKeys,
    RotatedQueriesKeys,
    pack_attention_call,
    rotate_queries_keys,
)
from saccade.studio.progress import report_step, track_progress

FINEST, COARSEST = 0.01, 0.25  # error of a score, which is that of a weight as a fraction of itself
FEW_VALUES = 8
SAMPLED_ROWS = 16  # a head, to measure errors


@dataclass(frozen=True)
class PageAttention:
    """The self-attention calls of one picture, and the grid of its patches."""

    calls: Sequence[Call]
    grid: tuple[int, int]
    mean: bool = False

    @property
    def tokens(self) -> int:
        return self.calls[0].shape[2]

    @property
    def prefix(self) -> int:
        return self.tokens - self.grid[0] * self.grid[1]

    @cached_property
    def rotated_calls(self) -> list[RotatedQueriesKeys]:
        return [rotate_queries_keys(call.q[0].cpu(), call.k[0].cpu(), call.scale, self.prefix) for call in self.calls]

    def values(self, layer: int, components: int) -> Tensor | None:
        v = self.calls[layer].v
        return None if v is None else v[0, :, :, :components].cpu()

    def weights(self, layer: int, rounded: QuantizedQueriesKeys, rows: Sequence[int]) -> Float[Tensor, "h i m"]:
        """Of some targets, as a page computes them."""
        return rounded.scores(rows).double().softmax(-1)

    def row_statistics_function(self, layer: int) -> Callable[[QuantizedQueriesKeys, int], tuple[Tensor, Tensor]]:
        """What computes the log-sum-exp of each row, and the mean row, of a packed call."""
        return QuantizedQueriesKeys.row_statistics

    def target_weights(self, target: int | Literal["mean"]) -> int | Float[Tensor, "n"]:
        if target != "mean":
            return target
        return (torch.arange(self.tokens) >= self.prefix).float()


@dataclass(frozen=True)
class PackingResult:
    """Packed calls (None: left out), what was chosen and measured, and the facts for the page to say in words."""

    layers: list[PackedAttentionLayer | None]
    bits: float
    error_typical: float
    error_largest: float
    words: dict[str, Any]


def pack_to_budget(look: PageAttention, budget: int) -> PackingResult:
    """Pack the calls into at most `budget` bytes of a page.

    First choice: all numbers of the values and the finest error. Then a coarser error and few numbers of the values.
    Then fewer layers, spread evenly, the last one included.
    """
    width = max((call.v.shape[-1] for call in look.calls if call.v is not None), default=0)
    error, values, kept = FINEST, width, list(range(len(look.calls)))
    size = _estimate(look, error, values)
    if size > budget:
        values = min(width, FEW_VALUES)
        error = _coarser(look, budget, values)
        size = _estimate(look, error, values)
    if size > budget:
        kept = _spread(len(look.calls), max(1, int(len(look.calls) * budget / size)))
    packed = _pack(look, kept, error, values)
    while sum(p.size for p, _ in packed.values()) > budget and (error < COARSEST or len(kept) > 1):
        if error < COARSEST:
            error = min(error * 1.06, COARSEST)
        else:
            kept = _spread(len(look.calls), len(kept) - 1)
        packed = _pack(look, kept, error, values)
    return _measured(look, packed, values, width)


def _coarser(look: PageAttention, budget: int, values: int) -> float:
    """The smallest error that fits, to about 6 %; the coarsest if none does."""
    low, high = FINEST, COARSEST
    while high / low > 1.06:
        middle = (low * high) ** 0.5
        low, high = (low, middle) if _estimate(look, middle, values) <= budget else (middle, high)
    return high


def _estimate(look: PageAttention, error: float, values: int) -> float:
    """Bytes of all layers, from three of them."""
    count = len(look.calls)
    sample = sorted({0, count // 2, count - 1})
    report_step("measuring how small queries and keys can be")
    drafts = (
        pack_attention_call(look.rotated_calls[i], error, look.grid, look.values(i, values), draft=True)[0]
        for i in sample
    )
    rows = look.tokens * sum(call.shape[1] for call in look.calls)  # lse and mean row: about a byte a number
    return sum(draft.size for draft in drafts) / len(sample) * count + rows * (1 + look.mean) * 4 / 3


def _pack(
    look: PageAttention, kept: Sequence[int], error: float, values: int
) -> dict[int, tuple[PackedAttentionLayer, QuantizedQueriesKeys]]:
    return {
        i: pack_attention_call(
            look.rotated_calls[i],
            error,
            look.grid,
            look.values(i, values),
            look.mean,
            sums=look.row_statistics_function(i),
        )
        for i in track_progress(kept, "packing queries and keys")
    }


def _spread(count: int, keep: int) -> list[int]:
    """`keep` of `count` layers, evenly, the last one always and the first one if there are two."""
    if keep == 1:
        return [count - 1]
    return sorted({round(i * (count - 1) / (keep - 1)) for i in range(keep)})


def _measured(
    look: PageAttention, packed: dict[int, tuple[PackedAttentionLayer, QuantizedQueriesKeys]], values: int, width: int
) -> PackingResult:
    rows = torch.linspace(0, look.tokens - 1, min(SAMPLED_ROWS, look.tokens)).long().tolist()
    relative, largest = [], 0.0
    for i, (_, rounded) in packed.items():
        exact = look.calls[i].rows(rows)[0].cpu().double()
        ours = look.weights(i, rounded, rows)
        wrong = (ours - exact).abs()
        largest = max(largest, float(wrong.max()))
        relative.append((wrong / exact)[exact > 1 / look.tokens])
    bits = sum(p.bits for p, _ in packed.values()) / len(packed)
    typical = torch.cat(relative).median().item() if sum(map(len, relative)) else 0.0
    return PackingResult(
        layers=[packed[i][0] if i in packed else None for i in range(len(look.calls))],
        bits=bits,
        error_typical=typical,
        error_largest=largest,
        words={"bits": bits, "typical": typical, "largest": largest, "values": values, "width": width},
    )
