"""Pictures with a class for every pixel, in a folder or a tar; the format is detected.

- index PNGs (palette, grey, 16 bits, or RGB with equal channels) and pictures: images/ and masks/ (labels,
  annotations, ...), train/ and trainannot/ (SegNet), leftImg8bit/ and gtFine/ (Cityscapes), a.jpg and a_mask.png;
- coloured masks with a list of colours (class_dict.csv, label_colors.txt, labelmap.txt), or in VOC's colours;
- VOC's SegmentationClass/ with ImageSets/Segmentation/*.txt;
- a mask file for each object, or for each class, of a picture (`data/segments/object_masks.py`);
- outlines of objects: COCO JSON, polygons of YOLO and others (`data/segments/drawn.py`).

A list of classes (`data/segments/class_lists.py`) takes precedence over the classes of well-known sets, and those over
the values found in the masks. 255 is ignored, and so are classes that the list names void, unlabelled or ignore.

SegNet's copies of sets (folders named *annot) number unlabelled pixels one past the classes; for the 11 classes of
CamVid that is 11, which SegNet's own models and most code for them ignore. So the value one past the list is ignored
there, and for pictures that are named like CamVid's. Without a list, pictures named like CamVid's, or in SegNet's
folders and of its size, have its 11 classes, and 11 is ignored.
"""

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from saccade.data.objects import coco
from saccade.data.objects.sets import find_layout
from saccade.data.segments import layout as segment_layout
from saccade.data.segments.drawn import DrawnMasks
from saccade.data.segments.files import SegmentFiles
from saccade.data.segments.label_map import LabelMap
from saccade.data.segments.layout import MaskLayout
from saccade.data.segments.pairs import describe_unmatched_folders
from saccade.data.splitting import nothing_found, select_split, split_train_val, split_videos
from saccade.data.store import open_store
from saccade.errors import DataError, pluralize
from saccade.options import ExifPixels

Layout = MaskLayout | DrawnMasks  # each with `store`, `root`, `format`, `splits`, `read` and `orphans`


def find_segments(source: str | os.PathLike[str]) -> Layout | None:
    """Detect the set in a folder or tar, or of a COCO .json or a YOLO .yaml; None if there is none.

    Raises DataError for files that cannot be opened, and for an inconsistent set."""
    if Path(source).is_file() and Path(source).suffix.lower() in (".json", ".yaml", ".yml"):
        found = find_layout(source)
        return None if found is None else DrawnMasks(found)
    store = open_store(source)
    masks = segment_layout.find_mask_layout(store)
    if masks is not None:
        return masks
    found = coco.find_dataset(store) or find_layout(source)
    return None if found is None else DrawnMasks(found)


def open_segments(
    source: str | os.PathLike[str],
    split: str | None = None,
    on_error: str = "skip",
    classes: Sequence[str] | None = None,
    exif: ExifPixels = "auto",
) -> SegmentFiles:
    """Pictures with their masks.

    Args:
        source: a folder, a tar, a COCO .json, or a YOLO data.yaml.
        split: "train", "val", "test" or the name of the split, if the set has several.
        on_error: "skip" leaves out and records pictures without a usable mask, "fail" raises.
        classes: names in the order of their indices, of which the set may use a subset. The values of a set without
            names are taken as these indices. Default: the set's own list, see above.
        exif: whether masks are of "upright" or of "stored" pixels, where their size does not say it: `ExifPolicy`.

    Raises:
        DataError: no such files; a split that does not exist, or several and none named; see `SegmentFiles`.
    """
    return _open_split(_layout(source), split, on_error, classes, exif=exif)


def segment_splits(
    source: str | os.PathLike[str],
    val: str | os.PathLike[str] | None = None,
    val_fraction: float = 0.1,
    seed: int = 0,
    on_error: str = "skip",
    exif: ExifPixels = "auto",
) -> tuple[SegmentFiles, SegmentFiles]:
    """Training and validation sets of one source, as `split_train_val` makes them. If `val` names no classes, its
    values mean the same as in the training set.

    Raises:
        DataError: as open_segments; classes in the validation set that the training set does not have.
    """

    def open_split(layout: Layout, split: str | None, like: SegmentFiles | None) -> SegmentFiles:
        classes, label_map = (None, None) if like is None else (like.classes, like.label_map)
        return _open_split(layout, split, on_error, classes, label_map, exif)

    layout, other = _layout(source), None if val is None else _layout(val)
    return split_train_val(layout, other, open_split, val_fraction, seed, partial(split_videos, layout))


def _layout(source: str | os.PathLike[str]) -> Layout:
    expected = "images/ beside masks/, VOC's SegmentationClass/, or outlines in a COCO .json or in YOLO's labels"
    layout = find_segments(source)
    if layout is None:
        names = (
            describe_unmatched_folders(open_store(source))
            if Path(source).suffix.lower() not in (".json", ".yaml", ".yml")
            else ""
        )
        if names:
            raise DataError(names)
        raise nothing_found(source, "masks", expected)
    return layout


def _open_split(
    layout: Layout,
    split: str | None,
    on_error: str,
    classes: Sequence[str] | None = None,
    label_map: LabelMap | None = None,
    exif: ExifPixels = "auto",
) -> SegmentFiles:
    split = select_split(layout, split, "segment_splits")
    found = layout.read(split, None if classes is None else list(classes), label_map)
    dataset = SegmentFiles(found, on_error, exif)
    listed = f" of {found.listed}" if found.listed else ""
    summary = f"{pluralize(len(dataset), 'picture')}, {pluralize(len(dataset.classes), 'class')}{listed}"
    dataset.notes.insert(0, f"{dataset.title} was read as {found.format}: {summary}")
    return dataset
