"""Masks as run lengths, as COCO's files hold them: small, exact, and read by every COCO tool."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Int16
from torch import Tensor

RunLengths = dict[str, Any]  # {"size": [height, width], "counts": compressed text}


def encode(mask: Bool[Tensor, "y x"]) -> RunLengths:
    """The run lengths of one mask."""
    return _readable(_coder().encode(np.asfortranarray(mask.cpu().numpy(), np.uint8)))


def decode(lengths: RunLengths) -> Bool[Tensor, "y x"]:
    """The mask of run lengths."""
    return torch.from_numpy(np.ascontiguousarray(_coder().decode(lengths))).bool()


def area(lengths: RunLengths) -> int:
    """Number of pixels."""
    return int(_coder().area(lengths))


def encode_numbers(numbers: Int16[Tensor, "y x"], count: int) -> list[RunLengths]:
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


def decode_numbers(masks: Sequence[RunLengths], size: tuple[int, int]) -> Int16[Tensor, "y x"]:
    """The number of the object at every pixel, from 1 in the order of the masks, and 0 where there is none. size:
    (height, width), for no masks."""
    numbers = torch.zeros(size, dtype=torch.int16)
    for number, mask in enumerate(masks, start=1):
        numbers[decode(mask)] = number
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
