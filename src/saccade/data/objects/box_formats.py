"""What the four numbers of the boxes of a set mean, found from the set as a whole.

Formats define it, and tools write otherwise: corners for left, top, width, height, and the reverse; shares of the sides
for pixels. A reading other than the format's is taken only where the set contradicts the format's, and agrees with
exactly one other.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from saccade.data.objects.annotations import AnnotatedPicture, Annotations
from saccade.data.objects.outlines import outline_box, scale_outline

Boxes = Float[np.ndarray, "n 4"]

# What each form of four numbers means as left, top, right, bottom; and the form of the formats, corners for others.
FORMS: dict[str, Callable[[Boxes], Boxes]] = {
    "left, top, right, bottom": lambda v: v,
    "left, top, width, height": lambda v: np.concatenate([v[:, :2], v[:, :2] + v[:, 2:]], axis=1),
    "centre x, centre y, width, height": lambda v: np.concatenate(
        [v[:, :2] - v[:, 2:] / 2, v[:, :2] + v[:, 2:] / 2], axis=1
    ),
}
CORNERS, SIZED, CENTRED = FORMS
SWAPPED = "corners in the wrong order (xmin > xmax or ymin > ymax)"
# Units of the numbers beside that of the format, in parts of a side.
UNITS = {"": 0.0, "percent of the sides": 100.0, "thousandths of the sides": 1000.0}
FORMAT_FORMS = {"COCO": SIZED, "YOLO": CENTRED, "CSV of boxes (global wheat)": SIZED}

SAMPLE = 2000  # objects whose outlines are compared with their boxes
NEAR_PIXELS, NEAR_SHARE = 2.0, 0.1  # how far the edges of a box may lie from those of its outline
BEYOND_PIXELS, BEYOND_SHARE = 2.0, 0.05  # how far a box may reach beyond its picture
LEAST, BEYOND_LEAST = 3, 0.1  # boxes, and their share, that must contradict the format
AGREE, AGREE_OWN = 0.9, 0.6  # shares that must agree with another reading, and may with that of the format


@dataclass(frozen=True)
class RawBoxes:
    """The boxes of a set as numbers.

    Attributes:
        form: of the format.
        written: the four numbers of each box. Boxes that are not finite are left out.
        sizes: width and height of their pictures in the unit of the boxes, NaN if unknown.
        areas: that the annotations state, NaN if they do not.
        outlined: indices of some boxes with an outline. outlines: the boxes around these.
    """

    form: str
    written: Boxes
    sizes: Float[np.ndarray, "n 2"]
    areas: Float[np.ndarray, "n"]
    outlined: np.ndarray
    outlines: Float[np.ndarray, "m 4"]

    def boxes(self, form: str, unit: str = "") -> Boxes:
        boxes = FORMS[form](self.written)
        return boxes if not unit else boxes * np.tile(self.sizes / UNITS[unit], 2)

    def readings(self) -> list["BoxFormat"]:
        """All that may be meant; that of the format first."""
        forms = sorted(FORMS, key=lambda form: form != self.form)
        scaled = bool(len(self.sizes) and np.isfinite(self.sizes).all() and (self.sizes > 1).all())
        return [BoxFormat(form, unit) for unit in UNITS for form in forms if not unit or scaled]


class BoxFormat(NamedTuple):
    """form: of FORMS. unit: of UNITS."""

    form: str
    unit: str = ""

    def __str__(self) -> str:
        return f"{self.form} in {self.unit}" if self.unit else self.form


def collect_boxes(annotations: Annotations) -> RawBoxes:
    """The numbers of a set, without the boxes that were drawn around outlines for want of others."""
    form = FORMAT_FORMS.get(annotations.format, CORNERS)
    drawn = annotations.format == "YOLO"  # where an object with an outline has no box of its own
    pairs = [
        (picture, each)
        for picture in annotations.pictures
        for each in picture.objects
        if not (drawn and each.shape is not None)
    ]
    boxes = np.array([each.box for _, each in pairs], dtype=np.float64).reshape(-1, 4)
    finite = np.flatnonzero(np.isfinite(boxes).all(axis=1))
    pairs = [pairs[i] for i in finite]
    sizes = [(1, 1) if annotations.normalized else (picture.size or (np.nan, np.nan))[::-1] for picture, _ in pairs]
    outlined = [i for i, (_, each) in enumerate(pairs) if each.shape is not None]
    outlined = outlined[:: max(1, len(outlined) // SAMPLE)]
    around = [outline_box(pairs[i][1].shape) for i in outlined]  # type: ignore[arg-type]
    return RawBoxes(
        form,
        _written(boxes[finite], form),
        np.array(sizes, dtype=np.float64).reshape(-1, 2),
        np.array([np.nan if each.area is None else each.area for _, each in pairs]),
        np.array([i for i, box in zip(outlined, around, strict=True) if box is not None], dtype=np.int64),
        np.array([box for box in around if box is not None], dtype=np.float64).reshape(-1, 4),
    )


def detect_box_format(found: RawBoxes) -> tuple[BoxFormat | None, str]:
    """What the set agrees with if it contradicts the format, and how that is known; None where it does not, or where no
    one reading explains it, with a text if it contradicts the format in most boxes."""
    if len(found.outlined):
        return _best(found, _agree_with_outlines, "lie around the outlines")
    reading, why = _by_pictures(found)
    if reading is None and not why:
        reading, why = _best(found, _agree_with_areas, "have the areas that are stated")
    return reading, why


def _best(found: RawBoxes, agree: Callable[[RawBoxes, BoxFormat], float], what: str) -> tuple[BoxFormat | None, str]:
    own, *others = found.readings()
    share = agree(found, own)
    if share > AGREE_OWN:
        return None, ""
    best = max(others, key=lambda reading: agree(found, reading))
    if agree(found, best) < AGREE:
        return None, ""
    return best, f"so {agree(found, best):.0%} of those that can be compared {what}, and otherwise {share:.0%}"


def _agree_with_outlines(found: RawBoxes, reading: BoxFormat) -> float:
    """Share of the outlines that the boxes lie around."""
    boxes, sides = found.boxes(*reading)[found.outlined], np.tile(found.outlines[:, 2:] - found.outlines[:, :2], 2)
    unit = np.nan_to_num(np.tile(found.sizes[found.outlined], 2), nan=2.0)
    slack = np.maximum(np.where(unit == 1, 0.01, NEAR_PIXELS), NEAR_SHARE * sides)
    return float((np.abs(boxes - found.outlines) <= slack).all(axis=1).mean())


def _agree_with_areas(found: RawBoxes, reading: BoxFormat) -> float:
    """Share of the stated areas that are those of the boxes. Areas of masks are smaller, and agree with no reading;
    widths and heights say nothing on places."""
    known = np.isfinite(found.areas) & (found.areas > 0)
    if known.sum() < LEAST or (reading.form == CENTRED) != (found.form == CENTRED):
        return 0.0
    boxes = found.boxes(*reading)[known]
    area = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return float((np.abs(area - found.areas[known]) <= 0.02 * found.areas[known] + 1).mean())


def _by_pictures(found: RawBoxes) -> tuple[BoxFormat | None, str]:
    known = np.isfinite(found.sizes).all(axis=1)
    wrong = {form: _beyond(found.boxes(form), found.sizes)[known] for form in FORMS}
    count, share = int(wrong[found.form].sum()), float(wrong[found.form].mean()) if known.any() else 0.0
    fitting = [form for form in FORMS if form != found.form and not wrong[form].any()]
    if count < LEAST or share < BEYOND_LEAST or not fitting:
        return None, ""
    if _may_be_swapped(found):
        fitting.append(SWAPPED)
    if len(fitting) == 1:
        return BoxFormat(
            fitting[0]
        ), f"so all lie in their pictures, and otherwise {count} of {int(known.sum())} do not"
    text = f"{count} of {int(known.sum())} boxes do not lie in their pictures as {found.form}, and all do as "
    return None, (text + " and as ".join(fitting)) if share >= 0.5 or SWAPPED in fitting else ""


def _may_be_swapped(found: RawBoxes) -> bool:
    """Whether boxes of corners that end before they begin may have these the wrong way round: all such boxes in the
    same directions, as a tool writes them, where widths and heights are below left and top in some and not in
    others."""
    low, high = found.written[:, :2], found.written[:, 2:]
    inverted = high < low
    patterns = np.unique(inverted[inverted.any(axis=1)], axis=0)
    ordered = np.concatenate([np.minimum(low, high), np.maximum(low, high)], axis=1)
    return found.form == CORNERS and len(patterns) == 1 and not _beyond(ordered, found.sizes).any()


def _beyond(boxes: Boxes, sizes: Float[np.ndarray, "n 2"]) -> Bool[np.ndarray, "n"]:
    """Whether boxes end before they begin, or reach far beyond their pictures."""
    slack = np.where(sizes == 1, BEYOND_SHARE, np.maximum(BEYOND_PIXELS, BEYOND_SHARE * sizes))
    wrong = (boxes[:, 2:] < boxes[:, :2]) | (boxes[:, :2] < -slack) | (boxes[:, 2:] > sizes + slack)
    return np.asarray(wrong.any(axis=1))


def _written(boxes: Boxes, form: str) -> Boxes:
    """The inverse of FORMS."""
    low, high = boxes[:, :2], boxes[:, 2:]
    if form == CORNERS:
        return boxes
    return np.concatenate([low if form == SIZED else (low + high) / 2, high - low], axis=1)


def reinterpret_boxes(annotations: Annotations, reading: BoxFormat) -> None:
    """Read all boxes otherwise than the format defines."""
    own = FORMAT_FORMS.get(annotations.format, CORNERS)
    drawn = annotations.format == "YOLO"
    for picture in annotations.pictures:
        rows = [i for i, each in enumerate(picture.objects) if not (drawn and each.shape is not None)]
        if rows:
            written = _written(np.array([picture.objects[i].box for i in rows], dtype=np.float64), own)
            boxes = FORMS[reading.form](written)
            if reading.unit and picture.size is not None:
                boxes = boxes * np.array(picture.size[::-1] * 2) / UNITS[reading.unit]
            for i, box in zip(rows, boxes.tolist(), strict=True):
                picture.objects[i] = replace(picture.objects[i], box=tuple(box))


def shares_to_pixels(picture: AnnotatedPicture, boxes: bool, outlines: bool) -> None:
    """Multiply the boxes or the outlines of a picture of known size by it."""
    assert picture.size is not None
    height, width = picture.size
    for i, each in enumerate(picture.objects):
        left, top, right, bottom = each.box
        box = (left * width, top * height, right * width, bottom * height) if boxes else each.box
        area = each.area * width * height if boxes and each.area is not None and each.area <= 1 else each.area
        shape = each.shape if each.shape is None or not outlines else scale_outline(each.shape, width, height)
        picture.objects[i] = replace(each, box=box, shape=shape, area=area)
