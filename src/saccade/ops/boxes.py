"""Boxes: two ways to write one, how much two overlap, and where a grid lies from a box.

A box is (left, top, right, bottom) or, "centred", (centre x, centre y, width, height), in any unit. Functions of two
boxes broadcast like the arithmetic of tensors: for all pairs give (n 1 4) and (1 m 4).
"""

import torch
from jaxtyping import Float
from torch import Tensor


def cxcywh_to_xyxy(centred: Float[Tensor, "*n 4"]) -> Float[Tensor, "*n 4"]:
    """(centre x, centre y, width, height) -> (left, top, right, bottom)."""
    middle, half = centred[..., :2], centred[..., 2:] / 2
    return torch.cat([middle - half, middle + half], dim=-1)


def xyxy_to_cxcywh(corners: Float[Tensor, "*n 4"]) -> Float[Tensor, "*n 4"]:
    """(left, top, right, bottom) -> (centre x, centre y, width, height)."""
    first, last = corners[..., :2], corners[..., 2:]
    return torch.cat([(first + last) / 2, last - first], dim=-1)


def area(corners: Float[Tensor, "*n 4"]) -> Float[Tensor, "*n"]:
    """0 for inverted boxes."""
    return (corners[..., 2:] - corners[..., :2]).clamp(min=0).prod(dim=-1)


def iou(a: Float[Tensor, "*n 4"], b: Float[Tensor, "*m 4"]) -> Float[Tensor, "*k"]:
    """Intersection over union of boxes given by corners, 0 to 1; 0 where both are empty."""
    return _intersection_and_union(a, b)[2]


def giou(a: Float[Tensor, "*n 4"], b: Float[Tensor, "*m 4"]) -> Float[Tensor, "*k"]:
    """Generalised IoU, -1 to 1: IoU less the share of the box around both that neither covers (Rezatofighi et al.
    2019, algorithm 1). Unlike IoU it tells apart boxes that do not touch."""
    _, union, shared = _intersection_and_union(a, b)
    first, last = torch.minimum(a[..., :2], b[..., :2]), torch.maximum(a[..., 2:], b[..., 2:])
    around = (last - first).clamp(min=0).prod(dim=-1)
    return shared - (around - union) / around.clamp(min=_TINY)


def edge_offsets(
    centred: Float[Tensor, "b n 4"], grid: tuple[int, int]
) -> tuple[Float[Tensor, "b n y 2"], Float[Tensor, "b n x 2"]]:
    """How far the middle of every row of a grid is below a box's top and bottom, and that of every column right of
    its left and right edge. Boxes and results in shares of the picture (Lin et al. 2023, "DETR does not need
    multi-scale or locality design", 3.2: box-to-pixel relative position)."""
    corners = cxcywh_to_xyxy(centred)
    rows, columns = ((torch.arange(n, device=centred.device) + 0.5) / n for n in grid)
    down = rows[:, None] - corners[..., None, 1::2]
    across = columns[:, None] - corners[..., None, 0::2]
    return down, across


_TINY = 1e-9


def _intersection_and_union(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Area of the intersection, of the union, and their ratio."""
    first, last = torch.maximum(a[..., :2], b[..., :2]), torch.minimum(a[..., 2:], b[..., 2:])
    shared = (last - first).clamp(min=0).prod(dim=-1)
    union = area(a) + area(b) - shared
    return shared, union, shared / union.clamp(min=_TINY)
