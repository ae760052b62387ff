"""Boxes: conversion between two formats, intersection over union, and offsets from the cells of a grid.

A box is xyxy, (left, top, right, bottom), or cxcywh, (center x, center y, width, height), in any unit. Functions of two
boxes broadcast as tensor arithmetic does: pass (n 1 4) and (1 m 4) for all pairs.
"""

import torch
from jaxtyping import Float
from torch import Tensor


def cxcywh_to_xyxy(cxcywh: Float[Tensor, "*n 4"]) -> Float[Tensor, "*n 4"]:
    """(center x, center y, width, height) -> (left, top, right, bottom)."""
    center, half = cxcywh[..., :2], cxcywh[..., 2:] / 2
    return torch.cat([center - half, center + half], dim=-1)


def xyxy_to_cxcywh(xyxy: Float[Tensor, "*n 4"]) -> Float[Tensor, "*n 4"]:
    """(left, top, right, bottom) -> (center x, center y, width, height)."""
    first, last = xyxy[..., :2], xyxy[..., 2:]
    return torch.cat([(first + last) / 2, last - first], dim=-1)


def area(xyxy: Float[Tensor, "*n 4"]) -> Float[Tensor, "*n"]:
    """Area of boxes; 0 for inverted ones."""
    return (xyxy[..., 2:] - xyxy[..., :2]).clamp(min=0).prod(dim=-1)


def iou(a: Float[Tensor, "*n 4"], b: Float[Tensor, "*m 4"]) -> Float[Tensor, "*k"]:
    """Intersection over union, 0 to 1; 0 where both boxes are empty."""
    return _intersection_and_union(a, b)[2]


def giou(a: Float[Tensor, "*n 4"], b: Float[Tensor, "*m 4"]) -> Float[Tensor, "*k"]:
    """Generalized IoU, -1 to 1: IoU minus the fraction of the enclosing box that neither covers (Rezatofighi et al.
    2019, algorithm 1). Unlike IoU it also varies with the distance of boxes that do not overlap."""
    _, union, ratio = _intersection_and_union(a, b)
    first, last = torch.minimum(a[..., :2], b[..., :2]), torch.maximum(a[..., 2:], b[..., 2:])
    enclosing = (last - first).clamp(min=0).prod(dim=-1)
    return ratio - (enclosing - union) / enclosing.clamp(min=_TINY)


def edge_offsets(
    cxcywh: Float[Tensor, "b n 4"], grid: tuple[int, int]
) -> tuple[Float[Tensor, "b n y 2"], Float[Tensor, "b n x 2"]]:
    """Vertical offsets of the center of each grid row from the top and bottom edge of a box, and horizontal offsets of
    the center of each column from its left and right edge. Boxes and results are relative to the image size (Lin
    et al. 2023, "DETR does not need multi-scale or locality design", 3.2: box-to-pixel relative position)."""
    corners = cxcywh_to_xyxy(cxcywh)
    rows, columns = ((torch.arange(n, device=cxcywh.device) + 0.5) / n for n in grid)
    down = rows[:, None] - corners[..., None, 1::2]
    across = columns[:, None] - corners[..., None, 0::2]
    return down, across


_TINY = 1e-9


def _intersection_and_union(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Area of the intersection, of the union, and their ratio."""
    first, last = torch.maximum(a[..., :2], b[..., :2]), torch.minimum(a[..., 2:], b[..., 2:])
    intersection = (last - first).clamp(min=0).prod(dim=-1)
    union = area(a) + area(b) - intersection
    return intersection, union, intersection / union.clamp(min=_TINY)
