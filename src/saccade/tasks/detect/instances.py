"""Masks of detected objects, in the pixels of their picture."""

from dataclasses import replace
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from saccade.data.objects.run_lengths import encode_numbers
from saccade.data.placement import Placement
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


def add_masks(
    found: Detections, masks: MaskFeatures, index: int, placement: Placement, size: tuple[int, int]
) -> Detections:
    """The objects of one picture with their masks and the boxes around these, in its pixels, by descending score.

    The score is multiplied by the mean probability of the mask's pixels, which tells good masks from bad ones
    (Mask2Former, Cheng et al. 2022, 3.3). A pixel belongs to the object of highest score whose mask holds it, so no
    two masks overlap; an object of which less than half is left is left out.

    Args:
        found: boxes in pixels of the input, with `queries`.
        masks: of the network, for a batch. index: of the picture in it.
        placement: from the pixels of the picture to those of the input.
        size: (height, width) of the picture.
    """
    assert found.queries is not None
    kept = (found.scores >= LEAST_SCORE).nonzero().flatten()
    windows = _windows(masks.pixels[index], masks.queries[index][found.queries[kept]], found.boxes[kept])
    quality = torch.stack([_quality(window.logits) for window in windows]).cpu() if windows else torch.zeros(0)
    scores = found.scores[kept] * quality
    order = scores.argsort(descending=True, stable=True)
    numbers, chosen, boxes = torch.zeros(size, dtype=torch.int16), list[int](), list[list[int]]()
    for i in order.tolist():
        drawn = _drawn(windows[i], placement, size)
        if drawn is None:
            continue
        inside, (rows, columns) = drawn
        part = numbers[rows, columns]
        visible = inside & (part == 0)
        if visible.any() and visible.sum() >= VISIBLE * inside.sum():
            chosen.append(i)
            part[visible] = len(chosen)
            boxes.append(_around(visible, rows.start, columns.start))
    at = kept[chosen]
    return replace(
        found if found.relations is None else _renumbered(found, at),
        boxes=torch.tensor(boxes, dtype=torch.float32).view(-1, 4),
        scores=scores[chosen],
        labels=found.labels[at],
        queries=found.queries[at],
        masks=tuple(encode_numbers(numbers, len(chosen))),
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
        logits = mask_logits(queries[part], flat[index], offsets).unflatten(1, (rows, columns))
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


def _drawn(window: _Window, placement: Placement, size: tuple[int, int]) -> tuple[Tensor, tuple[slice, slice]] | None:
    """The mask of a window in the pixels of the picture, and where; None if no pixel's centre lies in it.

    Logits are interpolated at the centres of the picture's pixels, so that an outline is as fine as the picture."""
    high, wide = window.logits.shape
    axes = []
    for start, count, scale, offset, side in (
        (window.top, high, placement.scale_y, placement.offset_y, size[0]),
        (window.left, wide, placement.scale_x, placement.offset_x, size[1]),
    ):
        first = max(0, -int(-((start - offset) / scale - 0.5) // 1))  # first pixel whose centre is in the window
        last = min(side, int(((start + count - offset) / scale - 0.5) // 1) + 1)
        if last <= first:
            return None
        centres = (torch.arange(first, last, dtype=torch.float64) + 0.5) * scale + offset
        axes.append((first, last, ((centres - start) / count * 2 - 1).float()))
    (top, bottom, v), (left, right, u) = axes
    grid = torch.stack(torch.meshgrid(v, u, indexing="ij")[::-1], dim=-1)[None].to(window.logits.device)
    fine = F.grid_sample(window.logits[None, None], grid, padding_mode="border", align_corners=False)[0, 0]
    return (fine > 0).cpu(), (slice(top, bottom), slice(left, right))


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
