"""Windows that slide over a feature map, as of convolutions and pooling: the grid that they make of another."""

from collections.abc import Sequence

import torch
from torch import Tensor

from saccade.studio.places.shadow import constant
from saccade.studio.places.table import PlaceTable

MISFIT = 0.6  # of a cell: how far from its centre a page may draw it

Frame = tuple[tuple[int, int], tuple[int, int]]


def frame_of(table: PlaceTable, places: Tensor) -> Frame | None:
    """Rows and columns: where the places of a feature map (b c ... y x) begin and how many they are, if they are all
    those of one grid, in order; a border of padding around it is left out."""
    if not constant(places, [0, 1]):
        return None
    plane = places[0, 0].flatten(0, -3) if places.ndim > 4 else places[0, 0]
    if plane.ndim == 3:
        if not constant(plane, [0]):
            return None
        plane = plane[0]
    real = (plane >= 0).nonzero()
    if not len(real):
        return None
    (y, x), (bottom, right) = real.amin(0).tolist(), real.amax(0).tolist()
    inner = plane[y : bottom + 1, x : right + 1]
    same = torch.equal(inner, table.grids.codes(*inner.shape))
    return ((y, inner.shape[0]), (x, inner.shape[1])) if same else None


def _fits(begins: int, cells: int, made: int, first: float, step: float) -> bool:
    """Whether the cells that a sliding window makes of a row of cells lie about where a page draws them: evenly over
    the whole row. begins: the first of the cells, after padding. first: the centre of the first window."""
    apart = cells / made
    drawn = ((i + 0.5) * apart - 0.5 for i in (0, made - 1))
    true = (first + i * step - begins for i in (0, made - 1))
    return all(abs(x - y) <= MISFIT * max(apart, 1.0) for x, y in zip(true, drawn, strict=True))


def slid(table: PlaceTable, frame: Frame, out: Tensor, windows: Sequence[Sequence[int]]) -> Tensor | None:
    """The places of what windows see that slide over a feature map. windows: of rows and of columns, the size, step,
    padding and dilation."""
    made = out.shape[-2:]
    if all(size == step and not padding and begins == 0 for (size, step, padding, _), (begins, _) in
           zip(windows, frame, strict=True)):  # fmt: skip
        covered = [n * window[1] for n, window in zip(made, windows, strict=True)]
        if table.cover(tuple(cells for _, cells in frame), covered):
            return table.grids.codes(*made).expand(out.shape)
    for (begins, cells), n, (size, step, padding, dilation) in zip(frame, made, windows, strict=True):
        if not _fits(begins, cells, n, dilation * (size - 1) / 2 - padding, step):
            return None
    return table.grids.codes(*made).expand(out.shape)
