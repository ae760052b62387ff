"""Objects from their masks: a file for each object (as in DSB 2018), or the number of the object at every pixel.

The pairs of pictures and masks are those of `data/segments`, where objects of a class are united; here each is one.
"""

from collections.abc import Iterator
from functools import partial

import numpy as np
import torch
from jaxtyping import Bool, UInt16
from scipy.ndimage import find_objects

from saccade.data.dataset import Problem
from saccade.data.files import escape
from saccade.data.objects.annotations import AnnotatedObject, AnnotatedPicture, Annotations, resolve_classes
from saccade.data.objects.run_lengths import encode_rle
from saccade.data.segments.decode_mask import read_mask
from saccade.data.segments.files import MaskedPicture
from saccade.data.segments.layout import MaskLayout, find_mask_layout
from saccade.data.segments.mask_statistics import WHOLE, count_mask_values
from saccade.data.segments.object_masks import read_object_mask
from saccade.data.splitting import LayoutAdapter
from saccade.data.store import FileStore, relative_to
from saccade.data.threads import map_threads
from saccade.errors import DataError

MOST_OBJECTS = 32_767  # of a picture


class ObjectMaskFiles(LayoutAdapter):
    """Pictures beside masks of their objects."""

    layout: MaskLayout

    @property
    def format(self) -> str:
        return "masks that number objects" if self.layout.paired.objects is None else "a mask file an object"

    def read(self, split: str | None = None, classes: list[str] | None = None) -> Annotations:
        """Parse a split, or the only one: all masks are read."""
        label = self.store.title + (f", {escape(split)}" if split else "")
        names = self.layout.decision.label_map.classes[1:]  # without background
        result = Annotations(label, self.format, self.store, self.root, resolve_classes(names, classes, label))
        members, problems = self.layout.members(split)
        result.problems += problems
        masked = [each for each in members if each.mask]
        result.unlabelled = [each.name for each in members if not each.mask]
        if result.unlabelled:
            result.notes.append(f"{len(result.unlabelled)} pictures without masks were left out")
        index = [result.classes.index(name) for name in names]
        for picture, found in map_threads(partial(self._read, index=index), masked, "masks"):
            result.pictures.append(picture)
            result.problems += found
        return result

    def _read(self, member: MaskedPicture, index: list[int]) -> tuple[AnnotatedPicture, list[Problem]]:
        """The objects of a picture, and the masks of it that cannot be used."""
        picture, problems = AnnotatedPicture(member.name, relative_to(self.root, member.mask)), list[Problem]()
        files = [(part.file, index[part.label]) for part in member.parts] or [(member.mask, index[0])]
        for file, label in files:
            display = escape(relative_to(self.root, file))
            try:
                masks = self._objects(file, bool(member.parts))
            except DataError as error:
                problems.append(Problem("annotation broken", display, f"{error}; left out"))
                continue
            for where, mask in masks:
                size = (mask.shape[0], mask.shape[1])
                if picture.size is not None and size != picture.size:
                    text = f"{display} has {size[1]} x {size[0]} pixels, unlike other masks of its picture; left out"
                    problems.append(Problem("annotation broken", display, text))
                elif not mask.any():
                    problems.append(Problem("box empty", display, f"{display} is the mask of nothing; left out"))
                else:
                    picture.size = size
                    picture.objects.append(_object(where or display, mask, label, len(picture.objects)))
        return picture, problems

    def _objects(self, file: str, single: bool) -> Iterator[tuple[str, Bool[np.ndarray, "y x"]]]:
        """Where each object of a mask file is, and its place in it."""
        if single:
            return iter([("", read_object_mask(self.store, file))])
        values = read_mask(self.store.read(file), self.store.full_name(file)).values
        if values is None:
            raise DataError(f"{escape(file)} is coloured; numbers of objects expected")
        return _numbered(values)


def find_dataset(store: FileStore) -> ObjectMaskFiles | None:
    """Detect the set in a store; None if no picture has masks, and if they are of classes, or may be.

    Raises DataError for masks whose values cannot be told."""
    layout = find_mask_layout(store)
    if layout is None or not any(layout.paired.mask_of.values()):
        return None
    objects = layout.paired.objects
    single = objects.per_object if objects is not None else layout.decision.objects or _listed_as_one_class(layout)
    return ObjectMaskFiles(layout) if single else None


def _listed_as_one_class(layout: MaskLayout) -> bool:
    """Whether a file lists background and one class, and the masks hold further numbers, each one region: so few masks
    may be of classes, were it not for the list."""
    decision = layout.decision
    if not decision.listed or decision.coloured or len(decision.label_map.classes) != 2:
        return False
    regions = count_mask_values(
        layout.store, [(name, mask) for name, mask in layout.paired.mask_of.items() if mask]
    ).regions
    counted = [each for each in regions if each.single >= 0]
    objects = sum(each.objects for each in counted)
    return objects > len(counted) and sum(each.single for each in counted) >= WHOLE * objects


def _numbered(values: UInt16[np.ndarray, "y x"]) -> Iterator[tuple[str, Bool[np.ndarray, "y x"]]]:
    """Each number above 0 is an object; only the window around each is looked at."""
    if int(values.max()) > MOST_OBJECTS:
        raise DataError(f"it has the number {int(values.max())}; objects are numbered up to {MOST_OBJECTS}")
    for number, window in enumerate(find_objects(values.astype(np.int32)), start=1):
        if window is not None:
            mask = np.zeros(values.shape, bool)
            mask[window] = values[window] == number
            yield f"object {number}", mask


def _object(where: str, mask: Bool[np.ndarray, "y x"], label: int, row: int) -> AnnotatedObject:
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    box = (float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1))
    shape = encode_rle(torch.from_numpy(mask))
    return AnnotatedObject(where, box, label, shape=shape, row=row, area=float(mask.sum()))
