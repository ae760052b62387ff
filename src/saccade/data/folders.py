"""Pictures with one class each, by their folders or by a table; splits into train and validation."""

import copy
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch

from saccade.data import class_files, class_folders, class_tables, split_lists
from saccade.data.class_columns import EXPECTED, SeveralClasses
from saccade.data.class_folders import ClassFolders, ClassSplit, FolderTree, check_classes
from saccade.data.class_tables import ClassTables
from saccade.data.dataset import check_on_error, partial_read_notes
from saccade.data.files import escape
from saccade.data.formats import FILES, NO_CLASSES
from saccade.data.images import Picture, read_image
from saccade.data.recognise_formats import describe_formats, describe_missing_suffixes, recognise_formats
from saccade.data.split_names import splits_by_role
from saccade.data.splitting import random_split, select_split, split_train_val
from saccade.data.store import FileStore, join_path, open_store
from saccade.data.tabular import SUFFIXES
from saccade.errors import DataError, shorten_list
from saccade.options import OnError

ClassLayout = ClassFolders | ClassTables


class ImageFolder(torch.utils.data.Dataset):
    """Pictures in one folder for each class: `root/cat/1.jpg`, `root/dog/sub/2.png`.

    Args:
        source: the root folder, or a tar or zip of it; the file of a table; or what `find_classes` found. Folders
            around everything are skipped.
        classes: class names in label order, of which the set may lack some. Default: the folders, sorted by name, as
            in torchvision, or the classes of the table in natural order.
        on_error: "fail" raises for an unreadable picture, a row without its picture and an empty class; with "skip",
            they are left out: pictures by `prepare`, `to_arrays` and `drop_unreadable`, which record them in `skipped`.
        split: name or role of the split ("train", "val", ...), if the source has several.

    Attributes:
        title: name of the set in messages.
        classes: class names; `labels` index them.
        labels: int64 (n,), 0 to len(classes) - 1.
        root: folder of the set that the names are relative to.
        names: file names relative to the root, in label order, then in natural order.
        skipped: unreadable pictures found so far, file name -> reason.
        notes: assumptions made while reading, one sentence each.

    Raises:
        DataError: nothing there, no classes, only one class, classes that are not in `classes`, a source with splits
            of which none is named; see `find_classes`.
    """

    def __init__(
        self,
        source: str | os.PathLike[str] | FileStore | ClassLayout,
        classes: Sequence[str] | None = None,
        on_error: OnError = "fail",
        split: str | None = None,
    ):
        check_on_error(on_error)
        layout = source if isinstance(source, ClassFolders | ClassTables) else find_classes(source)
        part = layout.read(select_split(layout, split, "splits"))
        self.store, self.title, self.on_error = layout.store, part.title, on_error
        self.notes, self.skipped = [*part.notes, *layout.store.notes], dict(part.skipped)
        if on_error == "fail" and self.skipped:
            raise DataError(f"{self.title}: {next(iter(self.skipped.values()))}")
        self.classes = self._choose_classes(part, classes)
        self.root = part.root
        self.names = [name for c in self.classes for name in part.by_class.get(c, ())]
        counts = torch.tensor([len(part.by_class.get(c, ())) for c in self.classes])
        self.labels = torch.arange(len(self.classes)).repeat_interleave(counts)

    def _choose_classes(self, part: ClassSplit, classes: Sequence[str] | None) -> list[str]:
        found = list(part.by_class)
        if classes is not None:
            extra = [name for name in found if name not in classes]
            lacking = [name for name in classes if name not in found]
            if extra or not found:
                difference = [
                    f"{what} {shorten_list(map(escape, names), 8)}"
                    for what, names in (("lacks", lacking), ("adds", extra))
                    if names
                ]
                raise DataError(f"the classes of {part.title} differ from the expected: it {' and '.join(difference)}")
            if lacking:
                self.notes.append(f"{part.title} has no picture of {shorten_list(map(escape, lacking), 8)}")
            return list(classes)
        if part.empty and (self.on_error == "fail" or not found):
            raise _no_classes(next(iter(part.empty.values())), self.store)
        self.notes += [text.replace("fill or remove it", "left out") for text in part.empty.values()]
        if len(found) < 2:
            raise _no_classes(f"{part.title} has one class only ({found[0]!r}); two or more expected", self.store)
        return found

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> tuple[Picture, int]:
        return self.picture(index), int(self.labels[index])

    def picture(self, index: int, at_least: tuple[int, int] | None = None) -> Picture:
        """The picture without its label. `at_least`: see `read_image`. Raises DataError if it cannot be read."""
        name = join_path(self.root, self.names[index])
        picture = read_image(self.store.read(name), name=self.store.full_name(name), at_least=at_least)
        self.notes += [note for note in partial_read_notes(picture) if note not in self.notes]
        return picture

    def subset(self, indices: Sequence[int]) -> "ImageFolder":
        """The same classes with the items at `indices` only."""
        part = copy.copy(self)
        part.names = [self.names[i] for i in indices]
        part.labels = self.labels[torch.as_tensor(indices, dtype=torch.int64)]
        part.notes, part.skipped = list(self.notes), {}
        return part


