"""What an annotation file says of its pictures, as written: one form for all formats, judged but not yet repaired.

The readers of COCO, VOC and YOLO fill it; data sets for training and the doctor both build on it.
"""

import math
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from saccade.data.files import escape
from saccade.data.store import Store
from saccade.errors import DataError, some_of

Box = tuple[float, float, float, float]

# Of a box's side, in pixels or in shares of a side that is given as 1: less is no side, and coordinates further than
# this outside the picture are not the mere rounding of a text file.
MIN_SIDE = {False: 1e-3, True: 1e-6}
ROUNDING = {False: 0.01, True: 1e-4}


@dataclass(frozen=True)
class Problem:
    """Something wrong with the annotations that no picture's objects show.

    kind: a few words under which the doctor counts it. where: file, and the place in it. text: what is wrong and
    what to do. fatal: no policy can go on from here.
    """

    kind: str
    where: str
    text: str
    fatal: bool = False


@dataclass(frozen=True)
class AnnotatedObject:
    """where: its place in the annotation file, in words ("object 3", "line 2", "annotation 17"). box: left, top, right,
    bottom, continuous (pixel 0 covers 0 to 1), in pixels of the annotated picture or, in a set with `unit`, in shares
    of its sides. label: index of its class. shape: COCO's segmentation. row: its place as an index from 0."""

    where: str
    box: Box
    label: int
    crowd: bool = False
    id: int | None = None
    shape: object = None
    row: int = 0


@dataclass
class AnnotatedPicture:
    """name: file in the store. where: the annotation file, "" if there is none. size: (height, width) that the
    annotation claims. relations: (index of an object, relation, index of an object). row: its place among the pictures
    of the annotation file, from 0."""

    name: str
    where: str
    objects: list[AnnotatedObject] = field(default_factory=list)
    size: tuple[int, int] | None = None
    relations: list[tuple[int, int, int]] = field(default_factory=list)
    row: int = 0


@dataclass
class Annotations:
    """A whole set, or a split of one, as its files say. format: "COCO", "VOC" or "YOLO". root: the folder around it
    in the store, by which names are not shown. unlabelled: pictures that lie there and that no annotation names."""

    label: str
    format: str
    store: Store
    root: str
    classes: list[str]
    relations: list[str] = field(default_factory=list)
    pictures: list[AnnotatedPicture] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    unlabelled: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    unit: bool = False


@dataclass(frozen=True)
class BoxCheck:
    """A box: what is wrong with it ("" if nothing), in a kind and in words; itself, cut at the picture's edges; and
    by how much it reached beyond them."""

    kind: str
    text: str
    box: Box
    outside: float = 0.0


def check_box(box: Box, size: tuple[int, int] | None, unit: bool) -> BoxCheck:
    """Judge a box as it is written. size: (height, width) of the picture where known; of no use with `unit`."""
    left, top, right, bottom = box
    if not all(map(math.isfinite, box)):
        return BoxCheck("box not finite", f"its box {_format_box(box)} has a coordinate that is no finite number", box)
    if right < left or bottom < top:
        text = f"its box {_format_box(box)} ends before it begins; left < right and top < bottom expected"
        return BoxCheck("box inverted", text, box)
    if right - left < MIN_SIDE[unit] or bottom - top < MIN_SIDE[unit]:
        side = "width" if right - left < MIN_SIDE[unit] else "height"
        return BoxCheck("box empty", f"its box {_format_box(box)} has no {side}", box)
    if size is None and not unit:
        return BoxCheck("", "", box)
    height, width = (1.0, 1.0) if unit or size is None else size
    if left >= 0 and top >= 0 and right <= width and bottom <= height:
        return BoxCheck("", "", box)
    cut = (max(0.0, left), max(0.0, top), min(float(width), right), min(float(height), bottom))
    if min(cut[2] - cut[0], cut[3] - cut[1]) < MIN_SIDE[unit]:
        whole = "0 to 1" if unit else f"{width} x {height} pixels"
        return BoxCheck("box outside", f"its box {_format_box(box)} lies outside the picture ({whole})", box)
    return BoxCheck("", "", cut, max(-left, -top, right - width, bottom - height))


def _format_box(box: Box) -> str:
    return f"({', '.join(f'{value:g}' for value in box)})"


def check_boxes(annotations: Annotations) -> Iterator[tuple[AnnotatedPicture, list[BoxCheck]]]:
    """Every picture with a verdict on each of its objects."""
    for picture in annotations.pictures:
        yield picture, [check_box(each.box, picture.size, annotations.unit) for each in picture.objects]


def number(value: object) -> float:
    """A float; what is no number is NaN, which `judge` refuses."""
    if type(value) not in (int, float, str):  # a bool is no number
        return math.nan
    try:
        return float(value)  # type: ignore[arg-type]
    except (ValueError, OverflowError):
        return math.nan


def resolve_classes(found: Sequence[str], asked: Sequence[str] | None, where: str, what: str = "classes") -> list[str]:
    """The classes (or `what`) to use: those asked for, of which the set may lack some but has no others.

    Raises DataError naming what it adds, and for names that `check_names` refuses."""
    check_names(found, where, what)
    if asked is None:
        return list(found)
    known = set(asked)
    extra = [name for name in found if name not in known]
    if extra:
        raise DataError(
            f"{where} has the {what} {some_of(map(escape, extra), 9)}, which are not among the expected "
            f"({some_of(map(escape, asked), 9) or 'none'})"
        )
    return list(asked)


def check_names(names: Sequence[str], where: str, what: str = "classes") -> None:
    """Raises DataError for names that a saved model could not hold: empty, repeated, or with control characters."""
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


def resolve_relations(annotations: Annotations, asked: Sequence[str]) -> None:
    """Make relations index the names asked for, of which the set may lack some. Raises DataError if it has others."""
    names = resolve_classes(annotations.relations, asked, annotations.label, "relations")
    place = {name: i for i, name in enumerate(names)}
    index = [place[name] for name in annotations.relations]
    for picture in annotations.pictures:
        picture.relations = [(s, index[r], o) for s, r, o in picture.relations]
    annotations.relations = names
