"""Masks of detected objects, in the pixels of their picture."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from saccade.data.objects.run_lengths import encode_instance_map
from saccade.data.preprocess import Placement
from saccade.models.masks import MaskFeatures
from saccade.ops.instances import box_offsets, mask_logits
from saccade.tasks.detect.mask_loss import AROUND, MARGIN
from saccade.tasks.detect.result import Detections

PIXELS = 1 << 19  # of windows at once
VISIBLE = 0.5  # of a mask that objects of a higher score must leave, else it is the same object again
LEAST_SCORE = 0.005  # objects below have no mask: they are not worth their time


class _Window(NamedTuple):
    """Mask logits in the window around a box. left, top: of the window, in pixels of the input."""

    logits: Float[Tensor, "rows columns"]
    left: int
    top: int


class MaskCandidate(NamedTuple):
    """An object before overlaps are resolved. row: among the detections it comes from. mask: in the window of the
    picture whose first pixel is at (left, top)."""

    row: int
    score: float
    mask: Bool[Tensor, "rows columns"]
    left: int
    top: int


def add_masks(
    found: Detections, masks: MaskFeatures, index: int, placement: Placement, size: tuple[int, int]
) -> Detections:
    """The objects of one picture with their masks and the boxes around these, in its pixels, by descending score.

    Args:
        found: boxes in pixels of the input, with `queries`.
        masks: of the network, for a batch. index: of the picture in it.
        placement: from the pixels of the picture to those of the input.
        size: (height, width) of the picture.
    """
    return resolve_overlaps(found, mask_candidates(found, masks, index, placement, size), size)


def mask_candidates(
    found: Detections, masks: MaskFeatures, index: int, placement: Placement, size: tuple[int, int]
) -> list[MaskCandidate]:
    """The masks of the objects of one picture, which may overlap. Arguments as of `add_masks`.

    The score is multiplied by the mean probability of the mask's pixels, which tells good masks from bad ones
    (Mask2Former, Cheng et al. 2022, 3.3)."""
    assert found.queries is not None
    kept = (found.scores >= LEAST_SCORE).nonzero().flatten()
    windows = _windows(masks.pixels[index], masks.queries[index][found.queries[kept]], found.boxes[kept])
    quality = torch.stack([_quality(window.logits) for window in windows]).cpu() if windows else torch.zeros(0)
    scores = (found.scores[kept] * quality).tolist()
    result = []
    for i, score, window in zip(kept.tolist(), scores, windows, strict=True):
        drawn = _drawn(window, placement, size)
        if drawn is not None:
            result.append(MaskCandidate(i, score, *drawn))
    return result


def resolve_overlaps(found: Detections, some: Sequence[MaskCandidate], size: tuple[int, int]) -> Detections:
    """Detections without overlaps: a pixel belongs to the object of highest score whose mask holds it, and an object of
    which that leaves less than half is left out. size: (height, width) of the picture."""
    numbers, chosen, boxes = torch.zeros(size, dtype=torch.int16), list[MaskCandidate](), list[list[int]]()
    for each in sorted(some, key=lambda candidate: -candidate.score):
        rows, columns = each.mask.shape
        part = numbers[each.top : each.top + rows, each.left : each.left + columns]
        visible = each.mask & (part == 0)
        if visible.any() and visible.sum() >= VISIBLE * each.mask.sum():
            chosen.append(each)
            part[visible] = len(chosen)
            boxes.append(_around(visible, each.top, each.left))
    at = torch.tensor([each.row for each in chosen], dtype=torch.long)
    return replace(
        found if found.relations is None else _renumbered(found, at),
        boxes=torch.tensor(boxes, dtype=torch.float32).view(-1, 4),
        scores=torch.tensor([each.score for each in chosen]),
        labels=found.labels[at],
        queries=None if found.queries is None else found.queries[at],
        masks=tuple(encode_instance_map(numbers, len(chosen))),
    )


def _windows(
    pixels: Float[Tensor, "e y x"], queries: Float[Tensor, "n c"], boxes: Float[Tensor, "n 4"]
) -> list[_Window]:
    """The mask logits of each object around its box, objects of similar size at once."""
    height, width = pixels.shape[1:]
    centre, sides = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]).clamp(min=1e-6)
    reach = sides / 2 * AROUND + MARGIN
    most = torch.tensor([width, height])
    first = (centre - reach).floor().long().clamp(min=0)
    last = torch.minimum((centre + reach).ceil().long(), most)
    first, extent = torch.minimum(first, most - 1), (last - first).clamp(min=1)
    flat = pixels.flatten(1).T
    cxcywh = torch.cat([centre, sides], dim=1).to(pixels.device)
    result: list[_Window | None] = [None] * len(boxes)
    for part in _groups(extent):
        columns, rows = extent[part].amax(dim=0).tolist()
        y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
        places = first[part, None] + torch.stack([x, y], dim=-1).flatten(0, 1)  # (n p 2)
        index = (places[..., 1].clamp(max=height - 1) * width + places[..., 0].clamp(max=width - 1)).to(flat.device)
        offsets = box_offsets(places.to(flat) + 0.5, cxcywh[part])
        logits = mask_logits(queries[part], flat[index], offsets).unflatten(1, (rows, columns)).cpu()  # once for all
        for i, one in zip(part.tolist(), logits, strict=True):
            (left, top), (wide, high) = first[i].tolist(), extent[i].tolist()
            result[i] = _Window(one[:high, :wide], left, top)
    return [window for window in result if window is not None]


def _groups(extent: Int64[Tensor, "n 2"]) -> list[Int64[Tensor, "k"]]:
    """Indices of windows by size, so many at once that they have PIXELS together, padded to the largest."""
    groups, current, most = list[Tensor](), list[int](), torch.zeros(2, dtype=torch.long)
    for i in extent.prod(dim=1).argsort(stable=True).tolist():
        grown = torch.maximum(most, extent[i])
        if current and int(grown.prod()) * (len(current) + 1) > PIXELS:
            groups.append(torch.tensor(current))
            current, grown = [], extent[i]
        current.append(i)
        most = grown
    return [*groups, torch.tensor(current)] if current else groups


def _quality(logits: Float[Tensor, "rows columns"]) -> Float[Tensor, ""]:
    """Mean probability of the pixels inside; 0 where there is none."""
    inside = logits > 0
    return (logits.sigmoid() * inside).sum() / inside.sum().clamp(min=1)


def _drawn(
    window: _Window, placement: Placement, size: tuple[int, int]
) -> tuple[Bool[Tensor, "rows columns"], int, int] | None:
    """The mask of a window in the pixels of the picture, and its left and top; None if no pixel's centre lies in it.

    Logits are interpolated at the centres of the picture's pixels, so that an outline is as fine as the picture."""
    high, wide = window.logits.shape
    axes = []
    for start, count, scale, offset, side in (
        (window.left, wide, placement.scale_x, placement.offset_x, size[1]),
        (window.top, high, placement.scale_y, placement.offset_y, size[0]),
    ):
        first = max(0, math.ceil((start - offset) / scale - 0.5))  # first pixel whose centre is in the window
        last = min(side, math.floor((start + count - offset) / scale - 0.5) + 1)
        if last <= first:
            return None
        centres = (torch.arange(first, last, dtype=torch.float64) + 0.5) * scale + offset
        axes.append((first, ((centres - start) / count * 2 - 1).float()))
    (left, u), (top, v) = axes
    grid = torch.stack(torch.meshgrid(v, u, indexing="ij")[::-1], dim=-1)[None].to(window.logits.device)
    fine = F.grid_sample(window.logits[None, None], grid, padding_mode="border", align_corners=False)[0, 0]
    return (fine > 0).cpu(), left, top


def _around(mask: Bool[Tensor, "rows columns"], top: int, left: int) -> list[int]:
    """Left, top, right and bottom of a mask whose first pixel is at `top` and `left`."""
    y, x = (mask.any(dim=axis).nonzero() for axis in (1, 0))
    return [left + int(x[0]), top + int(y[0]), left + int(x[-1]) + 1, top + int(y[-1]) + 1]


def _renumbered(found: Detections, kept: Int64[Tensor, "k"]) -> Detections:
    """Relations between the objects at the indices `kept`, with their new indices."""
    assert found.relations is not None
    assert found.relation_scores is not None
    place = torch.full((len(found.boxes),), -1)
    place[kept] = torch.arange(len(kept))
    ends = place[found.relations[:, [0, 2]]]
    both = (ends >= 0).all(dim=1)
    relations = torch.stack([ends[:, 0], found.relations[:, 1], ends[:, 1]], dim=1)
    return replace(found, relations=relations[both], relation_scores=found.relation_scores[both])