def splits(
    source: str | os.PathLike[str],
    val: str | os.PathLike[str] | None = None,
    val_fraction: float = 0.1,
    seed: int = 0,
    on_error: OnError = "fail",
) -> tuple[ImageFolder, ImageFolder]:
    """Training and validation sets of one source, as `split_train_val` makes them; `val_fraction` is of each class.

    Raises:
        DataError: as ImageFolder; a class of the validation set that the training set does not have; a class too small
            to split.
    """
    layout, other = find_classes(source), None if val is None else find_classes(val)

    def open_split(layout: ClassLayout, split: str | None, like: ImageFolder | None) -> ImageFolder:
        return ImageFolder(layout, None if like is None else like.classes, on_error, split)

    return split_train_val(layout, other, open_split, val_fraction, seed, _hold_out)


def _hold_out(train: ImageFolder, val_fraction: float, seed: int) -> tuple[ImageFolder, ImageFolder]:
    """`val_fraction` of each class."""
    labels = train.labels.numpy()
    groups = {f"class '{escape(name)}'": np.flatnonzero(labels == i).tolist() for i, name in enumerate(train.classes)}
    return random_split(train, val_fraction, seed, groups)


def find_classes(source: str | os.PathLike[str] | FileStore) -> ClassLayout:
    """The classes of a set: of files beside its pictures, of its folders, or of its tables if its folders are not those
    of classes, or if it is the file of a table.

    Raises DataError for a set without classes, and for one whose folders and tables say different classes."""
    if isinstance(source, str | os.PathLike) and Path(source).is_file():
        path = Path(source)
        if path.suffix.lower() in SUFFIXES:
            table, _ = class_tables.find_class_tables(open_store(path.parent), only=path.name)
            if table is None:
                raise DataError(f"{escape(path)} has no row with a picture and its class; {EXPECTED}")
            return table
    store = open_store(source)
    if (beside := class_files.find_class_files(store)) is not None:
        return beside
    others = recognise_formats(store)
    if any(each.format in NO_CLASSES for each in others):
        raise _no_classes("", store)
    try:
        table, faults = class_tables.find_class_tables(store)
    except DataError as error:  # tables of different classes
        if any(each.format in FILES.values() for each in others):
            raise _no_classes("", store) from error
        raise
    try:
        layout = class_folders.find_class_folders(store)
        part = layout.read(next(iter(splits_by_role(layout.splits).values()), None))
    except DataError as error:
        if table is not None:
            return table
        raise _no_classes(str(error), store, faults) from error
    if table is not None and len(part.by_class) < 2:
        return table
    if len(part.by_class) < 2 and faults:
        raise _no_classes(f"{part.title} has one class folder only", store, faults)
    _classes_in_tables(store, layout, part)
    if table is not None and _names_more(part, table):
        layout.notes.append(f"further classes of pictures are not read: {shorten_list(map(escape, table.files))}")
        table = None
    if table is not None and not layout.tables:
        names = _compare(part, table)
        if names is None:
            return table
        if len(splits_by_role(table.splits)) > len(splits_by_role(layout.splits)) or _adds_split(table, layout):
            table.rename(names)
            return table
        layout.notes.append(f"classes are those of the folders; {shorten_list(map(escape, table.files))} agrees")
    elif not layout.splits and (lists := split_lists.find_split_lists(store, part)) is not None:
        return lists
    check_classes(store, part)
    others = [each for each in others if table is None or not set(each.files) <= set(table.files)]
    if others:
        layout.notes.append(f"not read for classes: {describe_formats(others)}")
    return layout


