"""Towers that are given the patches of several pictures as one list, beside the grid of each (Qwen2-VL: Wang et al.
2024): where each patch of the list lies.

The list goes frame by frame, and in each by blocks of `spatial_merge_size` patches a side, which become one token of
the language model later. That is what the names of the argument and of the attribute declare; it is believed where the
model itself makes the same rows and columns of it, for its rotary positions.
"""

import inspect
from collections.abc import Callable, Sequence
from functools import lru_cache

import torch
from jaxtyping import Int
from torch import Tensor, nn

from saccade.lens.attention.args import is_shape_only, transformed
from saccade.lens.dataflow.operation import Operation
from saccade.lens.dataflow.windows import Grid

GRIDS, MERGED = "grid_thw", "spatial_merge_size"


class ListedPatches:
    """A list of patches: the number of each patch's place on `grid`, of all frames of all pictures, each as large as
    the largest. confirmed: the model made the same rows and columns."""

    def __init__(self, grids: Sequence[Sequence[int]], merged: int) -> None:
        self.confirmed = False
        every, frame = [], 0
        self.grid: Grid = sum(t for t, _, _ in grids), max(y for _, y, _ in grids), max(x for _, _, x in grids)
        for t, y, x in grids:
            cells = torch.cartesian_prod(torch.arange(frame, frame + t), torch.arange(y), torch.arange(x))
            blocks = cells.view(t, y // merged, merged, x // merged, merged, 3).transpose(2, 3)
            every.append(blocks.reshape(-1, 3))
            frame += t
        places = torch.cat(every)
        self.numbers: Int[Tensor, "n"] = (places[:, 0] * self.grid[1] + places[:, 1]) * self.grid[2] + places[:, 2]
        self._positions: Int[Tensor, "n 2"] = places[:, 1:]

    def confirmed_by(self, op: Operation) -> bool:
        """Whether an operation made, or was given, the rows and columns of all patches."""
        for t in (*op.results, *op.given):
            whole = t.ndim == 2 and len(self.numbers) in t.shape and not (t.is_floating_point() or t.is_complex())
            if whole and not self.confirmed:
                rows = (t if t.shape[0] == len(self.numbers) else t.mT).cpu()
                self.confirmed = rows.shape[1] in (2, 3) and torch.equal(rows[:, -2:].long(), self._positions)
        return self.confirmed


def declares_patches(module: nn.Module) -> bool:
    """Whether a module is given the grids of pictures whose patches it takes as a list."""
    return type(vars(module).get(MERGED)) is int and GRIDS in _arguments(type(module).forward)


def listed_patches(
    module: nn.Module, args: tuple, kwargs: dict, inputs: Sequence[Tensor]
) -> tuple[Tensor, ListedPatches] | None:
    """The list that a module is given; None if it is given none whose grids make up its length."""
    if not declares_patches(module):
        return None
    found = kwargs.get(GRIDS)
    if found is None:
        found = dict(zip(_arguments(type(module).forward), args, strict=False)).get(GRIDS)
    merged = vars(module)[MERGED]
    if not isinstance(found, Tensor) or is_shape_only(found) or transformed():
        return None
    if found.ndim != 2 or found.shape[1] != 3 or found.dtype not in (torch.int32, torch.int64):
        return None
    grids = [[int(size) for size in grid] for grid in found.tolist()]
    whole = merged > 0 and all(min(grid) > 0 and not (grid[1] % merged or grid[2] % merged) for grid in grids)
    count = sum(t * y * x for t, y, x in grids)
    given = next((t for t in inputs if t.ndim == 2 and len(t) == count), None)
    return (given, ListedPatches(grids, merged)) if grids and whole and given is not None else None


@lru_cache(maxsize=256)
def _arguments(forward: Callable) -> tuple[str, ...]:
    """Those of the forward of a class of modules, without `self`."""
    try:
        return tuple(inspect.signature(forward).parameters)[1:]
    except (TypeError, ValueError):
        return ()
