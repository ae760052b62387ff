"""Checks of the boxes of a picture."""

import math
from collections.abc import Iterator

from saccade.data.objects.annotations import MIN_SIDE, ROUNDING, AnnotatedPicture, Box, BoxCheck, check_box

TINY = 3.0  # pixels
SAME = 0.95  # IoU from which two boxes of a class count as duplicates

STEP = -2 * math.log(SAME)  # of the logarithm of a side, between cells
SHIFT = 0.07  # how far the edges of duplicates lie apart at most, in sides of a neighbouring cell
CELL = 0.3  # side of a cell in sides of its boxes


def check_picture_boxes(
    picture: AnnotatedPicture, size: tuple[int, int] | None, normalized: bool
) -> list[tuple[str, BoxCheck]]:
    """A kind of finding, "" for none, and the box check for each object. size: of the annotated pixels, if known."""
    judged = [check_box(each.box, picture.size or size, normalized) for each in picture.objects]
    kinds = [each.kind or ("box beyond" if each.outside > ROUNDING[normalized] else "") for each in judged]
    for i in find_duplicate_boxes(picture, judged):
        kinds[i] = "box repeated"
    if size is not None:
        scale = (size[1], size[0]) if normalized else (1, 1)
        for i, each in enumerate(judged):
            sides = ((each.box[2] - each.box[0]) * scale[0], (each.box[3] - each.box[1]) * scale[1])
            if not kinds[i] and MIN_SIDE[False] <= min(sides) < TINY:
                kinds[i] = "box tiny"
    return list(zip(kinds, judged, strict=True))


def find_duplicate_boxes(picture: AnnotatedPicture, judged: list[BoxCheck]) -> list[int]:
    """Indices of objects whose box duplicates that of an earlier object of the same class, which is none itself.

    Boxes are kept in cells by class, size and place, each relative to the size, so that only boxes of neighbouring
    cells are compared: the time grows with the number of boxes, and not with its square."""
    sizes: dict[tuple[int, int, int], dict[tuple, list[Box]]] = {}  # class, steps of width and height -> cell -> boxes
    again = []
    for i, (each, check) in enumerate(zip(picture.objects, judged, strict=True)):
        if check.kind:
            continue
        box, (across, down) = check.box, _size_steps(check.box)
        near = [(each.label, across + x, down + y) for x in (-1, 0, 1) for y in (-1, 0, 1)]
        if any(_iou(box, other) >= SAME for key in near if key in sizes for other in _around(sizes[key], key, box)):
            again.append(i)
        else:
            key = near[4]
            cell = tuple(value // CELL for value in _place(key, box))
            sizes.setdefault(key, {}).setdefault(cell, []).append(box)
    return again


def _size_steps(box: Box) -> tuple[int, int]:
    """Width and height in steps of a ratio; duplicates differ by half a step at most."""
    left, top, right, bottom = box
    return math.floor(math.log(right - left) / STEP), math.floor(math.log(bottom - top) / STEP)


def _place(key: tuple[int, int, int], box: Box) -> tuple[float, float]:
    """Left and top in sides of the boxes of a size."""
    return box[0] / math.exp(key[1] * STEP), box[1] / math.exp(key[2] * STEP)


def _around(cells: dict[tuple, list[Box]], key: tuple[int, int, int], box: Box) -> Iterator[Box]:
    """The boxes of one size that may be duplicates of a box."""
    x, y = _place(key, box)
    for column in {(x - SHIFT) // CELL, (x + SHIFT) // CELL}:
        for row in {(y - SHIFT) // CELL, (y + SHIFT) // CELL}:
            yield from cells.get((column, row), ())


def _iou(a: Box, b: Box) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    both = max(0.0, width) * max(0.0, height)
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)
