"""How much of each patch a box covers."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from saccade.errors import SaccadeError
from saccade.lens.scores.given import count


def coverage(boxes: Float[Tensor, "n 4"], grid: tuple[int, int]) -> Float[Tensor, "n m"]:
    """The part of every patch that each box covers, 0 to 1, row by row of the grid.

    boxes: left, top, right, bottom in shares of the picture that the grid of (rows, columns) covers; what lies outside
    of it covers nothing. Raises SaccadeError for boxes that are not finite or that end before they begin, and for a
    grid without patches.
    """
    if not isinstance(grid, Sequence) or len(grid) != 2:
        raise SaccadeError(f"the grid {grid!r}; expected (rows, columns)")
    rows, columns = (count(side, f"rows or columns in the grid {grid!r}") for side in grid)
    if not isinstance(boxes, Tensor) or boxes.ndim != 2 or boxes.shape[1] != 4:
        found = tuple(boxes.shape) if isinstance(boxes, Tensor) else type(boxes).__name__
        raise SaccadeError(f"boxes of {found}; expected a tensor (n 4)")
    bad = ~boxes.isfinite().all(dim=1) | (boxes[:, 2:] < boxes[:, :2]).any(dim=1)
    if bad.any():
        box = boxes[bad][0].tolist()
        raise SaccadeError(f"box {int(bad.int().argmax())} is {box}; expected left, top, right, bottom, in this order")
    down = _overlap(boxes[:, 1] * rows, boxes[:, 3] * rows, rows)
    across = _overlap(boxes[:, 0] * columns, boxes[:, 2] * columns, columns)
    return (down[:, :, None] * across[:, None, :]).flatten(1)


def _overlap(first: Float[Tensor, "n"], last: Float[Tensor, "n"], cells: int) -> Float[Tensor, "n i"]:
    """How much of each cell [i, i + 1] lies between `first` and `last`."""
    start = torch.arange(cells, dtype=first.dtype, device=first.device)
    return (torch.minimum(last[:, None], start + 1) - torch.maximum(first[:, None], start)).clamp(min=0)
