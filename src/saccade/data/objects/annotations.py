"""Parsed annotations, as written in the files: one form for all formats, with checks but without repairs.

The readers of COCO, VOC and YOLO produce it; data sets for training and the doctor use it.
"""

import math
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from saccade.data.dataset import ParsedSet
from saccade.data.files import escape
from saccade.errors import DataError, shorten_list

Box = tuple[float, float, float, float]

# {normalized: value}, in pixels or as a fraction of the side: a shorter side counts as empty, and coordinates less far
# outside the picture are rounding errors.
MIN_SIDE = {False: 1e-3, True: 1e-6}
ROUNDING = {False: 0.01, True: 1e-4}


@dataclass(frozen=True)
class PolygonWithHoles:
    """A polygon with holes, each [x, y, x, y, ...]."""

    exterior: list[float]
    interiors: list[list[float]]


Outline = Sequence[list[float] | PolygonWithHoles] | dict[str, Any]  # see `data/objects/outlines.py`


@dataclass(frozen=True)
class AnnotatedObject:
    """where: place in the annotation file ("object 3", "line 2", "annotation 17"). box: left, top, right, bottom,
    continuous (pixel 0 covers 0 to 1), in pixels of the annotated picture or normalized to 0..1
    (`Annotations.normalized`). label: class index. shape: its `Outline`, if it has one. row: place as an index from 0.
    area: in pixels, as the annotation states it (COCO). fault: what is wrong with the parts of its segmentation that
    `shape` is without."""

    where: str
    box: Box
    label: int
    crowd: bool = False
    id: int | None = None
    shape: Outline | None = None
    row: int = 0
    area: float | None = None
    fault: str = ""


@dataclass
class AnnotatedPicture:
    """name: file in the store. where: annotation file, "" if there is none. size: (height, width) in the annotation.
    relations: (index of an object, relation, index of an object). row: index among the pictures of the annotation
    file."""

    name: str
    where: str
    objects: list[AnnotatedObject] = field(default_factory=list)
    size: tuple[int, int] | None = None
    relations: list[tuple[int, int, int]] = field(default_factory=list)
    row: int = 0


@dataclass
class Annotations(ParsedSet[AnnotatedPicture]):
    """Of objects. normalized: boxes are in 0..1, not in pixels. reread: boxes or outlines were read otherwise than the
    format defines (`data/objects/plausibility.py`)."""

    relations: list[str] = field(default_factory=list)
    normalized: bool = False
    reread: bool = False


@dataclass(frozen=True)
class BoxCheck:
    """Result of checking a box. kind, text: what is wrong, "" if it is valid. box: clipped to the picture. outside: by
    how much it extended beyond the picture."""

    kind: str
    text: str
    box: Box
    outside: float = 0.0


def check_box(box: Box, size: tuple[int, int] | None, normalized: bool) -> BoxCheck:
    """Check a box as it is written. size: (height, width) of the picture, if known; not used for normalized boxes."""
    left, top, right, bottom = box
    if not all(map(math.isfinite, box)):
        return BoxCheck("box not finite", f"its box {_format_box(box)} has a coordinate that is not finite", box)
    if right < left or bottom < top:
        text = f"its box {_format_box(box)} ends before it begins; left < right and top < bottom expected"
        return BoxCheck("box inverted", text, box)
    if right - left < MIN_SIDE[normalized] or bottom - top < MIN_SIDE[normalized]:
        side = "width" if right - left < MIN_SIDE[normalized] else "height"
        return BoxCheck("box empty", f"its box {_format_box(box)} has no {side}", box)
    if size is None and not normalized:
        return BoxCheck("", "", box)
    height, width = (1.0, 1.0) if normalized or size is None else size
    if left >= 0 and top >= 0 and right <= width and bottom <= height:
        return BoxCheck("", "", box)
    cut = (max(0.0, left), max(0.0, top), min(float(width), right), min(float(height), bottom))
    if min(cut[2] - cut[0], cut[3] - cut[1]) < MIN_SIDE[normalized]:
        whole = "0 to 1" if normalized else f"{width} x {height} pixels"
        return BoxCheck("box outside", f"its box {_format_box(box)} lies outside the picture ({whole})", box)
    return BoxCheck("", "", cut, max(-left, -top, right - width, bottom - height))


def _format_box(box: Box) -> str:
    return f"({', '.join(f'{value:g}' for value in box)})"


def check_boxes(annotations: Annotations) -> Iterator[tuple[AnnotatedPicture, list[BoxCheck]]]:
    """All pictures, with the check of each of their boxes."""
    for picture in annotations.pictures:
        yield picture, [check_box(each.box, picture.size, annotations.normalized) for each in picture.objects]


def to_float(value: object) -> float:
    """Convert to float; NaN, which `check_box` refuses, for anything that is not a number."""
    if type(value) not in (int, float, str):  # bool is excluded
        return math.nan
    try:
        return float(value)  # type: ignore[arg-type]
    except (ValueError, OverflowError):
        return math.nan


def resolve_classes(
    found: Sequence[str], expected: Sequence[str] | None, where: str, what: str = "classes"
) -> list[str]:
    """The classes (or `what`) to use: `expected` if given, of which the set may use a subset, else those found.

    Raises DataError for names that are not expected, and for those that `check_names` refuses."""
    check_names(found, where, what)
    if expected is None:
        return list(found)
    known = set(expected)
    extra = [name for name in found if name not in known]
    if extra:
        raise DataError(
            f"{where} has the {what} {shorten_list(map(escape, extra), 9)}, which are not among the expected "
            f"({shorten_list(map(escape, expected), 9) or 'none'})"
        )
    return list(expected)


def check_names(names: Sequence[str], where: str, what: str = "classes") -> None:
    """Raises DataError for names that cannot be saved with a model: empty, repeated, or with control characters."""
    seen: set[str] = set()
    for i, name in enumerate(names):
        if not name:
            raise DataError(f"{where}: the name of number {i} of its {what} is empty; a name each expected")
        if any(unicodedata.category(character) in ("Cc", "Cs") for character in name):
            raise DataError(
                f"{where}: among its {what} is {name!a:.80}, which has characters that cannot be printed; rename it"
            )
        if name in seen:
            raise DataError(f"{where} names '{escape(name)}' twice among its {what}; one name each expected")
        seen.add(name)


def resolve_relations(annotations: Annotations, expected: Sequence[str]) -> None:
    """Make relations index the names `expected`, of which the set may use a subset. Raises DataError if it has
    others."""
    names = resolve_classes(annotations.relations, expected, annotations.title, "relations")
    place = {name: i for i, name in enumerate(names)}
    index = [place[name] for name in annotations.relations]
    for picture in annotations.pictures:
        picture.relations = [(s, index[r], o) for s, r, o in picture.relations]
    annotations.relations = names
