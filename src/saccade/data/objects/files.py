"""Annotated picture files as a data set: invalid boxes left out or refused, boxes and masks in upright pixels."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from saccade.data.dataset import AnnotatedFiles
from saccade.data.exif import ExifPolicy
from saccade.data.files import escape
from saccade.data.images import read_size
from saccade.data.objects import ObjectAnnotations
from saccade.data.objects.annotations import (
    ROUNDING,
    AnnotatedObject,
    AnnotatedPicture,
    Annotations,
    Box,
    BoxCheck,
    check_box,
    check_boxes,
)
from saccade.data.objects.outlines import draw_masks, iter_masks, scale_outline
from saccade.data.objects.planes import MaskPlanes
from saccade.data.objects.transforms import mirror, transpose, vflip
from saccade.data.store import relative_to
from saccade.errors import DataError
from saccade.options import ExifPixels

# EXIF orientation -> transforms, in order, that make a picture upright (Exif 2.3, tag 0x0112).
EXIF_TRANSFORMS = {
    2: (mirror,),
    3: (mirror, vflip),
    4: (vflip,),
    5: (transpose,),
    6: (transpose, mirror),
    7: (transpose, mirror, vflip),
    8: (transpose, vflip),
}

# Kinds of problems that lose annotated objects.
LOST = ("annotation broken", "annotation without picture")


class ObjectFiles(AnnotatedFiles):
    """An `ObjectSet` of picture files and their parsed annotations.

    Boxes that are not finite, inverted, empty or entirely outside their picture are left out and recorded in `skipped`,
    or raise, depending on `on_error`; boxes that extend beyond it are clipped, and counted in `notes`.

    If the boxes of a picture that EXIF turns refer to its stored pixels (`data/exif.py`), they are turned with it.

    Raises:
        DataError: a fatal problem (a class that is not listed, a listed picture without annotation, ...); any problem
            with on_error="fail"; no picture left; annotations of which no object is left.
    """

    def __init__(self, annotations: Annotations, on_error: str = "skip", exif: ExifPixels = "auto"):
        super().__init__(annotations, on_error)
        sizes = [(picture.name, picture.size) for picture in annotations.pictures]
        self._exif = ExifPolicy(exif, annotations.store, sizes)
        self.relations, self._normalized = annotations.relations, annotations.normalized
        cut: list[float] = []
        self._pictures = [self._valid_objects(picture, verdicts, cut) for picture, verdicts in check_boxes(annotations)]
        if not self._pictures:
            reason = next(iter(self.skipped.values()), "no annotation names one")
            raise DataError(f"{annotations.title} has no pictures to read: {reason}")
        if not self.any_objects and (self._owners or any(each.kind in LOST for each in annotations.problems)):
            raise DataError(
                f"{annotations.title} has no object left: all were refused ({len(self.skipped)} entries), "
                f"the first because {next(iter(self.skipped.values()))}"
            )
        if cut:
            unit = " of a side" if self._normalized else " pixels"
            self.notes.append(
                f"{len(cut)} boxes reach beyond their picture, the farthest by {max(cut):.3g}{unit}; cut at its edges"
            )
        self.names = [relative_to(self._root, picture.name) for picture in self._pictures]

    @property
    def any_objects(self) -> bool:
        """Whether the annotations have any object."""
        return any(picture.objects for picture in self._pictures)

    def class_counts(self, crowd: bool) -> Counter[str]:
        """Number of objects of each class, crowds or others."""
        objects = (each for picture in self._pictures for each in picture.objects if each.crowd == crowd)
        return Counter(self.classes[each.label] for each in objects)

    def objects(self, index: int, masks: bool | Literal["planes"] = True) -> ObjectAnnotations:
        """The objects in pixels of `picture(index)`. Only the header of the picture is read. masks: False omits masks,
        and does not draw them; "planes" for `MaskPlanes`, drawn one by one, which take the memory of the picture.

        Raises DataError for a picture that is missing or has another size than its annotation states, and for masks
        that cannot be drawn."""
        raw = self._pictures[index]
        stored, orientation = read_size(self._store.read(raw.name), self._store.full_name(raw.name))
        upright = stored[::-1] if orientation > 4 else stored
        if raw.size is not None and raw.size not in (stored, upright):
            claimed, found = (f"{width} x {height}" for height, width in (raw.size, stored))
            raise DataError(
                f"{escape(self.names[index])} has {found} pixels and its annotation ({escape(raw.where)}) is of "
                f"{claimed}; annotate it anew or put back the picture that was annotated"
            )
        turn = self._exif.turn(orientation, stored, raw.size)
        if turn.note and raw.objects:
            self._note(turn.note)
        objects = self._to_objects(raw, stored if turn.turned else upright, index, masks)
        for move in EXIF_TRANSFORMS[orientation] if turn.turned else ():
            objects = move(objects, self.relations)
        return objects

    def _valid_objects(self, raw: AnnotatedPicture, verdicts: list[BoxCheck], cut: list[float]) -> AnnotatedPicture:
        """The picture with its valid objects, boxes clipped to it."""
        keep, objects = [], []
        for i, (each, verdict) in enumerate(zip(raw.objects, verdicts, strict=True)):
            if verdict.kind:
                self._refuse(raw, each.where, verdict)
                continue
            keep.append(i)
            if verdict.outside > ROUNDING[self._normalized]:
                cut.append(verdict.outside)
            objects.append(each if verdict.box == each.box else replace(each, box=verdict.box))
        return AnnotatedPicture(raw.name, raw.where, objects, raw.size, _kept_relations(raw, keep))

    def _refuse(self, raw: AnnotatedPicture, where: str, verdict: BoxCheck) -> None:
        display = f"{relative_to(self._root, raw.name)}, {where}"
        text = f"{escape(raw.where)}, {where}: {verdict.text}; left out"
        if self.on_error == "fail":
            raise DataError(f"{self.title}: {text.removesuffix('; left out')}; fix or remove it")
        self.skipped[display] = text
        self._owners[display] = relative_to(self._root, raw.name)

    def _to_objects(
        self, raw: AnnotatedPicture, size: tuple[int, int], index: int, masks: bool | Literal["planes"]
    ) -> ObjectAnnotations:
        """The objects in a picture of `size`."""
        boxes, objects = [], []
        scale = (size[1], size[0]) * 2 if self._normalized else (1, 1, 1, 1)
        for each in raw.objects:
            left, top, right, bottom = (value * factor for value, factor in zip(each.box, scale, strict=True))
            verdict = check_box((left, top, right, bottom), size, normalized=False)
            if verdict.kind:  # an annotation without a size, or a normalized box of less than a pixel
                self._refuse(raw, each.where, verdict)
            elif verdict.outside > ROUNDING[False] and not self._normalized:
                self._note("boxes of pictures whose annotation claims no size reach beyond them; cut at the edges")
            if masks and each.fault:
                self._refuse(raw, each.where, BoxCheck("mask broken", each.fault, each.box))
            boxes.append(verdict.box)
            objects.append((each, not verdict.kind and not (masks and each.fault and each.shape is None)))
        kept = [i for i, (_, sound) in enumerate(objects) if sound]
        triplets = _kept_relations(raw, kept)
        chosen = [objects[i][0] for i in kept]
        return ObjectAnnotations(
            torch.tensor([boxes[i] for i in kept], dtype=torch.float32).view(-1, 4),
            torch.tensor([each.label for each in chosen], dtype=torch.int64),
            size,
            torch.tensor([each.crowd for each in chosen], dtype=torch.bool),
            self._masks([_scaled(each, scale) for each in chosen], size, index) if masks is True else None,
            torch.tensor(triplets, dtype=torch.int64).view(-1, 3) if self.relations else None,
            _areas(chosen, [boxes[i] for i in kept]),
            self._planes([_scaled(each, scale) for each in chosen], size, index) if masks == "planes" else None,
        )

    def _masks(self, objects: list[AnnotatedObject], size: tuple[int, int], index: int) -> Tensor | None:
        with self._named(index):
            drawn = draw_masks(objects, size)
        return None if drawn is None else torch.from_numpy(drawn).bool()

    def _planes(self, objects: list[AnnotatedObject], size: tuple[int, int], index: int) -> MaskPlanes | None:
        if any(each.shape is None for each in objects):
            return None
        with self._named(index):
            return MaskPlanes.of((torch.from_numpy(mask).bool() for mask in iter_masks(objects, size)), size)

    @contextmanager
    def _named(self, index: int) -> Iterator[None]:
        """Errors begin with the name of the picture."""
        try:
            yield
        except DataError as error:
            raise DataError(f"{escape(self.names[index])}: {error}") from error


def _areas(objects: list[AnnotatedObject], boxes: list[Box]) -> Tensor | None:
    """The areas that the annotations state, the box's for objects without; None if none states one."""
    if all(each.area is None for each in objects):
        return None
    sides = ((right - left) * (bottom - top) for left, top, right, bottom in boxes)
    return torch.tensor([own if each.area is None else each.area for each, own in zip(objects, sides, strict=True)])


def _scaled(each: AnnotatedObject, scale: tuple[int, ...]) -> AnnotatedObject:
    """The object with its outline in pixels. scale: width, height and again."""
    if scale[0] == scale[1] == 1 or each.shape is None:
        return each
    return replace(each, shape=scale_outline(each.shape, scale[0], scale[1]))


def _kept_relations(raw: AnnotatedPicture, keep: list[int]) -> list[tuple[int, int, int]]:
    """Relations between the objects at the indices `keep`, with their new indices."""
    place = {old: new for new, old in enumerate(keep)}
    return [(place[s], r, place[o]) for s, r, o in raw.relations if s in place and o in place]
