"""Pictures whose classes, or splits, are in tables; `class_columns.py` finds the columns.

A column split, or the names of files and folders, say which split a row belongs to.
"""

import re
from collections.abc import Container
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from posixpath import splitext

from saccade.data.class_columns import (
    EXPECTED,
    SeveralClasses,
    UnknownColumns,
    file_column,
    known_class_column,
    label_columns,
    split_column,
)
from saccade.data.class_folders import ClassSplit
from saccade.data.files import escape, has_control_characters, is_picture, natural_key
from saccade.data.split_names import is_trainval, split_role
from saccade.data.store import FileStore, parent_folder, relative_to
from saccade.data.tabular import SUFFIXES, TEXT_SUFFIXES, PictureIndex, load_table
from saccade.errors import DataError, shorten_list

MOST_TABLES = 64  # files of a set that are looked at
FEWEST = 4  # pictures with a class each, of which none is another's
MULTI_LABEL = 0.1  # share of rows with several classes above which these are no slips


@dataclass(frozen=True)
class Row:
    where: str
    picture: str
    label: str


@dataclass
class ClassTables:
    """A set whose classes are in tables. parts: split -> rows; "" without splits. problems: (place, text)."""

    store: FileStore
    root: str
    files: list[str]
    parts: dict[str, list[Row]]
    problems: dict[str, str]
    notes: list[str] = field(default_factory=list)
    format: str = "classes in a table"

    @property
    def splits(self) -> list[str]:
        return [name for name in self.parts if name]

    @property
    def label_of(self) -> dict[str, str]:
        """Picture -> class, of all splits."""
        return {row.picture: row.label for rows in self.parts.values() for row in rows}

    def rename(self, names: dict[str, str]) -> None:
        """Other names for the classes."""
        for split, rows in self.parts.items():
            self.parts[split] = [replace(row, label=names.get(row.label, row.label)) for row in rows]

    def read(self, split: str | None = None) -> ClassSplit:
        """A split, or the only one."""
        by_class: dict[str, list[str]] = {}
        for row in self.parts[split or next(iter(self.parts))]:
            by_class.setdefault(row.label, []).append(relative_to(self.root, row.picture))
        ordered = {name: sorted(by_class[name], key=natural_key) for name in sorted(by_class, key=natural_key)}
        label = self.store.title + (f", {split}" if split else "")
        return ClassSplit(label, self.root, ordered, {}, self.problems, list(self.notes))


def find_class_tables(store: FileStore, only: str | None = None) -> tuple[ClassTables | None, dict[str, DataError]]:
    """The set of the tables of a store, None if there are none, and what is wrong with each that is not used.

    only: the one table to read; then what is wrong with it is raised as DataError."""
    names, found = [only] if only else candidate_tables(store), list[_Read]()
    faults, unknown = dict[str, DataError](), dict[str, DataError]()
    index = PictureIndex(store) if names else None
    for name in names:
        assert index is not None
        try:
            read = _read(store, index, name, certain=only is not None)
        except DataError as error:
            if only:
                raise
            if isinstance(error, UnknownColumns | SeveralClasses):
                unknown[name] = error
            elif not name.lower().endswith((".json", *TEXT_SUFFIXES)):
                faults[name] = error
            continue
        if read.rows:
            found.append(read)
    joined = _joined(store, found) if found else None
    if joined is not None and not only and len(set(joined.label_of.values())) == len(joined.label_of) >= FEWEST:
        where = escape(store.full_name(joined.files[0]))
        text = f"{where} gives each of its pictures a class of its own: texts, and not classes"
        return None, {joined.files[0]: UnknownColumns(text)}
    if joined is not None:
        joined.notes += [f"not read: {fault}" for fault in unknown.values()]
    return joined, faults | unknown


def find_for_split(store: FileStore, folder: str, classes: Container[str]) -> ClassTables | None:
    """The classes of the pictures in the folder of a split, from a table that has a column of those classes; None
    without one."""
    index, found = PictureIndex(store), list[_Read]()
    for name in candidate_tables(store):
        with suppress(DataError):
            read = _read(store, index, name, certain=False, classes=classes, role=split_role(folder))
            read.rows = [("", row) for _, row in read.rows if row.picture.startswith(f"{folder}/")]
            found += [read] if read.rows else []
    return _joined(store, found, f"{folder}/") if found else None


def candidate_tables(store: FileStore) -> list[str]:
    """Files that may be tables, text files last, without those that are of one picture."""
    names = [n for n in store.files if n.lower().endswith(SUFFIXES) and not PurePosixPath(n).name.startswith(".")]
    stems = {splitext(name)[0] for name in store.files if is_picture(name)} if names else set()
    names = [name for name in names if splitext(name)[0] not in stems]
    return sorted(names, key=lambda name: (name.lower().endswith((".json", *TEXT_SUFFIXES)), natural_key(name)))[
        :MOST_TABLES
    ]


