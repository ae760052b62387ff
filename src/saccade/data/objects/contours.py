"""Outlines of masks along the edges of their pixels: filled, they are the mask again."""

import numpy as np
from jaxtyping import Bool
from torch import Tensor

from saccade.data.objects.run_lengths import RunLengths, decode

Ring = list[tuple[int, int]]  # corners (x, y) of a closed line, the last one joined to the first


def outline(lengths: RunLengths) -> list[Ring]:
    """The rings around a mask, in corners of pixels: the first pixel of a row covers 0 to 1.

    Outer rings run clockwise on the screen, those around holes the other way. Pixels that touch at a corner only are
    apart, so that no ring crosses itself."""
    return rings(decode(lengths))


def rings(mask: Bool[Tensor, "y x"]) -> list[Ring]:
    """`outline` of a mask of pixels."""
    rows, columns = (mask.any(dim=axis).nonzero().flatten() for axis in (1, 0))
    if not len(rows):
        return []
    top, left = int(rows[0]), int(columns[0])
    edges = _edges(np.pad(mask[top : int(rows[-1]) + 1, left : int(columns[-1]) + 1].numpy(), 1))
    found, remaining = list[Ring](), set(edges)
    for first in edges:
        if first not in remaining:
            continue
        ring, edge = Ring(), first
        while edge in remaining:
            remaining.remove(edge)
            x, y, across, down = edge
            end = (x + across, y + down)
            turns = ((*end, -down, across), (*end, across, down), (*end, down, -across))  # right, straight on, left
            edge = next(turn for turn in turns if turn in edges)
            if edge != turns[1]:
                ring.append((end[0] + left - 1, end[1] + top - 1))
        found.append(ring)
    return found


def _edges(inside: Bool[np.ndarray, "y x"]) -> dict[tuple[int, int, int, int], None]:
    """Sides of pixels between inside and outside, in order: the corner where each begins, (x, y), and its direction,
    with the inside on its right. inside: False at the border."""
    found: dict[tuple[int, int, int, int], None] = {}
    for axis, shift, corner, step in (
        (0, 1, (0, 0), (1, 0)),  # the upper sides of pixels, from left to right
        (1, -1, (1, 0), (0, 1)),  # the right sides, downwards
        (0, -1, (1, 1), (-1, 0)),
        (1, 1, (0, 1), (0, -1)),
    ):
        y, x = (inside & ~np.roll(inside, shift, axis)).nonzero()
        found |= dict.fromkeys(
            (a + corner[0], b + corner[1], *step) for a, b in zip(x.tolist(), y.tolist(), strict=True)
        )
    return found
