"""Pictures with boxes from COCO JSON, Pascal VOC or YOLO files, in a folder or a tar: the format is found by looking.

The three readers (`coco.py`, `voc.py`, `yolo.py`) say what the files say; `files.py` makes a data set of it.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from saccade.data.files import count_suffixes
from saccade.data.objects import coco, voc, yolo
from saccade.data.objects.annotations import Annotations, resolve_relations
from saccade.data.objects.files import ObjectFiles
from saccade.data.splitting import select_split, split_train_val
from saccade.data.store import Store, open_store
from saccade.errors import DataError


class Layout(Protocol):
    """A set as it was found: its format, and its splits if it has any."""

    store: Store
    root: str
    format: str

    @property
    def splits(self) -> list[str]: ...

    def read(self, split: str | None = None, classes: list[str] | None = None) -> Annotations: ...

    def orphans(self) -> list[str]:
        """Pictures and annotation files that belong to no split."""


def find_layout(source: str | os.PathLike[str]) -> Layout | None:
    """The annotated set in a folder or tar, or that a COCO .json or YOLO .yaml names; None if there is none.

    Raises DataError for what cannot be opened, and for a set that contradicts itself."""
    path = Path(source)
    if path.suffix.lower() in (".json", ".yaml", ".yml") and path.is_file():
        folder = path.parent
        if path.suffix.lower() == ".json":
            folder = folder.parent if folder.name == "annotations" else folder
            return coco.find(open_store(folder), only=path.relative_to(folder).as_posix())
        return yolo.find(open_store(folder), only=path.name)
    return look_into(open_store(source))


def look_into(store: Store) -> Layout | None:
    """As `find_layout`, of a store that is open."""
    # VOC's and COCO's files are theirs alone; a .txt beside a picture may be anything
    return voc.find(store) or coco.find(store) or yolo.find(store)


def open_objects(
    source: str | os.PathLike[str],
    split: str | None = None,
    on_error: str = "skip",
    classes: Sequence[str] | None = None,
    relations: Sequence[str] | None = None,
) -> ObjectFiles:
    """Pictures with their objects.

    Args:
        source: a folder or tar that holds COCO JSON, Pascal VOC or YOLO files; or a COCO .json or a YOLO data.yaml.
        split: "train", "val", "test" or the split's own name, where the set has several.
        on_error: what an unreadable picture or a bad box does: "skip" leaves it out and records it, "fail" raises.
        classes: names in label order; the set may use some of them, and no others. Default: as its files have it
            (COCO's categories by id, YOLO's list, the names found in VOC's files, sorted).
        relations: likewise, of relations. Default: a COCO file's list of them, or the names found in it, sorted.

    Raises:
        DataError: nothing of the kind found; a split that is not there or was not named; see `ObjectFiles`.
    """
    return _opened(_layout(source), split, on_error, classes, relations)


def object_splits(
    source: str | os.PathLike[str],
    val: str | os.PathLike[str] | None = None,
    val_fraction: float = 0.1,
    seed: int = 0,
    on_error: str = "skip",
) -> tuple[ObjectFiles, ObjectFiles]:
    """Training and validation sets of one source.

    With `val`, that source is the validation set. Otherwise, where the source has a split for validation, that is
    taken; else `val_fraction` of its training pictures is held out, the same for the same seed. The notes of the
    validation set say which. A split for test stays unseen.

    Raises:
        DataError: as open_objects; classes or relations in the validation set that the training set does not have;
            no object in the pictures left for training.
    """
    layout, other = _layout(source), None if val is None else _layout(val)

    def opened(layout: Layout, split: str | None, like: ObjectFiles | None) -> ObjectFiles:
        return _opened(layout, split, on_error, *((None, None) if like is None else (like.classes, like.relations)))

    train, held = split_train_val(layout, other, opened, val_fraction, seed)
    if other is None and not layout.splits and held.any_objects and not train.any_objects:
        raise DataError(
            f"{train.label}: the {len(train)} pictures that are left for training hold no object "
            f"({len(held)} were held out, seed {seed}); another seed or a validation set of its own expected"
        )
    return train, held


def _layout(source: str | os.PathLike[str]) -> Layout:
    layout = find_layout(source)
    if layout is None:
        store = open_store(source)
        raise DataError(
            f"{store.label} holds no boxes that can be read (found: {count_suffixes(store.files)}); a COCO .json with "
            "images and annotations, VOC's Annotations/*.xml or YOLO's labels/*.txt expected"
        )
    return layout


def _opened(
    layout: Layout,
    split: str | None,
    on_error: str,
    classes: Sequence[str] | None = None,
    relations: Sequence[str] | None = None,
) -> ObjectFiles:
    split = select_split(layout, split, "object_splits")
    found = layout.read(split, None if classes is None else list(classes))
    if relations is not None:
        resolve_relations(found, relations)
    dataset = ObjectFiles(found, on_error)
    objects = f"{len(dataset)} pictures, {len(dataset.classes)} classes"
    dataset.notes.insert(0, f"{dataset.label} was read as {layout.format}: {objects}")
    return dataset
