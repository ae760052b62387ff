"""Masks as run lengths, as COCO's files hold them: small, exact, and read by every COCO tool; and their outlines along
the edges of pixels, which filled are the mask again."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Int16
from torch import Tensor

RunLengths = dict[str, Any]  # {"size": [height, width], "counts": compressed text}
Ring = list[tuple[int, int]]  # corners (x, y) of a closed line, the last one joined to the first


def encode_rle(mask: Bool[Tensor, "y x"]) -> RunLengths:
    """The run lengths of one mask."""
    return _readable(_coder().encode(np.asfortranarray(mask.cpu().numpy(), np.uint8)))


def decode_rle(lengths: RunLengths) -> Bool[Tensor, "y x"]:
    """The mask of run lengths."""
    return torch.from_numpy(np.ascontiguousarray(_coder().decode(lengths))).bool()


def area(lengths: RunLengths) -> int:
    """Number of pixels."""
    return int(_coder().area(lengths))


def encode_instance_map(numbers: Int16[Tensor, "y x"], count: int) -> list[RunLengths]:
    """The run lengths of `count` objects that do not overlap; the pixels of object i are i + 1, of none 0. The time is
    that of one pass, however many objects there are."""
    coder = _coder()
    height, width = numbers.shape
    flat = np.concatenate([[0], numbers.cpu().numpy().T.reshape(-1), [0]])  # column by column
    ends = np.flatnonzero(flat[1:] != flat[:-1])  # where a run begins, and the one before ends
    owner, start, stop = flat[1:][ends[:-1]], ends[:-1], ends[1:]
    order = np.argsort(owner, kind="stable")
    owner, start, stop = owner[order], start[order], stop[order]
    first = np.searchsorted(owner, np.arange(1, count + 2))
    found = []
    for i in range(count):
        runs = np.stack([start[first[i] : first[i + 1]], stop[first[i] : first[i + 1]]], axis=1).reshape(-1)
        counts = np.diff(np.concatenate([[0], runs, [height * width]])).tolist()
        counts = counts if counts[-1] else counts[:-1]  # it ends at the last pixel
        found.append(_readable(coder.frPyObjects({"size": [height, width], "counts": counts}, height, width)))
    return found


def decode_instance_map(masks: Sequence[RunLengths], size: tuple[int, int]) -> Int16[Tensor, "y x"]:
    """The number of the object at every pixel, from 1 in the order of the masks, and 0 where there is none. size:
    (height, width), for no masks."""
    numbers = torch.zeros(size, dtype=torch.int16)
    for number, mask in enumerate(masks, start=1):
        numbers[decode_rle(mask)] = number
    return numbers


def _coder() -> Any:
    from faster_coco_eval.core import mask  # slow to import, and needed for masks only

    return mask


def _readable(lengths: dict[str, Any]) -> RunLengths:
    counts = lengths["counts"]
    return {
        "size": [int(side) for side in lengths["size"]],
        "counts": counts if isinstance(counts, str) else counts.decode("ascii"),
    }


def rle_to_polygons(lengths: RunLengths) -> list[Ring]:
    """The rings around a mask, in corners of pixels: the first pixel of a row covers 0 to 1.

    Outer rings run clockwise on the screen, those around holes the other way. Pixels that touch at a corner only are
    apart, so that no ring crosses itself."""
    return mask_to_polygons(decode_rle(lengths))


def mask_to_polygons(mask: Bool[Tensor, "y x"]) -> list[Ring]:
    """`rle_to_polygons` of a mask of pixels."""
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
