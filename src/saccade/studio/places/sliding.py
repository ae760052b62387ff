"""Windows that slide over a feature map, as of convolutions and pooling: the grid that they make of another."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from saccade.studio.places.table import PlaceTable
from saccade.studio.places.tensor_places import NOWHERE, PADDING, is_constant

MISFIT = 0.6  # of a cell: how far from its centre a page may draw it

Sides = tuple[tuple[int, int], tuple[int, int]]


@dataclass(frozen=True)
class FeatureMapRegion:
    """Where the places of a feature map lie in it. sides: of rows and of columns, where they begin and how many they
    are. parts: the part of the picture that each entry of the batch is, None for an entry without places; empty where
    all entries have the same places. padded: whether padding lies around them."""

    sides: Sides
    parts: tuple[int | None, ...] = ()
    padded: bool = False

    def codes(self, table: PlaceTable, out: Tensor) -> Tensor:
        """Places of a feature map (b c ... y x), which is a whole grid in each part."""
        rows, columns = size = out.shape[-2:]
        if not self.parts:
            return table.grids.codes(rows, columns).expand(out.shape)
        planes = [
            torch.full(size, NOWHERE, dtype=torch.int32) if part is None else table.grids.codes(rows, columns, part)
            for part in self.parts
        ]
        return torch.stack(planes).view(-1, *[1] * (out.ndim - 3), *size).expand(out.shape)


def find_grid_region(table: PlaceTable, places: Tensor) -> FeatureMapRegion | None:
    """The frame of the places of a feature map (b c ... y x), if they are all those of one grid, in order."""
    if is_constant(places, [0, 1]):
        sides = _sides(table, places[0])
        several = sides is not None and table.grids.parts > 1
        padded = bool((places[0, 0] == PADDING).any())
        return (
            None if sides is None else FeatureMapRegion(sides[0], (sides[1],) * len(places) if several else (), padded)
        )
    if table.grids.parts == 1 or not is_constant(places, [1]):
        return None
    empty = [bool((entry < 0).all()) for entry in places]
    found = [None if none else _sides(table, entry) for entry, none in zip(places, empty, strict=True)]
    known = [each for each in found if each is not None]
    if len(known) != len(empty) - sum(empty) or len({sides for sides, _ in known}) != 1:
        return None
    padded = any(bool((entry[0] == PADDING).any()) for entry, none in zip(places, empty, strict=True) if not none)
    return FeatureMapRegion(known[0][0], tuple(None if each is None else each[1] for each in found), padded)


def _sides(table: PlaceTable, entry: Tensor) -> tuple[Sides, int] | None:
    """Of one entry (c ... y x) of a batch, and the part that it is."""
    plane = entry[0].flatten(0, -3) if entry.ndim > 3 else entry[0]
    if plane.ndim == 3:
        if not is_constant(plane, [0]):
            return None
        plane = plane[0]
    real = (plane >= 0).nonzero()
    if not len(real):
        return None
    (y, x), (bottom, right) = real.amin(0).tolist(), real.amax(0).tolist()
    inner = plane[y : bottom + 1, x : right + 1]
    if int(inner.min()) < 0:
        return None
    part = table.grids.part_of(int(inner[0, 0]))
    same = torch.equal(inner, table.grids.codes(inner.shape[0], inner.shape[1], part))
    return (((y, inner.shape[0]), (x, inner.shape[1])), part) if same else None


def _fits(begins: int, cells: int, made: int, first: float, step: float) -> bool:
    """Whether the cells that a sliding window makes of a row of cells lie about where a page draws them: evenly over
    the whole row. begins: the first of the cells, after padding. first: the centre of the first window."""
    apart = cells / made
    drawn = ((i + 0.5) * apart - 0.5 for i in (0, made - 1))
    true = (first + i * step - begins for i in (0, made - 1))
    return all(abs(x - y) <= MISFIT * max(apart, 1.0) for x, y in zip(true, drawn, strict=True))


def _whole_windows(made: Sequence[int], sides: Sides, windows: Sequence[Sequence[int]]) -> Sides | None:
    """Where the windows lie that hold the frame alone, of a map of which the rest is something else (padding, another
    picture above it): first and number of rows and of columns. None unless they hold it wholly, and there are others.
    """
    found = []
    for (begins, cells), (size, step, padding, dilation) in zip(sides, windows, strict=True):
        if size != step or dilation != 1 or (begins + padding) % size or cells % size:
            return None
        found.append(((begins + padding) // size, cells // size))
    return None if [count for _, count in found] == list(made) else (found[0], found[1])


def slide_windows(
    table: PlaceTable, frame: FeatureMapRegion, out: Tensor, windows: Sequence[Sequence[int]]
) -> Tensor | None:
    """The places of what windows see that slide over a feature map. windows: of rows and of columns, the size, step,
    padding and dilation."""
    made, sides = out.shape[-2:], frame.sides
    if all(size == step and not padding and begins == 0 for (size, step, padding, _), (begins, _) in
           zip(windows, sides, strict=True)):  # fmt: skip
        covered = [n * window[1] for n, window in zip(made, windows, strict=True)]
        if table.record_coverage(tuple(cells for _, cells in sides), covered):
            return frame.codes(table, out)
    if (part := _whole_windows(made, sides, windows)) is not None:
        (top, rows), (left, columns) = part
        empty = frame.padded or any(padding for _, _, padding, _ in windows)
        whole = torch.full(out.shape, PADDING if empty else NOWHERE, dtype=torch.int32)
        inner = whole[..., top : top + rows, left : left + columns]
        inner.copy_(frame.codes(table, inner))
        return whole
    for (begins, cells), n, (size, step, padding, dilation) in zip(sides, made, windows, strict=True):
        if not _fits(begins, cells, n, dilation * (size - 1) / 2 - padding, step):
            return None
    return frame.codes(table, out)
