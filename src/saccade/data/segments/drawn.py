"""Class masks drawn from the outlines of annotated objects: polygons and run lengths of COCO JSON, polygons of YOLO and
other formats.

Class 0 is "background", followed by the classes of the annotations; a class named "background" is class 0.
Smaller objects are drawn over larger ones, later ones over earlier ones of the same size. Crowd regions, and boxes of
objects without an outline, are ignored where no object is drawn.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from jaxtyping import UInt8

from saccade.data.dataset import Problem
from saccade.data.files import escape
from saccade.data.objects.annotations import AnnotatedObject, AnnotatedPicture, Annotations, check_box, resolve_classes
from saccade.data.objects.outlines import draw_outline, scale_outline
from saccade.data.objects.sets import Layout, read_annotations
from saccade.data.segments import IGNORE_INDEX
from saccade.data.segments.decode_mask import size_error
from saccade.data.segments.files import Mask, MaskedPicture, MaskedSet
from saccade.data.segments.label_map import BACKGROUND, LabelMap
from saccade.data.splitting import LayoutAdapter
from saccade.data.store import relative_to
from saccade.errors import DataError


class DrawnMasks(LayoutAdapter):
    """An annotated set whose objects are drawn as masks."""

    layout: Layout

    @property
    def format(self) -> str:
        return self.layout.format

    def read(
        self, split: str | None = None, classes: list[str] | None = None, label_map: LabelMap | None = None
    ) -> MaskedSet:
        """Parse a split, or the only one. label_map: unused, as annotations name their classes.

        Raises DataError if no object has an outline."""
        found = read_annotations(self.layout, split, outlines=True)
        all_objects = [each for picture in found.pictures for each in picture.objects]
        bare = sum(each.shape is None for each in all_objects)
        faults = list(_faults(found))
        if all_objects and bare == len(all_objects) and faults:
            raise DataError(f"{found.title} has no outline that can be read: {faults[0].text}")
        if all_objects and bare == len(all_objects):
            raise DataError(
                f"{found.title} holds boxes only ({self.format}); a polygon or run lengths for each object expected"
            )
        names = [BACKGROUND, *(name for name in found.classes if name != BACKGROUND)]
        names = resolve_classes(names, classes, found.title)
        index = [names.index(name) for name in found.classes]
        ground = names.index(BACKGROUND)

        def read(picture: MaskedPicture, size: tuple[int, int]) -> Mask:
            assert picture.drawn is not None
            drawn = picture.drawn
            if drawn.size not in (None, size, size[::-1]):  # before memory of the size that is claimed is taken
                where, name = (relative_to(found.root, each) for each in (drawn.where or picture.name, picture.name))
                raise size_error(where, drawn.size, name, size)
            size = drawn.size or size
            if found.normalized:
                drawn = _in_pixels(drawn, size)
            return Mask(_draw(drawn, size, index, ground, found.root))

        pictures = [MaskedPicture(each.name, drawn=each) for each in found.pictures]
        result = MaskedSet(found.title, self.format, found.store, found.root, names, pictures, read=read)
        result.unlabelled, result.notes = found.unlabelled, list(found.notes)
        result.problems = [*found.problems, *faults]
        result.notes.append("what no object covers is background; smaller objects lie on larger ones")
        if bare:
            result.notes.append(f"{bare} objects have no outline: their boxes are ignored")
        if any(each.crowd for each in all_objects):
            result.notes.append("crowd regions are ignored")
        return result


def _faults(found: Annotations) -> Iterator[Problem]:
    """The parts of outlines that are left out."""
    for picture in found.pictures:
        for each in picture.objects:
            if each.fault:
                where = f"{escape(relative_to(found.root, picture.name))}, {each.where}"
                yield Problem("mask broken", where, f"{where}: {each.fault}; left out")


def _in_pixels(picture: AnnotatedPicture, size: tuple[int, int]) -> AnnotatedPicture:
    """A picture with normalized coordinates in pixels of (height, width)."""
    scale = (size[1], size[0], size[1], size[0])
    objects = []
    for each in picture.objects:
        left, top, right, bottom = (value * side for value, side in zip(each.box, scale, strict=True))
        shape = None if each.shape is None else scale_outline(each.shape, size[1], size[0])
        objects.append(replace(each, box=(left, top, right, bottom), shape=shape))
    return replace(picture, objects=objects)


def _draw(
    picture: AnnotatedPicture, size: tuple[int, int], index: list[int], ground: int, root: str
) -> UInt8[np.ndarray, "y x"]:
    """Draw objects one at a time, to save memory. Raises DataError for an object that cannot be drawn."""
    canvas = np.full(size, ground, np.uint8)
    drawn: list[tuple[int, AnnotatedObject, np.ndarray]] = []
    for each in picture.objects:
        if each.shape is None:
            _ignore_box(canvas, each)
            continue
        try:
            mask = draw_outline(each.shape, size).astype(bool)
        except DataError as error:
            raise DataError(f"{escape(relative_to(root, picture.name))}: {each.where} {error}") from error
        if each.crowd:
            canvas[mask] = IGNORE_INDEX
        else:
            drawn.append((int(mask.sum()), each, np.packbits(mask)))
    for _, each, bits in sorted(drawn, key=lambda item: -item[0]):  # stable: later objects of the same size are on top
        mask = np.unpackbits(bits, count=size[0] * size[1]).reshape(size).astype(bool)
        canvas[mask] = index[each.label]
    return canvas


def _ignore_box(canvas: np.ndarray, each: AnnotatedObject) -> None:
    verdict = check_box(each.box, (canvas.shape[0], canvas.shape[1]), normalized=False)
    if not verdict.kind:
        left, top, right, bottom = verdict.box
        canvas[int(top) : int(np.ceil(bottom)), int(left) : int(np.ceil(right))] = IGNORE_INDEX
