"""Boolean masks: True where a target token may attend to a source token. Combine them with & and |."""

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from saccade.ops.attention import causal_mask

__all__ = ["causal_mask", "padding_mask", "window_mask"]


def padding_mask(lengths: Int[Tensor, "b"], m: int) -> Bool[Tensor, "b 1 1 m"]:
    """Source tokens beyond each length are padding, which nothing attends to. lengths: 0 to m."""
    return (torch.arange(m, device=lengths.device) < lengths[:, None])[:, None, None, :]


def window_mask(grid: tuple[int, ...], reach: int, prefix: int = 0) -> Bool[Tensor, "n n"]:
    """Each token attends to those at most `reach` steps away along every axis of the grid (a sliding window).

    grid: tokens along each axis, in the order they are flattened: (m,) for text, (rows, columns) for a
    picture, (frames, rows, columns) for a film. The `prefix` tokens before the grid (cls, registers) attend
    to all tokens and all tokens attend to them. n = prefix + product of the grid.
    """
    axes = torch.meshgrid(*(torch.arange(size) for size in grid), indexing="ij")
    coordinates = torch.stack([axis.flatten() for axis in axes], dim=-1)
    near = (coordinates[:, None] - coordinates[None, :]).abs().amax(dim=-1) <= reach
    n = prefix + len(coordinates)
    mask = torch.ones(n, n, dtype=torch.bool)
    mask[prefix:, prefix:] = near
    return mask
