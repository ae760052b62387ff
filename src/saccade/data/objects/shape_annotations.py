"""Sets of labelling tools that draw shapes: CVAT and LabelMe. A shape is a box or has an outline around it."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from saccade.data.dataset import Problem, unlisted_pictures
from saccade.data.files import escape
from saccade.data.objects.annotations import (
    AnnotatedObject,
    AnnotatedPicture,
    Annotations,
    Box,
    resolve_classes,
    to_float,
)
from saccade.data.objects.outlines import Outline
from saccade.data.store import FileStore, relative_to
from saccade.errors import DataError

CIRCLE = 36  # corners of the polygon for a circle or an ellipse


@dataclass(frozen=True)
class ShapeAnnotation:
    """where: place in the file. box: left, top, right, bottom in continuous pixels."""

    where: str
    label: str
    box: Box
    outline: Outline | None = None


@dataclass
class PictureShapes:
    """name: file in the store. where: its annotation file."""

    name: str
    where: str
    size: tuple[int, int] | None
    shapes: list[ShapeAnnotation]


@dataclass
class ParsedShapes:
    """The contents of the files of a set. classes: in the order of the files, None if they do not list them. parts:
    split -> pictures, "" for those in none. left_out: kinds of shapes that are no areas, with how many there are.
    notes: assumptions made while reading."""

    classes: list[str] | None = None
    parts: dict[str, list[PictureShapes]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    _pictures: dict[tuple[str, str], PictureShapes] = field(default_factory=dict)

    def add(self, split: str, picture: PictureShapes, place: str) -> None:
        """Add a picture to a split. If it is there, their shapes are joined. place: of its entry, for messages."""
        other = self._pictures.setdefault((split, picture.name), picture)
        if other is picture:
            self.parts.setdefault(split, []).append(picture)
        else:
            other.shapes += picture.shapes
            text = f"{place} is of {escape(picture.name)}, as another one; the objects of both were joined"
            self.problems.append(Problem("picture listed twice", place, text))

    def leave_out(self, kind: str) -> None:
        self.left_out[kind] = self.left_out.get(kind, 0) + 1


@dataclass
class ShapeDataset:
    """A set of shapes. files: its annotation files, which `load` parses."""

    store: FileStore
    root: str
    format: str
    files: list[str]
    load: Callable[[FileStore, list[str]], ParsedShapes]

    @cached_property
    def drawn(self) -> ParsedShapes:
        return self.load(self.store, self.files)

    @property
    def splits(self) -> list[str]:
        parts = [name for name, pictures in self.drawn.parts.items() if pictures]
        return parts if any(parts) else []

    def read(self, split: str | None = None, classes: list[str] | None = None) -> Annotations:
        """Parse a split, or the whole set. classes: default, those that the files list, or all that occur, sorted."""
        label, drawn = self.store.title + (f", {split}" if split else ""), self.drawn
        pictures = [each for name, part in drawn.parts.items() if split in (None, name) for each in part]
        found = drawn.classes
        if found is None:
            found = sorted({each.label for part in drawn.parts.values() for p in part for each in p.shapes})
        result = Annotations(label, self.format, self.store, self.root, resolve_classes(found, classes, label))
        result.problems = list(drawn.problems)
        result.notes += drawn.notes
        if drawn.left_out:
            kinds = ", ".join(f"{count} x {escape(kind)}" for kind, count in sorted(drawn.left_out.items()))
            result.notes.append(f"shapes without an area were left out: {kinds}")
        index = {name: i for i, name in enumerate(result.classes)}
        result.pictures = [self._annotated(each, index) for each in pictures]
        taken = [each.name for part in drawn.parts.values() for each in part]
        result.unlabelled = unlisted_pictures(self.store, [each.name for each in pictures], taken)
        if result.unlabelled:
            result.notes.append(f"{len(result.unlabelled)} pictures have no annotation and were left out")
        return result

    def orphans(self) -> list[str]:
        """None: pictures without annotations are in `Annotations.unlabelled`."""
        return []

    def _annotated(self, picture: PictureShapes, index: dict[str, int]) -> AnnotatedPicture:
        objects = [
            AnnotatedObject(each.where, each.box, index[each.label], shape=each.outline, row=i)
            for i, each in enumerate(picture.shapes)
        ]
        return AnnotatedPicture(picture.name, relative_to(self.root, picture.where), objects, picture.size)


def box_and_outline(points: Sequence[tuple[float, float]]) -> tuple[Box, Outline | None]:
    """The box around corners, and their outline if they enclose an area. The box is not finite if a corner is not."""
    if len(points) < 2 or not all(map(math.isfinite, (value for point in points for value in point))):
        return (math.nan,) * 4, None
    xs, ys = zip(*points, strict=True)
    box = (min(xs), min(ys), max(xs), max(ys))
    flat = len(points) < 3 or box[0] == box[2] or box[1] == box[3]
    return box, None if flat else [[value for point in points for value in point]]


def ellipse(x: float, y: float, across: float, down: float) -> list[tuple[float, float]]:
    """Corners on an ellipse around a centre."""
    angles = (2 * math.pi * i / CIRCLE for i in range(CIRCLE))
    return [(x + across * math.cos(a), y + down * math.sin(a)) for a in angles]


def rotate_points(points: Sequence[tuple[float, float]], degrees: float) -> list[tuple[float, float]]:
    """Corners turned clockwise around the middle of their box."""
    if degrees == 0:
        return list(points)
    x, y = ((min(values) + max(values)) / 2 for values in zip(*points, strict=True))
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return [(x + (u - x) * cos - (v - y) * sin, y + (u - x) * sin + (v - y) * cos) for u, v in points]


def corners(box: Box) -> list[tuple[float, float]]:
    left, top, right, bottom = box
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def size_of(height: object, width: object) -> tuple[int, int] | None:
    """(height, width) as written; None if a number is missing."""
    sides = to_float(height), to_float(width)
    return (int(sides[0]), int(sides[1])) if all(map(math.isfinite, sides)) and min(sides) >= 1 else None


def label_name(value: object) -> str:
    """The name of a shape's class. Raises DataError (without the place) if it has none."""
    name = str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if not name:
        raise DataError("has no label")
    return name
