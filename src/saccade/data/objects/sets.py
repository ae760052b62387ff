"""Pictures with boxes from COCO JSON, Pascal VOC or YOLO files, in a folder or a tar: the format is found by looking.

The three readers (`coco.py`, `voc.py`, `yolo.py`) say what the files say; `files.py` makes a data set of it.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, Self, TypeVar

import numpy as np

from saccade.data.files import contents, shown
from saccade.data.objects import annotated, coco, voc, yolo
from saccade.data.objects.annotated import Annotations
from saccade.data.objects.files import ObjectFiles
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
    bad: str = "skip",
    classes: Sequence[str] | None = None,
    relations: Sequence[str] | None = None,
) -> ObjectFiles:
    """Pictures with their objects.

    Args:
        source: a folder or tar that holds COCO JSON, Pascal VOC or YOLO files; or a COCO .json or a YOLO data.yaml.
        split: "train", "val", "test" or the split's own name, where the set has several.
        bad: what an unreadable picture or a bad box does: "skip" leaves it out and records it, "fail" raises.
        classes: names in label order; the set may use some of them, and no others. Default: as its files have it
            (COCO's categories by id, YOLO's list, the names found in VOC's files, sorted).
        relations: likewise, of relations. Default: a COCO file's list of them, or the names found in it, sorted.

    Raises:
        DataError: nothing of the kind found; a split that is not there or was not named; see `ObjectFiles`.
    """
    return _opened(_layout(source), split, bad, classes, relations)


def object_splits(
    source: str | os.PathLike[str],
    val: str | os.PathLike[str] | None = None,
    fraction: float = 0.1,
    seed: int = 0,
    bad: str = "skip",
) -> tuple[ObjectFiles, ObjectFiles]:
    """Training and validation sets of one source.

    With `val`, that source is the validation set. Otherwise, where the source has a split for training beside one
    for validation or test, those are taken (in this order of preference); else `fraction` of its pictures is held
    out, the same for the same seed. The notes of the validation set say which.

    Raises:
        DataError: as open_objects; classes or relations in the validation set that the training set does not have;
            no object in the pictures left for training.
    """
    layout = _layout(source)
    first = {kind: _of_role(layout, kind) for kind in ("train", "val", "test")}
    if layout.splits and first["train"] is None:
        raise DataError(f"{layout.store.label} has no split for training (found: {', '.join(layout.splits)})")
    train = _opened(layout, first["train"], bad)
    held = first["val"] or first["test"]
    if val is not None:
        other = _layout(val)
        name = next((found for kind in ("val", "test", "train") if (found := _of_role(other, kind))), None)
        result = _opened(other, name, bad, train.classes, train.relations)
        result.notes.append(f"validation: {result.label}")
    elif held is not None:
        result = _opened(layout, held, bad, train.classes, train.relations)
        result.notes.append(f"validation: the split {held}")
    else:
        whole = train
        train, result = hold_out(whole, fraction, seed)
        if whole.any_objects and not train.any_objects:
            raise DataError(
                f"{whole.label}: the {len(train)} pictures that are left for training hold no object "
                f"({len(result)} were held out, seed {seed}); another seed or a validation set of its own expected"
            )
        result.notes.append(
            f"no validation split was found: {len(result)} pictures ({fraction:.0%}, seed {seed}) held out"
        )
    return train, result


class Divisible(Protocol):
    """A set that parts can be taken of."""

    label: str

    def __len__(self) -> int: ...

    def subset(self, indices: Sequence[int]) -> Self: ...


Whole = TypeVar("Whole", bound=Divisible)


def hold_out(whole: Whole, fraction: float, seed: int = 0) -> tuple[Whole, Whole]:
    """The set without `fraction` of its pictures, and those, in the order of the set; the same for the same seed.

    Raises DataError for a fraction outside 0..1 and for a single picture."""
    if not 0 < fraction < 1:
        raise DataError(f"fraction={fraction} was given; a number between 0 and 1 expected")
    if len(whole) < 2:
        raise DataError(f"{whole.label} has one picture; two are needed to hold one out for validation")
    count = min(max(1, round(fraction * len(whole))), len(whole) - 1)
    held = sorted(np.random.default_rng(seed).permutation(len(whole))[:count].tolist())
    rest = sorted(set(range(len(whole))) - set(held))
    return whole.subset(rest), whole.subset(held)


def _layout(source: str | os.PathLike[str]) -> Layout:
    layout = find_layout(source)
    if layout is None:
        store = open_store(source)
        raise DataError(
            f"{store.label} holds no boxes that can be read (found: {contents(store.files)}); a COCO .json with "
            "images and annotations, VOC's Annotations/*.xml or YOLO's labels/*.txt expected"
        )
    return layout


def _opened(
    layout: Layout,
    split: str | None,
    bad: str,
    classes: Sequence[str] | None = None,
    relations: Sequence[str] | None = None,
) -> ObjectFiles:
    if split is not None:
        split = annotated.pick(layout.splits, split, layout.store.label)
    elif len(layout.splits) > 1:
        raise DataError(
            f"{layout.store.label} holds the splits {', '.join(map(shown, layout.splits))}; "
            f"name one (split={layout.splits[0]!r}) or use object_splits(...)"
        )
    found = layout.read(split, None if classes is None else list(classes))
    if relations is not None:
        annotated.number_relations(found, relations)
    dataset = ObjectFiles(found, bad)
    objects = f"{len(dataset)} pictures, {len(dataset.classes)} classes"
    dataset.notes.insert(0, f"{dataset.label} was read as {layout.format}: {objects}")
    return dataset


def _of_role(layout: Layout, kind: str) -> str | None:
    named = [name for name in layout.splits if annotated.role(name) == kind]
    return kind if kind in named else next(iter(named), None)
