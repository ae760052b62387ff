"""The steps that lead from a feature map to queries and keys, done again to the numbers of the positions."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Int
from torch import Tensor

from saccade.lens.dataflow.layout_steps import LayoutStep
from saccade.lens.dataflow.windows import Grid, Windows

Numbers = tuple[Int[Tensor, "..."], Grid]  # of places, -1 for padding, on a grid of pictures, rows and columns
Pair = tuple[LayoutStep, LayoutStep]  # of queries (b h n k) and of keys


def layout(pairs: Sequence[Pair], b: int, n: int, m: int) -> Windows | None:
    """Where the tokens of queries (b h n k) and keys (b g m k) lie; None if it is not known of all, or if several lie
    in one place, or if one window has sources that the other lacks. pairs: of a call, or of each of several that are
    one after another in their tokens."""
    if any(_begin(q) is not _begin(k) for q, k in pairs):
        return None
    for channels in (-1, 1):  # of a feature map: (b y x c), or (b c y x)
        done: dict[int, Numbers | None] = {}
        targets, sources = (_joined([_tokens(pair[i], channels, done) for pair in pairs]) for i in (0, 1))
        if targets is None or targets[0].shape != (b, n):
            continue
        if sources is None or sources[0].shape != (b, m) or not (_each_once(targets[0]) and _each_once(sources[0])):
            return None
        if targets[1] == sources[1]:
            return Windows.of_numbers(*targets) if torch.equal(targets[0], sources[0]) else None
        found = Windows.of_numbers(*targets)
        return Windows(found.places, found.grid, Windows.of_numbers(*sources))
    return None


def _each_once(numbers: Int[Tensor, "b n"]) -> bool:
    real = numbers[numbers >= 0]
    return len(real.unique()) == len(real)


def _begin(step: LayoutStep) -> LayoutStep:
    while step.source is not None:
        step = step.source
    return step


def _joined(found: Sequence[Numbers | None]) -> Numbers | None:
    known = [each for each in found if each is not None]
    if len(known) < len(found) or len({grid for _, grid in known}) != 1 or len({len(t) for t, _ in known}) != 1:
        return None
    return torch.cat([numbers for numbers, _ in known], dim=1), known[0][1]


def _tokens(last: LayoutStep, channels: int, done: dict[int, Numbers | None]) -> Numbers | None:
    """The number of the place of each token (b n) of queries or keys (b h n k), each of which lies in one place."""
    found = _numbers(last, channels, done) if len(last.shape) == 4 else None
    if found is None or found[0].ndim != 4:
        return None
    first = found[0][:, :1, :, :1]
    return (first[:, 0, :, 0], found[1]) if bool((found[0] == first).all()) else None


def _numbers(last: LayoutStep, channels: int, done: dict[int, Numbers | None]) -> Numbers | None:
    """The number of the place of each number of a tensor. done: what is known of steps by identity; many calls share
    theirs."""
    steps: list[LayoutStep] = []
    step: LayoutStep | None = last
    while step is not None and id(step) not in done:
        steps.append(step)
        step = step.source
    found = None if step is None else done[id(step)]
    for each in reversed(steps):
        if each.source is None:
            found = _at_first(each, channels)
        elif found is not None:
            found = _after(each, *found)
        done[id(each)] = found
    return found


def _at_first(begin: LayoutStep, channels: int) -> Numbers | None:
    if begin.listed is not None:
        known = begin.listed.confirmed and channels == -1
        return (begin.listed.numbers[:, None].expand(begin.shape), begin.listed.grid) if known else None
    if len(begin.shape) != 4:
        return None
    p, *sides = begin.shape
    del sides[channels if channels < 0 else 0]
    grid = p, sides[0], sides[1]
    return torch.arange(math.prod(grid)).view(grid).unsqueeze(channels).expand(begin.shape), grid


def _after(step: LayoutStep, numbers: Tensor, grid: Grid) -> Numbers | None:
    if step.kind == "token":
        first = numbers[..., :1]
        if not bool((numbers == first).all()):
            coarser = _coarser(numbers, grid)
            if coarser is None:
                return None
            grid = coarser
            first = torch.arange(math.prod(grid)).view(*grid, 1)
        return first.expand(step.shape), grid
    if step.kind == "patch":
        first = numbers.flatten(1)[:, :1]
        whole = bool((numbers.flatten(1) == first).all())
        return (first.view(-1, *[1] * (len(step.shape) - 1)).expand(step.shape), grid) if whole else None
    if step.kind == "pool":
        return _pooled(numbers.movedim(step.axis, -1), grid)
    return (numbers if step.redo is None else step.redo(numbers)), grid


def _pooled(numbers: Int[Tensor, "... g"], grid: Grid) -> Numbers | None:
    """The cells of a coarser grid, of places of a finer one that were pooled over the last axis; None unless every
    cell is whole rows by whole columns of it, in their order."""
    if bool((numbers == numbers[..., :1]).all()):
        return numbers[..., 0], grid
    if bool((numbers < 0).any()):
        return None
    picture, *sides = torch.unravel_index(numbers, grid)
    if not bool((picture == picture[..., :1]).all()):
        return None
    cells, coarse = [], []
    for side, size in zip(sides, grid[1:], strict=True):
        lowest, highest = side.amin(-1), side.amax(-1)
        starts = lowest.unique()
        ends = torch.cat([starts[1:], starts.new_tensor([size])])
        cell = torch.searchsorted(starts, lowest)
        if not bool((highest < ends[cell]).all()):  # cells that overlap
            return None
        cells.append(cell)
        coarse.append((len(starts), starts, ends))
    (rows, first, last), (columns, left, right) = coarse
    areas = (last - first)[cells[0]] * (right - left)[cells[1]]
    distinct = numbers.sort(dim=-1).values.diff(dim=-1)
    if not bool((areas == numbers.shape[-1]).all()) or not bool((distinct > 0).all()):  # a part of a cell only
        return None
    return (picture[..., 0] * rows + cells[0]) * columns + cells[1], (grid[0], rows, columns)


def _coarser(numbers: Int[Tensor, "p y x c"], grid: Grid) -> Grid | None:
    """The grid of a feature map whose places each take neighbours of a finer one, of this grid, together (patch
    merging); None unless its rows and columns lie in the order of theirs."""
    if numbers.ndim != 4 or bool((numbers < 0).any()):
        return None
    picture, row, column = (each.float().mean(dim=-1) for each in torch.unravel_index(numbers, grid))
    p, y, x = numbers.shape[:3]
    straight = bool((row == row[:1, :, :1]).all()) and bool((column == column[:1, :1]).all())
    inside = bool((picture == torch.arange(p)[:, None, None]).all())
    ordered = bool((row[0, :, 0].diff() > 0).all()) and bool((column[0, 0].diff() > 0).all())
    return (p, y, x) if straight and inside and ordered else None
