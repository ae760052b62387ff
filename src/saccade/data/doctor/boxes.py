"""What is wrong with the boxes of a picture, whatever their format."""

import numpy as np

from saccade.data.objects.annotations import MIN_SIDE, ROUNDING, AnnotatedPicture, BoxCheck, check_box

TINY = 3.0  # pixels
SAME = 0.95  # overlap (IoU) from which two boxes of a class are taken for one


def verdicts(picture: AnnotatedPicture, size: tuple[int, int] | None, unit: bool) -> list[tuple[str, BoxCheck]]:
    """A kind of finding, "" for none, and the verdict on each object. size: of the annotated pixels, where known."""
    judged = [check_box(each.box, picture.size or size, unit) for each in picture.objects]
    kinds = [each.kind or ("box beyond" if each.outside > ROUNDING[unit] else "") for each in judged]
    for i in repeated(picture, judged):
        kinds[i] = "box repeated"
    if size is not None:
        scale = (size[1], size[0]) if unit else (1, 1)
        for i, each in enumerate(judged):
            sides = ((each.box[2] - each.box[0]) * scale[0], (each.box[3] - each.box[1]) * scale[1])
            if not kinds[i] and MIN_SIDE[False] <= min(sides) < TINY:
                kinds[i] = "box tiny"
    return list(zip(kinds, judged, strict=True))


def repeated(picture: AnnotatedPicture, judged: list[BoxCheck]) -> list[int]:
    """Indices of objects whose box another one of the same class before them has, too."""
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
