"""Checks of the boxes of a picture."""

import numpy as np

from saccade.data.objects.annotations import MIN_SIDE, ROUNDING, AnnotatedPicture, BoxCheck, check_box

TINY = 3.0  # pixels
SAME = 0.95  # IoU from which two boxes of a class count as duplicates


def verdicts(picture: AnnotatedPicture, size: tuple[int, int] | None, normalized: bool) -> list[tuple[str, BoxCheck]]:
    """A kind of finding, "" for none, and the box check for each object. size: of the annotated pixels, if known."""
    judged = [check_box(each.box, picture.size or size, normalized) for each in picture.objects]
    kinds = [each.kind or ("box beyond" if each.outside > ROUNDING[normalized] else "") for each in judged]
    for i in repeated(picture, judged):
        kinds[i] = "box repeated"
    if size is not None:
        scale = (size[1], size[0]) if normalized else (1, 1)
        for i, each in enumerate(judged):
            sides = ((each.box[2] - each.box[0]) * scale[0], (each.box[3] - each.box[1]) * scale[1])
            if not kinds[i] and MIN_SIDE[False] <= min(sides) < TINY:
                kinds[i] = "box tiny"
    return list(zip(kinds, judged, strict=True))


def repeated(picture: AnnotatedPicture, judged: list[BoxCheck]) -> list[int]:
    """Indices of objects whose box duplicates that of an earlier object of the same class."""
    sound = [i for i, each in enumerate(judged) if not each.kind]
    if len(sound) < 2:
        return []
    boxes = np.array([judged[i].box for i in sound])
    labels = np.array([picture.objects[i].label for i in sound])
    low, high = np.maximum(boxes[:, None, :2], boxes[None, :, :2]), np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    both = (high - low).clip(min=0).prod(-1)
    area = (boxes[:, 2:] - boxes[:, :2]).prod(-1)
    overlap = both / (area[:, None] + area[None] - both)
    again = np.tril((overlap >= SAME) & (labels[:, None] == labels[None]), k=-1).any(1)
    return [sound[i] for i in np.flatnonzero(again)]
