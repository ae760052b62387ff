"""Pictures with masks, in files, as a data set: masks upright, of their picture's size, problems kept or raised."""

import copy
from collections.abc import Callable, Sequence
from typing import Self

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from saccade.data.files import escape
from saccade.data.images import Picture, read_image, read_size
from saccade.data.objects.annotations import below
from saccade.data.objects.files import EXIF_TRANSFORMS
from saccade.data.objects.transforms import mirror, transpose, vflip
from saccade.data.segments.masked_set import MaskedPicture, MaskedSet
from saccade.errors import DataError

ARRAY_TRANSFORMS: dict[Callable, Callable[[np.ndarray], np.ndarray]] = {
    mirror: np.fliplr, vflip: np.flipud, transpose: np.transpose,
}  # fmt: skip


class MaskSizeError(DataError):
    """A mask is of another size than its picture."""


class SegmentFiles:
    """A `SegmentSet` of pictures in files, from what was read of their folders.

    Pictures without a mask, masks without a picture and listed pictures that are not there are left out and recorded
    in `skipped`, or raise, as `on_error` says.

    Where a mask has the size that its picture's file stores, and EXIF has the picture turned, the mask is one of the
    unturned pixels and turns with it.

    Attributes:
        classes: names that the masks index.
        names: the pictures' files below the set's folder.
        notes: what was assumed on the way, a sentence each.
        skipped: what was left out so far, name -> reason.

    Raises:
        DataError: a problem after which no policy can go on; any problem under on_error="fail"; no picture with a mask.
    """

    def __init__(self, masked: MaskedSet, on_error: str = "skip"):
        if on_error not in ("skip", "fail"):
            raise DataError(f'on_error={on_error!r} was given; "skip" or "fail" expected')
        self.label, self.on_error = masked.label, on_error
        self.classes = list(masked.classes)
        self.notes, self.skipped = list(masked.notes), dict[str, str]()
        self.coding = masked.coding
        self._masked, self._pictures = masked, masked.pictures
        for problem in masked.problems:
            if problem.fatal or on_error == "fail":
                raise DataError(f"{masked.label}: {problem.text}")
            self.skipped[problem.where] = problem.text
        if not self._pictures:
            reason = next(iter(self.skipped.values()), "no picture has a mask")
            raise DataError(f"{masked.label} has no pictures with masks: {reason}")
        self.names = [below(masked.root, picture.name) for picture in self._pictures]

    def __len__(self) -> int:
        return len(self.names)

    def picture(self, index: int, at_least: tuple[int, int] | None = None) -> Picture:
        """The picture, upright. `at_least`: as in `read_image`. Raises DataError if it cannot be read."""
        name, store = self._pictures[index].name, self._masked.store
        return read_image(store.read(name), name=store.full_name(name), at_least=at_least)

    def mask(self, index: int) -> UInt8[Tensor, "y x"]:
        """The index of each pixel's class, or IGNORE_INDEX, in the pixels of `picture(index)`, of which only the header is
        read.

        Raises DataError for a mask that cannot be read, is of another size than its picture, or holds a value or
        colour that is no class, which it names."""
        raw, store = self._pictures[index], self._masked.store
        stored, orientation = read_size(store.read(raw.name), store.full_name(raw.name))
        indices, turned, note = read_upright(self._masked, raw, stored, orientation)
        if note:
            self._note(note)
        if turned:
            self._note("EXIF turns some pictures whose masks are of the size before: these were turned, too")
        return torch.from_numpy(np.ascontiguousarray(indices))

    def subset(self, indices: Sequence[int]) -> Self:
        """The same classes with the pictures at `indices` only, and of `skipped` what is not of another picture."""
        part = copy.copy(self)
        part._pictures = [self._pictures[i] for i in indices]
        part.names = [self.names[i] for i in indices]
        others = set(self.names).difference(part.names)
        part.notes = list(self.notes)
        part.skipped = {place: why for place, why in self.skipped.items() if place not in others}
        return part

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)


def read_upright(
    masked: MaskedSet, raw: MaskedPicture, stored: tuple[int, int], orientation: int
) -> tuple[UInt8[np.ndarray, "y x"], bool, str]:
    """The mask of a picture whose file stores `stored` (height, width) under EXIF's `orientation` 1..8, upright;
    whether it was turned with its picture; and a note of what was assumed, "" for nothing.

    Raises DataError as `SegmentFiles.mask`, of the kinds `MaskSizeError` and `UnknownClassError` where it is that."""
    upright = stored[::-1] if orientation > 4 else stored
    mask = masked.read(raw, upright)
    indices, own = _turned(mask.indices, mask.orientation), mask.orientation > 1
    if indices.shape not in ((upright,) if own else (stored, upright)):
        (h, w), (rows, columns) = indices.shape, upright
        said = escape(below(masked.root, raw.mask or (raw.drawn.where if raw.drawn else raw.name)))
        raise MaskSizeError(
            f"{said} is a mask of {w} x {h} pixels and its picture {escape(below(masked.root, raw.name))} has "
            f"{columns} x {rows}; make a mask of the picture's size"
        )
    turns = orientation > 1 and not own and indices.shape == stored
    return (_turned(indices, orientation) if turns else indices), turns, mask.note


def _turned(indices: np.ndarray, orientation: int) -> np.ndarray:
    for move in EXIF_TRANSFORMS.get(orientation, ()):
        indices = ARRAY_TRANSFORMS[move](indices)
    return indices
