"""Check COCO's segmentations by their numbers, without drawing them."""

import math
from collections.abc import Sequence

from saccade.data.files import escape
from saccade.data.objects.annotations import number

MOST = 1 << 31  # upper limit of rows, columns and pixels


def segmentation_error(shape: object, size: tuple[int, int] | None) -> str:
    """What is wrong with a segmentation, "" for nothing. size: (height, width) of its picture, if known."""
    if shape is None:
        return ""
    if isinstance(shape, list):
        return _polygons(shape)
    if not isinstance(shape, dict):
        return f"its segmentation is {escape(shape)}; polygons or run lengths expected"
    own, counts = shape.get("size"), shape.get("counts")
    if not isinstance(own, list) or len(own) != 2 or not all(type(each) is int and 0 < each < MOST for each in own):
        return f"its run lengths are of size {escape(own)}; [rows, columns] expected"
    if size is not None and own != list(size):
        return f"its run lengths are of {own[1]} x {own[0]} pixels, its picture has {size[1]} x {size[0]}"
    runs = decode_counts(counts) if isinstance(counts, str) else counts
    if not isinstance(runs, list) or not all(type(each) is int and 0 <= each < MOST for each in runs):
        return "its run lengths cannot be read"
    if sum(runs) != own[0] * own[1]:
        return f"its run lengths are of {sum(runs)} pixels in all; {own[1]} x {own[0]} expected"
    return ""


def _polygons(shape: Sequence[object]) -> str:
    for part in shape:
        if not isinstance(part, list) or len(part) < 6 or len(part) % 2:
            return "its segmentation is not a list of polygons [x, y, x, y, ...] of three corners or more"
        if not all(math.isfinite(value if type(value) is float else number(value)) for value in part):
            return "a corner of its segmentation is not a finite number"
    return ""


def decode_counts(text: str) -> list[int] | None:
    """Decode COCO's compressed run lengths; None if invalid.

    Numbers are groups of 5 bits, least significant first, in characters from 48 on; bit 6 is set if more groups follow,
    and the highest bit of the last group is the sign. From the fourth number on, values are differences to the number
    two before (COCO API, maskApi.c, rleFrString)."""
    runs: list[int] = []
    value = shift = 0
    for character in text:
        group = ord(character) - 48
        if not 0 <= group < 64 or shift > 60:
            return None
        value |= (group & 31) << shift
        shift += 5
        if group & 32:
            continue
        if group & 16:
            value -= 1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
        value = shift = 0
    return None if shift else runs
