"""How much of each patch a box covers."""

import torch
from jaxtyping import Float
from torch import Tensor


def coverage(boxes: Float[Tensor, "n 4"], grid: tuple[int, int]) -> Float[Tensor, "n m"]:
    """The part of every patch that each box covers, 0 to 1, row by row of the grid.

    boxes: left, top, right, bottom in shares of the picture that the grid of (rows, columns) covers.
    """
    rows, columns = grid
    down = _overlap(boxes[:, 1] * rows, boxes[:, 3] * rows, rows)
    across = _overlap(boxes[:, 0] * columns, boxes[:, 2] * columns, columns)
    return (down[:, :, None] * across[:, None, :]).flatten(1)


def _overlap(first: Float[Tensor, "n"], last: Float[Tensor, "n"], cells: int) -> Float[Tensor, "n i"]:
    """How much of each cell [i, i + 1] lies between `first` and `last`."""
    start = torch.arange(cells, dtype=first.dtype, device=first.device)
    return (torch.minimum(last[:, None], start + 1) - torch.maximum(first[:, None], start)).clamp(min=0)
