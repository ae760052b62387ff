"""What a segmentation set's files say, before any mask is decoded: pictures, where their masks are, what is wrong."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import UInt8

from saccade.data.objects.annotations import AnnotatedPicture, Problem
from saccade.data.segments.label_map import LabelMap
from saccade.data.store import Store


@dataclass(frozen=True)
class Mask:
    """A mask as it is stored. orientation: EXIF's 1..8 of its own file. note: what was assumed, "" for nothing."""

    indices: UInt8[np.ndarray, "y x"]
    orientation: int = 1
    note: str = ""


@dataclass(frozen=True)
class MaskedPicture:
    """name: of the picture's file in the store. mask: of the mask's. drawn: instead, objects whose outlines make it.
    line: the line of a list that names it."""

    name: str
    mask: str = ""
    drawn: AnnotatedPicture | None = None
    line: str = ""


# A picture, and its height and width upright -> its mask. Raises DataError.
Reader = Callable[[MaskedPicture, tuple[int, int]], Mask]


@dataclass
class MaskedSet:
    """A whole set, or a split of one. format: in words. root: the folder around it in the store, by which names are
    not shown. listed: the file that lists its classes, "" for none. label_map: of masks in files. unlabelled: pictures
    that lie there without a mask, and that no list names."""

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