def _adds_split(table: ClassTables, layout: ClassFolders) -> bool:
    """Whether a split that has no class folders has classes in the table, as GTSRB's Final_Test."""
    for split, names in layout.folders.items():
        folders = [f"{join_path(layout.root, name)}/" for name in names]
        if not layout.inner and any(name.startswith(tuple(folders)) for name in table.label_of):
            with suppress(DataError):
                if len(layout.read(split).by_class) > 1:
                    continue
            return True
    return False


def _classes_in_tables(store: FileStore, layout: ClassFolders, part: ClassSplit) -> None:
    """For splits without class folders, tables of the first split's classes (`val` of Tiny ImageNet)."""
    if layout.inner or not layout.folders:
        return
    tree = FolderTree(store)
    for split, names in layout.folders.items():
        folder = join_path(layout.root, names[0])
        if set(tree.below(folder)) & set(part.by_class):
            continue
        if (table := class_tables.find_for_split(store, folder, part.by_class)) is not None:
            layout.tables[split] = table


def _no_classes(problem: str, store: FileStore, faults: Mapping[str, DataError] | None = None) -> DataError:
    """The error for a set without classes, which names the annotations that it holds, or what is wrong with its
    tables. faults: name of a table -> what is wrong with it."""
    found, faults = recognise_formats(store), faults or {}
    if named := [each for each in found if each.format in NO_CLASSES or each.format in FILES.values()]:
        return DataError(f"{store.title} holds {named[0].describe('classify')}")
    if several := [each for each in faults.values() if isinstance(each, SeveralClasses)]:
        return several[0]
    known = {name for each in found if each.is_known and "classify" not in each.tasks for name in each.files}
    tables = [str(fault) for name, fault in faults.items() if name not in known][:1]
    if tables or known:
        problem = problem.partition("; expected")[0]
    held = f"it holds {describe_formats(found, 'classify')}" if known or (found and not tables) else ""
    return DataError("; ".join(filter(None, [problem, *tables, describe_missing_suffixes(store), held])))


def _pairs(part: ClassSplit, table: ClassTables) -> set[tuple[str, str]]:
    """Class folder and class in the table, of all pictures that are in both."""
    label_of = table.label_of
    full_names = ((name, join_path(part.root, file)) for name, files in part.by_class.items() for file in files)
    return {(name, label_of[full]) for name, full in full_names if full in label_of}


def _names_more(part: ClassSplit, table: ClassTables) -> bool:
    """Whether a table has the class folder of each picture, and of some further classes (DTD's joint annotations)."""
    pairs = _pairs(part, table)
    alone = all((name, name) in pairs for name in part.by_class)
    return alone and len(pairs) > len(part.by_class) and all(name in label.split() for name, label in pairs)


def _compare(part: ClassSplit, table: ClassTables) -> dict[str, str] | None:
    """Class of the table -> class folder; None, with a note, where the folders are groups of the table's classes or
    parts of the set (`part_1`, `part_2`). Raises DataError if the two are not the same pictures."""
    pairs = _pairs(part, table)
    covered = {each for each, _ in pairs} == set(part.by_class)
    numbered = len({re.sub(r"[\W\d_]+", "", name.casefold()) for name in part.by_class}) == 1
    if covered and len(pairs) > len(part.by_class) and (numbered or len({label for _, label in pairs}) == len(pairs)):
        what = "parts of the set" if numbered else "groups of its classes"
        table.notes.append(f"the folders {shorten_list(map(escape, part.by_class))} are {what}")
        return None
    if any(len({pair[side] for pair in pairs}) != len(pairs) for side in (0, 1)):
        labels = shorten_list(dict.fromkeys(escape(label) for label in table.label_of.values()))
        file = escape(table.files[0])
        raise DataError(
            f"the folders of {part.title} ({shorten_list(map(escape, part.by_class))}) are not the classes of {file} "
            f"({labels}): give {file} itself to read its classes, or remove it"
        )
    return {label: name for name, label in pairs}
