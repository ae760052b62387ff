"""What is summed up over a whole map, as parts of one walk over its tiles: several views cost little more than one."""

from collections.abc import Sequence
from typing import Protocol

import torch
from jaxtyping import Float, Int
from torch import Tensor

from saccade.errors import SaccadeError
from saccade.lens.indices import whole


class View(Protocol):
    """Something that a walk over a map adds up."""

    def add(self, targets: Int[Tensor, "t"], weights: Float[Tensor, "b h t m"], logs: Float[Tensor, "b h t m"]) -> None:
        """Take in the weights of some targets and their natural logs, -inf or the lowest number where a weight is 0.
        Neither is kept: the next tile overwrites them."""


class WeightedRowSum:
    """The sum of all targets' rows, so much of each. share: (b n)."""

    def __init__(self, share: Float[Tensor, "b n"]) -> None:
        self._share = share
        self._total: Tensor | float = 0.0

    def add(self, targets: Tensor, weights: Tensor, logs: Tensor) -> None:
        share = self._share[:, None, None, targets].to(weights.dtype).expand(-1, weights.shape[1], -1, -1)
        self._total = self._total + (share @ weights)[:, :, 0]

    def value(self) -> Float[Tensor, "b h m"]:
        assert isinstance(self._total, Tensor)
        return self._total


class Entropy:
    """Entropy of each target's weights in nats."""

    def __init__(self) -> None:
        self._rows: list[Tensor] = []

    def add(self, targets: Tensor, weights: Tensor, logs: Tensor) -> None:
        # The logs are there already: taking them again would cost as much as the products q·k.
        lowest = torch.finfo(logs.dtype).min  # 0 * -inf is not a number
        logs = logs.clamp_min(lowest) if logs.requires_grad else logs.clamp_min_(lowest)
        self._rows.append((weights * logs).sum(dim=-1).neg_().clamp_min_(0.0))

    def value(self) -> Float[Tensor, "b h n"]:
        return torch.cat(self._rows, dim=2)


class Distance:
    """Mean distance in patches from a patch to what it attends to, of the patches.

    grid: (rows, columns), row-major, from token `first` on."""

    def __init__(self, grid: Sequence[int], first: int) -> None:
        self.grid, self.first = grid, first
        self._table: Tensor | None = None
        self._total: Tensor | float = 0.0
        self._count: Tensor | float = 0.0

    @classmethod
    def of(cls, name: str, shape: tuple[int, int, int, int], grid: tuple[int, int], prefix: int | None) -> "Distance":
        """That of a call of this name and (b h n m); see `Call.distance`."""
        n, m = shape[2:]
        what = f"distance of {name!r}: a grid of {grid!r}"
        if not isinstance(grid, Sequence) or len(grid) != 2:
            raise SaccadeError(f"{what}; expected (rows, columns) of patches")
        rows, columns = (whole(side, what) for side in grid)
        patches = rows * columns
        first = n - patches if prefix is None else whole(prefix, f"distance of {name!r}: a prefix of {prefix!r}")
        if n != m or min(rows, columns) < 1 or first < 0 or first + patches != n:
            described = f"a grid of {rows} x {columns}" + ("" if prefix is None else f" after {prefix} tokens")
            raise SaccadeError(
                f"distance of {name!r}: {described} does not fit {n} targets and {m} sources; expected one target "
                "and one source a patch, after the prefix tokens (cls, registers)"
            )
        return cls((rows, columns), first)

    def add(self, targets: Tensor, weights: Tensor, logs: Tensor) -> None:
        patches = targets >= self.first
        if not patches.all():
            targets, weights = targets[patches], weights[:, :, patches]
        patch_weights = weights[..., self.first :]
        mass = patch_weights.sum(dim=-1)  # (b h t)
        far = torch.einsum("bhtm,tm->bht", patch_weights, self._steps(targets, patch_weights.dtype))
        far = torch.where(mass > 0, far / mass.clamp_min(torch.finfo(mass.dtype).tiny), 0.0)
        self._total = self._total + far.sum(dim=-1)
        self._count = self._count + (mass > 0).sum(dim=-1)

    def value(self) -> Float[Tensor, "b h"]:
        assert isinstance(self._total, Tensor)
        return self._total / self._count

    def _steps(self, targets: Tensor, dtype: torch.dtype) -> Float[Tensor, "t m"]:
        """From each target to every patch."""
        rows, columns = self.grid
        if self._table is None:  # distances by offset, of which every target's own are a window
            y, x = (torch.arange(1 - size, size, dtype=dtype, device=targets.device) for size in self.grid)
            self._table = torch.hypot(y[:, None], x).unfold(0, rows, 1).unfold(1, columns, 1)
        y, x = (targets - self.first) // columns, (targets - self.first) % columns
        return self._table[rows - 1 - y, columns - 1 - x].flatten(1)
