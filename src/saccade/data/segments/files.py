"""Picture files with mask files as a data set: masks upright and of the size of their picture."""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from saccade.data.dataset import AnnotatedFiles
from saccade.data.exif import ExifPolicy, Turn
from saccade.data.images import read_size
from saccade.data.objects.files import EXIF_TRANSFORMS
from saccade.data.objects.transforms import mirror, transpose, vflip
from saccade.data.segments.decode_mask import size_error
from saccade.data.segments.masked_set import MaskedPicture, MaskedSet
from saccade.data.store import relative_to
from saccade.errors import DataError
from saccade.options import ExifPixels

ARRAY_TRANSFORMS: dict[Callable, Callable[[np.ndarray], np.ndarray]] = {
    mirror: np.fliplr, vflip: np.flipud, transpose: np.transpose,
}  # fmt: skip


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
            raise DataError(f"{masked.label} has no pictures with masks: {reason}")
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
) -> tuple[UInt8[np.ndarray, "y x"], Turn, str]:
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
    turn = Turn(False) if own else exif.turn(orientation, stored, indices.shape)
    return (_turned(indices, orientation) if turn.turned else indices), turn, mask.note


def exif_policy(masked: MaskedSet, exif: ExifPixels = "auto") -> ExifPolicy:
    """What the masks of a set refer to, by the annotated sizes of those that are drawn."""
    drawn = [picture.drawn for picture in masked.pictures if picture.drawn is not None]
    return ExifPolicy(exif, masked.store, [(each.name, each.size) for each in drawn])


def _turned(indices: np.ndarray, orientation: int) -> np.ndarray:
    for move in EXIF_TRANSFORMS.get(orientation, ()):
        indices = ARRAY_TRANSFORMS[move](indices)
    return indices
