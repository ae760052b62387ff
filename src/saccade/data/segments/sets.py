"""Pictures with a class for every pixel, in a folder or a tar, in the formats people have: found by looking.

- index PNGs (palette, grey, 16 bits, or RGB with three equal parts) beside pictures: images/ and masks/ (labels,
  annotations, ...), train/ and trainannot/ (SegNet), leftImg8bit/ and gtFine/ (Cityscapes), a.jpg and a_mask.png;
- coloured masks with a table of colours (class_dict.csv, label_colors.txt, labelmap.txt), or VOC's;
- VOC's SegmentationClass/ with ImageSets/Segmentation/*.txt;
- COCO JSON with polygons or run lengths (`data/segments/coco.py`).

A list of classes (`data/segments/class_lists.py`) takes precedence over what is known of a kind of set, and that over
the values found. 255 is ignored, and so are classes that a list calls void, unlabelled or ignore, anywhere in it.

SegNet's copies of sets (folders called *annot) number what is unlabelled one past the classes, CamVid's 11 classes with
11, as SegNet's own models and most code written for them leave out. So there, and in pictures that are CamVid's by
their names, one past a list is ignored; and without a list, pictures that are CamVid's by their names or by SegNet's
folders and size have its 11 classes, and 11 is ignored.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from saccade.data.files import count_suffixes
from saccade.data.objects import coco
from saccade.data.segments import layout as segment_layout
from saccade.data.segments.coco import CocoMasks
from saccade.data.segments.files import SegmentFiles
from saccade.data.segments.label_map import LabelMap
from saccade.data.segments.masked_set import MaskedSet
from saccade.data.splitting import select_split, split_train_val
from saccade.data.store import Store, open_store
from saccade.errors import DataError


class Layout(Protocol):
    """A set as it was found: its format, and its splits if it has any."""

    @property
    def store(self) -> Store: ...

    @property
    def root(self) -> str: ...

    @property
    def format(self) -> str: ...

    @property
    def splits(self) -> list[str]: ...

    def read(
        self, split: str | None = None, classes: list[str] | None = None, label_map: LabelMap | None = None
    ) -> MaskedSet: ...

    def orphans(self) -> list[str]:
        """Pictures and masks that belong to no split."""


def find_segments(source: str | os.PathLike[str]) -> Layout | None:
    """The set in a folder or tar, or that a COCO .json names; None if there is none.

    Raises DataError for what cannot be opened, and for a set that contradicts itself."""
    path = Path(source)
    if path.suffix.lower() == ".json" and path.is_file():
        folder = path.parent.parent if path.parent.name == "annotations" else path.parent
        found = coco.find(open_store(folder), only=path.relative_to(folder).as_posix())
        return None if found is None else CocoMasks(found)
    store = open_store(source)
    masks = segment_layout.find(store)
    if masks is not None:
        return masks
    found = coco.find(store)
    return None if found is None else CocoMasks(found)


def open_segments(
    source: str | os.PathLike[str],
    split: str | None = None,
    on_error: str = "skip",
    classes: Sequence[str] | None = None,
) -> SegmentFiles:
    """A `SegmentSet` of whatever format the source holds.

    Args:
        source: a folder, a tar, or a COCO .json.
        split: "train", "val", "test" or as the set calls it; needed where there are several.
        on_error: what a picture without a mask does: "skip" leaves it out and records it, "fail" raises.
        classes: names in the order of their indices; the set may use some of them, and no others. A set that names
            none is read by number. Default: as the set's list has them, see above.

    Raises:
        DataError: nothing of the kind found; a split that is not there or was not named; see `SegmentFiles`.
    """
    return _opened(_layout(source), split, on_error, classes)


def segment_splits(
    source: str | os.PathLike[str],
    val: str | os.PathLike[str] | None = None,
    val_fraction: float = 0.1,
    seed: int = 0,
    on_error: str = "skip",
) -> tuple[SegmentFiles, SegmentFiles]:
    """Training and validation sets of one source.

    With `val`, that source is the validation set; where it names no classes, its values are read as the training
    set's. Otherwise, where the source has a split for validation, that is taken; else `val_fraction` of its training
    pictures is held out, the same for the same seed. The notes of the validation set say which. A split for test stays
    unseen.

    Raises:
        DataError: as open_segments; classes in the validation set that the training set does not have.
    """

    def opened(layout: Layout, split: str | None, like: SegmentFiles | None) -> SegmentFiles:
        return _opened(layout, split, on_error, *((None, None) if like is None else (like.classes, like.label_map)))

    return split_train_val(_layout(source), None if val is None else _layout(val), opened, val_fraction, seed)


def _layout(source: str | os.PathLike[str]) -> Layout:
    layout = find_segments(source)
    if layout is None:
        store = open_store(source)
        raise DataError(
            f"{store.label} holds no masks that can be read (found: {count_suffixes(store.files)}); images/ beside masks/, "
            "VOC's SegmentationClass/ or a COCO .json with outlines expected"
        )
    return layout


def _opened(
    layout: Layout,
    split: str | None,
    on_error: str,
    classes: Sequence[str] | None = None,
    label_map: LabelMap | None = None,
) -> SegmentFiles:
    split = select_split(layout, split, "segment_splits")
    found = layout.read(split, None if classes is None else list(classes), label_map)
    dataset = SegmentFiles(found, on_error)
    said = f"{len(dataset)} pictures, {len(dataset.classes)} classes" + (f" of {found.listed}" if found.listed else "")
    dataset.notes.insert(0, f"{dataset.label} was read as {found.format}: {said}")
    return dataset
