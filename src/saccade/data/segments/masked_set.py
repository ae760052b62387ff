"""A segmentation set before any mask is decoded: pictures, their masks, and problems."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import UInt8

from saccade.data.objects.annotations import AnnotatedPicture, Problem
from saccade.data.segments.label_map import LabelMap
from saccade.data.segments.object_masks import MaskPart
from saccade.data.store import Store


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
class MaskedSet:
    """A set or one of its splits. root: its folder in the store, omitted from names in messages. listed: the file that
    lists its classes, "" for none. label_map: of mask files. unlabelled: pictures without a mask that are in no
    list."""

    label: str
    format: str
    store: Store
    root: str
    classes: list[str]
    read: Reader
    pictures: list[MaskedPicture] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    unlabelled: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    listed: str = ""
    label_map: LabelMap | None = None
