"""Pictures with boxes from COCO JSON, Pascal VOC, YOLO, CVAT or LabelMe files, in a folder or a tar; the format is
detected.

`coco.py`, `voc.py`, `yolo.py`, `cvat.py` and `labelme.py` parse the files; `files.py` turns the result into a data set.
"""

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from saccade.data.files import escape
from saccade.data.objects import box_tables, coco, cvat, labelme, voc, yolo
from saccade.data.objects.annotations import Annotations, resolve_relations
from saccade.data.objects.files import ObjectFiles
from saccade.data.objects.plausibility import check_plausible, class_notes
from saccade.data.objects.shape_annotations import ShapeDataset
from saccade.data.recognise_formats import describe_formats, recognise_formats
from saccade.data.splitting import nothing_found, select_split, split_train_val, split_videos
from saccade.data.store import open_store
from saccade.errors import DataError, pluralize
from saccade.options import ExifPixels

Layout = (
    coco.COCO | voc.VOC | yolo.YOLO | ShapeDataset
)  # each with `store`, `root`, `format`, `splits`, `read` and `orphans`


def find_layout(source: str | os.PathLike[str]) -> Layout | None:
    """Detect the annotated set in a folder or tar, or of a COCO .json, YOLO .yaml or CVAT .xml; None if there is none.

    Raises DataError for files that cannot be opened, and for an inconsistent set."""
    path = Path(source)
    if path.suffix.lower() == ".xml" and path.is_file():
        found = cvat.find_dataset(open_store(path.parent), only=path.name)
        if found is None:
            raise DataError(f"{escape(path)} is not CVAT XML for images; for VOC give the folder of the set")
        return found
    if path.suffix.lower() in (".json", ".yaml", ".yml") and path.is_file():
        folder = path.parent
        if path.suffix.lower() == ".json":
            folder = folder.parent if folder.name == "annotations" else folder
            return coco.find_dataset(open_store(folder), only=path.relative_to(folder).as_posix())
        return yolo.find_from_yaml(path)
    store = open_store(source)
    # files of VOC and COCO are unambiguous; a .txt beside a picture may be anything
    readers = (voc, coco, cvat, labelme, yolo, box_tables)
    return next((layout for each in readers if (layout := each.find_dataset(store)) is not None), None)


def read_annotations(
    layout: Layout, split: str | None = None, classes: list[str] | None = None, outlines: bool = False
) -> Annotations:
    """The annotations of a split, or of the only one, with the checks of the set as a whole.

    outlines: they are read for their outlines, and their boxes do not matter. Raises DataError as the layout's `read`.
    """
    found = layout.read(split, classes)
    check_plausible(found, outlines)
    return found


def open_objects(
    source: str | os.PathLike[str],
    split: str | None = None,
    on_error: str = "skip",
    classes: Sequence[str] | None = None,
    relations: Sequence[str] | None = None,
    exif: ExifPixels = "auto",
) -> ObjectFiles:
    """Pictures with their objects.

    Args:
        source: a folder or tar with COCO JSON, Pascal VOC or YOLO files; or a COCO .json or a YOLO data.yaml.
        split: "train", "val", "test" or the name of the split, if the set has several.
        on_error: "skip" leaves out and records unreadable pictures and invalid boxes, "fail" raises.
        classes: names in label order, of which the set may use a subset. Default: as in the files (COCO: categories
            by id, YOLO: its list, VOC: the names that occur, sorted).
        relations: likewise, names of relations. Default: the list of a COCO file, or the names that occur, sorted.
        exif: whether boxes are of "upright" or of "stored" pixels, where the annotated size does not say it:
            `ExifPolicy`.

    Raises:
        DataError: no such files; a split that does not exist, or several and none named; see `ObjectFiles`.
    """
    return _open_split(_layout(source), split, on_error, classes, relations, exif)


def object_splits(
    source: str | os.PathLike[str],
    val: str | os.PathLike[str] | None = None,
    val_fraction: float = 0.1,
    seed: int = 0,
    on_error: str = "skip",
    exif: ExifPixels = "auto",
) -> tuple[ObjectFiles, ObjectFiles]:
    """Training and validation sets of one source, as `split_train_val` makes them.

    Raises:
        DataError: as open_objects; classes or relations in the validation set that the training set does not have;
            no object in the remaining training pictures.
    """
    layout, other = _layout(source), None if val is None else _layout(val)

    def open_split(layout: Layout, split: str | None, like: ObjectFiles | None) -> ObjectFiles:
        classes, relations = (None, None) if like is None else (like.classes, like.relations)
        return _open_split(layout, split, on_error, classes, relations, exif)

    train, held_out = split_train_val(layout, other, open_split, val_fraction, seed, partial(split_videos, layout))
    if not train.any_objects:
        left = f"; {len(held_out)} were held out, seed {seed}" if held_out.any_objects and not layout.splits else ""
        raise DataError(
            f"{train.title}: none of the {len(train)} training pictures has an object{left}; "
            "pictures with annotated objects expected"
        )
    train.notes += class_notes(train.class_counts(crowd=False), train.classes, train.class_counts(crowd=True))
    if not held_out.any_objects:
        held_out.notes.append(f"{held_out.title} has no object in its {len(held_out)} pictures to validate on")
    return train, held_out


def _layout(source: str | os.PathLike[str]) -> Any:
    from saccade.data.objects import mask_files  # it reads the pairs of `data/segments`, which reads boxes

    expected = (
        "a COCO .json with images and annotations, VOC's Annotations/*.xml, YOLO's labels/*.txt, CVAT XML, LabelMe "
        "JSON, or a mask file for each object"
    )
    layout = find_layout(source) or mask_files.find_dataset(open_store(source))
    if layout is None:
        raise nothing_found(source, "boxes", expected, "detect")
    return layout


def _open_split(
    layout: Layout,
    split: str | None,
    on_error: str,
    classes: Sequence[str] | None = None,
    relations: Sequence[str] | None = None,
    exif: ExifPixels = "auto",
) -> ObjectFiles:
    split = select_split(layout, split, "object_splits")
    found = read_annotations(layout, split, None if classes is None else list(classes))
    if relations is not None:
        resolve_relations(found, relations)
    dataset = ObjectFiles(found, on_error, exif)
    objects = f"{pluralize(len(dataset), 'picture')}, {pluralize(len(dataset.classes), 'class')}"
    dataset.notes.insert(0, f"{dataset.title} was read as {layout.format}: {objects}")
    others = [
        each for each in recognise_formats(layout.store) if "detect" in each.tasks and not _is_of(layout, each.format)
    ]
    dataset.notes += [f"not read: {describe_formats(others, 'detect')}, which is there, too"] if others else []
    return dataset


def _is_of(layout: Layout, format: str) -> bool:
    """Whether a layout is of a format of `recognise_formats`."""
    return format.split()[0] == layout.format.split()[0]
