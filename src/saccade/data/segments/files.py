"""Picture files with mask files: before any mask is decoded (`MaskedSet`), and as a data set whose masks are upright
and of the size of their picture (`SegmentFiles`)."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from saccade.data.dataset import AnnotatedFiles, ParsedSet
from saccade.data.exif import ExifPolicy, ExifTurn
from saccade.data.images import read_size
from saccade.data.objects.annotations import AnnotatedPicture
from saccade.data.objects.files import EXIF_TRANSFORMS
from saccade.data.objects.transforms import mirror, transpose, vflip
from saccade.data.segments.decode_mask import size_error
from saccade.data.segments.label_map import LabelMap
from saccade.data.segments.object_masks import MaskPart
from saccade.data.store import relative_to
from saccade.errors import DataError
from saccade.options import ExifPixels

ARRAY_TRANSFORMS: dict[Callable, Callable[[np.ndarray], np.ndarray]] = {
    mirror: np.fliplr, vflip: np.flipud, transpose: np.transpose,
}  # fmt: skip


@dataclass(frozen=True)
class Mask:
    """A decoded mask. orientation: EXIF's 1..8 of the mask file. note: on assumptions, "" for none."""

    indices: UInt8[np.ndarray, "y x"]
    orientation: int = 1
    note: str = ""


@dataclass(frozen=True)
class MaskedPicture:
    """name: picture file in the store. mask: mask file, the first of `parts`. drawn: instead of a mask file, objects
    whose outlines are drawn. line: line of the list that contains the picture. parts: masks of a picture with
    several."""

    name: str
    mask: str = ""
    drawn: AnnotatedPicture | None = None
    line: str = ""
    parts: tuple[MaskPart, ...] = ()

    @property
    def files(self) -> list[str]:
        """Its mask files."""
        return [part.file for part in self.parts] or [self.mask]


# (picture, its upright (height, width)) -> mask. Raises DataError.
Reader = Callable[[MaskedPicture, tuple[int, int]], Mask]


@dataclass
class MaskedSet(ParsedSet[MaskedPicture]):
    """read: decodes a mask. listed: the file that lists its classes, "" for none. label_map: of mask files."""

    read: Reader = field(kw_only=True)
    listed: str = ""
    label_map: LabelMap | None = None


class SegmentFiles(AnnotatedFiles):
    """A `SegmentSet` of picture files and mask files.

    Pictures without a mask, masks without a picture and listed pictures that do not exist are left out and recorded in
    `skipped`, or raise, depending on `on_error`.

    If the mask of a picture that EXIF turns refers to its stored pixels (`data/exif.py`), it is turned with it.

    Raises:
        DataError: a fatal problem; any problem with on_error="fail"; no picture with a mask.
    """

    def __init__(self, masked: MaskedSet, on_error: str = "skip", exif: ExifPixels = "auto"):
        super().__init__(masked, on_error)
        self._exif = exif_policy(masked, exif)
        self.label_map, self._masked, self._pictures = masked.label_map, masked, masked.pictures
        if not self._pictures:
            reason = next(iter(self.skipped.values()), "no picture has a mask")
            raise DataError(f"{masked.title} has no pictures with masks: {reason}")
        self.names = [relative_to(masked.root, picture.name) for picture in self._pictures]

    def mask(self, index: int) -> UInt8[Tensor, "y x"]:
        """Class index of each pixel of `picture(index)`, or IGNORE_INDEX. Only the header of the picture is read.

        Raises DataError for a mask that cannot be read, has another size than its picture, or has values or colours
        that are not a class."""
        raw = self._pictures[index]
        stored, orientation = read_size(self._store.read(raw.name), self._store.full_name(raw.name))
        indices, turn, note = read_upright(self._masked, raw, stored, orientation, self._exif)
        for each in (note, turn.note):
            if each:
                self._note(each)
        return torch.from_numpy(np.ascontiguousarray(indices))


def read_upright(
    masked: MaskedSet, raw: MaskedPicture, stored: tuple[int, int], orientation: int, exif: ExifPolicy
) -> tuple[UInt8[np.ndarray, "y x"], ExifTurn, str]:
    """The upright mask of a picture with the size `stored` (height, width) in its file and the EXIF `orientation` 1..8;
    whether it was turned with its picture; and a note on assumptions, "" for none.

    Raises DataError as `SegmentFiles.mask`: MaskSizeError for a wrong size, UnknownClassError for unknown values."""
    upright = stored[::-1] if orientation > 4 else stored
    mask = masked.read(raw, upright)
    indices, own = _turned(mask.indices, mask.orientation), mask.orientation > 1
    if indices.shape not in ((upright,) if own else (stored, upright)):
        mask_file = raw.mask or (raw.drawn.where if raw.drawn else raw.name)
        own_size = indices.shape[0], indices.shape[1]
        raise size_error(relative_to(masked.root, mask_file), own_size, relative_to(masked.root, raw.name), upright)
    turn = ExifTurn(False) if own else exif.turn(orientation, stored, indices.shape)
    return (_turned(indices, orientation) if turn.turned else indices), turn, mask.note


def exif_policy(masked: MaskedSet, exif: ExifPixels = "auto") -> ExifPolicy:
    """What the masks of a set refer to, by the annotated sizes of those that are drawn."""
    drawn = [picture.drawn for picture in masked.pictures if picture.drawn is not None]
    return ExifPolicy(exif, masked.store, [(each.name, each.size) for each in drawn])


def _turned(indices: np.ndarray, orientation: int) -> np.ndarray:
    for move in EXIF_TRANSFORMS.get(orientation, ()):
        indices = ARRAY_TRANSFORMS[move](indices)
    return indices