def _joined(store: FileStore, found: list["_Read"], folder: str = "") -> ClassTables:
    """Tables as one set; one that names only pictures of those before is left out. folder: of the pictures, "" or with
    a slash.

    Raises DataError for a picture with two classes."""
    parts: dict[str, list[Row]] = {}
    first: dict[str, Row] = {}
    seen = set[tuple[str, str]]()  # split and picture
    problems, notes, files, again = dict[str, str](), list[str](), list[str](), 0
    for table in sorted(found, key=lambda table: not any(split for split, _ in table.rows)):  # lists of all last
        known = (row.picture in first and (not split or (split, row.picture) in seen) for split, row in table.rows)
        if all(known) and all(first[row.picture].label == row.label for _, row in table.rows):
            notes.append(f"{escape(table.name)} is not read: its pictures are in {escape(files[0])}, too")
            continue
        files.append(table.name)
        notes += table.notes
        problems |= table.problems
        for split, row in table.rows:
            before = first.setdefault(row.picture, row)
            if before.label != row.label:
                raise DataError(
                    f"{store.title}: {escape(row.picture)} has the class '{escape(before.label)}' ({before.where}) and "
                    f"'{escape(row.label)}' ({row.where}); one class a picture expected"
                )
            again += (split, row.picture) in seen
            if (split, row.picture) not in seen:
                parts.setdefault(split, []).append(row)
            seen.add((split, row.picture))
    if again:
        notes.append(f"{again} rows name a picture again, with the same class")
    if "" in parts and len(parts) > 1:
        parts["default"] = parts.pop("")
    unnamed = [n for n in store.files if is_picture(n) and n.startswith(folder) and n not in first]
    if unnamed:
        notes.append(f"{len(unnamed)} pictures have no row in a table and are not used, such as {escape(unnamed[0])}")
    root = parent_folder(files[0]) if len(files) == 1 else ""
    root = root if all(name.startswith(f"{root}/") for name in first) else ""
    notes.insert(0, f"classes read from {shorten_list(map(escape, files))} of {store.title}")
    return ClassTables(store, root, files, parts, problems, notes)


@dataclass
class _Read:
    """What a table says. rows: (split, row)."""

    name: str
    rows: list[tuple[str, Row]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)


def _read(
    store: FileStore,
    index: PictureIndex,
    name: str,
    certain: bool,
    classes: Container[str] | None = None,
    role: str | None = None,
) -> _Read:
    """A table; no rows for one of something else. certain: whether it was given by its name. classes: those that its
    labels are of; no rows for a table that has no column of them. role: of the split whose pictures are meant.

    Raises DataError, naming the table, if it names pictures and not certainly their classes."""
    result = _Read(name)
    if "submission" in PurePosixPath(name).stem.lower() and not certain:
        return result
    table, folder = load_table(store, name, index), parent_folder(name)
    if len(table.columns) == 1 and not certain:  # a list
        return result
    role = role or split_role(name) or split_role(folder)
    try:
        file = file_column(table, index, folder, role)
    except DataError as error:
        raise type(error)(f"{escape(store.full_name(name))} {error}") from error
    if file is None:
        if certain:
            raise DataError(f"{escape(store.full_name(name))} names no pictures that are there; {EXPECTED}")
        return result
    if classes is None:
        labels = label_columns(table, file, escape(store.full_name(name)), certain or split_role(name) is not None)
    elif (known := known_class_column(table, file, classes)) is not None:
        labels = known
    else:
        return result
    split = split_column(table, {file, *labels.columns})
    read = {file, *labels.columns, *(split.columns if split else ())}
    others = [c for i, c in enumerate(table.columns) if c and i not in read]
    result.notes = [f"{escape(name)}: {labels.how}"] if labels.how else []
    if others:
        result.notes.append(f"columns of {escape(name)} that are not read: {shorten_list(map(escape, others), 8)}")
    splits: dict[str, tuple[str, str]] = {}  # picture -> its split, and where it says so
    several: list[str] = []
    for line, values in table.rows:
        where = f"{escape(name)}, line {line}"
        try:
            if len(values) != len(table.columns):
                raise DataError(f"has {len(values)} fields; {len(table.columns)} expected")
            label, picture = labels.of(values), index.only(values[file], folder, role)
            if has_control_characters(label):
                raise DataError(f"has the class '{escape(label)}', with control characters; rename it")
            named = _split_by_name(name, picture) if split is None else split.of(values)
        except DataError as error:
            result.problems[where] = f"{where} {error}"
            several += [f"line {line} {error}"] if isinstance(error, SeveralClasses) else []
            continue
        result.rows.append((named, Row(where, picture, label)))
        other, before = splits.setdefault(picture, (named, where))
        if other != named:
            raise DataError(
                f"{escape(picture)} is in the splits {escape(other)} ({before}) and {escape(named)} ({where}); put it "
                "into one"
            )
    labels_found = {row.label for _, row in result.rows}
    joined = [row for _, row in result.rows if _are_several(row.label, labels_found)]
    several += [f"{row.where.rpartition(', ')[2]} has the class '{escape(row.label)}'" for row in joined]
    if len(several) > MULTI_LABEL * len(table.rows):
        raise SeveralClasses(
            f"{escape(store.full_name(name))} is multi-label: {len(several)} of its {len(table.rows)} rows have "
            f"several classes ({several[0].partition(';')[0]}), and one class a picture is learned: write a column "
            "label with one class, or leave such rows out"
        )
    if not result.rows:
        raise DataError(next(iter(result.problems.values()), f"{escape(name)} has no rows"))
    return result


def _are_several(label: str, classes: Container[str]) -> bool:
    """Whether a label is of several words that are all classes by themselves."""
    words = re.split(r"[\s,&+]+", label)
    return len(words) > 1 and all(word in classes for word in words)


def _split_by_name(table: str, picture: str) -> str:
    """The role of the name of a table, of its folders, or of those of a picture."""
    stem = PurePosixPath(table).stem
    named = [stem, *reversed(parent_folder(table).split("/")), *reversed(parent_folder(picture).split("/"))]
    return next(("trainval" if is_trainval(each) else role for each in named if (role := split_role(each))), "")
