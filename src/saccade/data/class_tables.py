"""Pictures whose classes, or splits, are in tables; `class_columns.py` finds the columns.

A column split, or the names of files and folders, say which split a row belongs to.
"""

import re
from collections.abc import Container, Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from posixpath import splitext

from saccade.data.class_columns import EXPECTED, file_column, label_columns, split_column
from saccade.data.class_folders import ClassPart
from saccade.data.files import escape, is_picture, natural_key
from saccade.data.split_names import is_trainval, split_role
from saccade.data.store import Store, join, parent_folder, read_text, relative_to
from saccade.data.tabular import SUFFIXES, TEXT_SUFFIXES, PictureIndex, load
from saccade.errors import DataError, some_of

MOST_TABLES = 64  # files of a set that are looked at


@dataclass(frozen=True)
class Row:
    where: str
    picture: str
    label: str


@dataclass
class ClassTables:
    """A set whose classes are in tables. parts: split -> rows; "" without splits. problems: (place, text)."""

    store: Store
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

    def read(self, split: str | None = None) -> ClassPart:
        """A split, or the only one."""
        by_class: dict[str, list[str]] = {}
        for row in self.parts[split or next(iter(self.parts))]:
            by_class.setdefault(row.label, []).append(relative_to(self.root, row.picture))
        ordered = {name: sorted(by_class[name], key=natural_key) for name in sorted(by_class, key=natural_key)}
        label = self.store.label + (f", {split}" if split else "")
        return ClassPart(label, self.root, ordered, {}, self.problems, list(self.notes))


def find(store: Store, only: str | None = None) -> tuple[ClassTables | None, list[str]]:
    """The set of the tables of a store, None if there are none, and what is wrong with those that are not used.

    only: the one table to read; then what is wrong with it is raised as DataError."""
    names, faults, found = [only] if only else _candidates(store), list[str](), list[_Read]()
    index = PictureIndex(store) if names else None
    for name in names:
        assert index is not None
        try:
            read = _read(store, index, name, certain=only is not None)
        except DataError as error:
            if only:
                raise
            if not name.lower().endswith((".json", *TEXT_SUFFIXES)):
                faults.append(str(error))
            continue
        if read.rows:
            found.append(read)
    return (_joined(store, found) if found else None), faults


def _candidates(store: Store) -> list[str]:
    """Files that may be tables, text files last, without those that are of one picture."""
    names = [n for n in store.files if n.lower().endswith(SUFFIXES) and not PurePosixPath(n).name.startswith(".")]
    stems = {splitext(name)[0] for name in store.files if is_picture(name)} if names else set()
    names = [name for name in names if splitext(name)[0] not in stems]
    return sorted(names, key=lambda name: (name.lower().endswith((".json", *TEXT_SUFFIXES)), natural_key(name)))[
        :MOST_TABLES
    ]


def _joined(store: Store, found: list["_Read"]) -> ClassTables:
    """Tables as one set; one that names only pictures of those before is left out.

    Raises DataError for a picture with two classes."""
    parts: dict[str, list[Row]] = {}
    first: dict[str, Row] = {}
    seen = set[tuple[str, str]]()  # split and picture
    problems, notes, files, again = dict[str, str](), list[str](), list[str](), 0
    for table in found:
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
                    f"{store.label}: {escape(row.picture)} has the class '{escape(before.label)}' ({before.where}) and "
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
    unnamed = [n for n in store.files if is_picture(n) and n not in first]
    if unnamed:
        notes.append(f"{len(unnamed)} pictures have no row in a table and are not used, such as {escape(unnamed[0])}")
    root = parent_folder(files[0]) if len(files) == 1 else ""
    root = root if all(name.startswith(f"{root}/") for name in first) else ""
    notes.insert(0, f"classes read from {some_of(map(escape, files))} of {store.label}")
    return ClassTables(store, root, files, parts, problems, notes)


@dataclass
class _Read:
    """What a table says. rows: (split, row)."""

    name: str
    rows: list[tuple[str, Row]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)


def _read(store: Store, index: PictureIndex, name: str, certain: bool) -> _Read:
    """A table; no rows for one of something else. certain: whether it was given by its name.

    Raises DataError, naming the table, if it names pictures and not certainly their classes."""
    result = _Read(name)
    if "submission" in PurePosixPath(name).stem.lower() and not certain:
        return result
    table, folder = load(store, name), parent_folder(name)
    role = split_role(name) or split_role(folder)
    try:
        file = file_column(table, index, folder, role)
    except DataError as error:
        raise DataError(f"{escape(store.full_name(name))} {error}") from error
    if file is None:
        if certain:
            raise DataError(f"{escape(store.full_name(name))} names no pictures that are there; {EXPECTED}")
        return result
    labels = label_columns(table, file, escape(store.full_name(name)), certain or split_role(name) is not None)
    split = split_column(table, {file, *labels.columns})
    read = {file, *labels.columns, split and split.column}
    others = [c for i, c in enumerate(table.columns) if c and i not in read]
    result.notes = [f"{escape(name)}: {labels.how}"] if labels.how else []
    if others:
        result.notes.append(f"columns of {escape(name)} that are not read: {some_of(map(escape, others), 8)}")
    splits: dict[str, tuple[str, str]] = {}  # picture -> its split, and where it says so
    for line, values in table.rows:
        where = f"{escape(name)}, line {line}"
        try:
            if len(values) != len(table.columns):
                raise DataError(f"has {len(values)} fields; {len(table.columns)} expected")
            label, picture = labels.of(values), _only(index.find(values[file], folder, role), values[file])
            named = _split_by_name(name, picture) if split is None else split.of(values)
        except DataError as error:
            result.problems[where] = f"{where} {error}"
            continue
        result.rows.append((named, Row(where, picture, label)))
        other, before = splits.setdefault(picture, (named, where))
        if other != named:
            raise DataError(
                f"{escape(picture)} is in the splits {escape(other)} ({before}) and {escape(named)} ({where}); put it "
                "into one"
            )
    if not result.rows:
        raise DataError(next(iter(result.problems.values()), f"{escape(name)} has no rows"))
    return result


def _only(found: list[str], value: object) -> str:
    if len(found) == 1:
        return found[0]
    what = f"may mean {some_of(map(escape, found))}" if found else "is not there; add or remove it"
    raise DataError(f"names {escape(value)}, which {what}")


def _split_by_name(table: str, picture: str) -> str:
    """The role of the name of a table, of its folders, or of those of a picture."""
    stem = PurePosixPath(table).stem
    named = [stem, *reversed(parent_folder(table).split("/")), *reversed(parent_folder(picture).split("/"))]
    return next(("trainval" if is_trainval(each) else role for each in named if (role := split_role(each))), "")


def find_lists(store: Store, part: ClassPart) -> ClassTables | None:
    """The pictures of class folders by text files that are named like splits and list them (`train.txt`), or by
    CUB's two: `images.txt` numbers them, and `train_test_split.txt` says of each number whether it is for training."""
    names = [name for name in _candidates(store) if split_role(PurePosixPath(name).stem) is not None]
    names = [name for name in names if name.lower().endswith((".csv", *TEXT_SUFFIXES))]
    class_of = {join(part.root, file): name for name, files in part.by_class.items() for file in files}
    index = PictureIndex(store)
    parts: dict[str, list[Row]] = {}
    files, problems = list[str](), dict[str, str]()
    for name in names:
        found = _listed(store, name, index, class_of)
        if any(picture for _, _, picture in found):
            files.append(name)
            for i, line, picture in found:
                where = f"{escape(name)}, line {i}"
                if picture:
                    parts.setdefault(PurePosixPath(name).stem, []).append(Row(where, picture, class_of[picture]))
                elif i > 1:  # a header
                    problems[where] = f"{where} lists {escape(line)}, which is not there; add or remove it"
    for name in store.files:
        if PurePosixPath(name).name == "train_test_split.txt" and (rows := _numbered(store, name, index, class_of)):
            files.append(name)
            for split, row in rows:
                parts.setdefault(split, []).append(row)
    if not files:
        return None
    notes = [f"splits read from {some_of(map(escape, files))} of {store.label}"]
    unlisted = set(class_of).difference(row.picture for rows in parts.values() for row in rows)
    if unlisted:
        notes.append(f"{len(unlisted)} pictures are in no list of a split and are not used")
    return ClassTables(store, part.root, files, parts, problems, notes, "class folders with lists")


def _numbered(store: Store, name: str, index: PictureIndex, class_of: Mapping[str, str]) -> list[tuple[str, Row]]:
    """The split of each picture of a `train_test_split.txt`; none if it, or the `images.txt` beside it, is something
    else. Raises DataError for a number that is in one of them only, or twice."""
    numbered = join(parent_folder(name), "images.txt")
    if numbered not in store.files:
        return []
    pictures, splits = (
        [line.split(maxsplit=1) for line in read_text(store, each).splitlines() if line.strip()]
        for each in (numbered, name)
    )
    if not all(len(row) == 2 for row in (*pictures, *splits)) or not {flag for _, flag in splits} <= {"0", "1"}:
        return []
    if len(dict(pictures)) != len(pictures) or sorted(n for n, _ in pictures) != sorted(n for n, _ in splits):
        raise DataError(
            f"{escape(store.full_name(name))} and {escape(numbered)} number different pictures; each number once in "
            "both expected"
        )
    found = [
        (n, path, [p for p in index.find(path, parent_folder(name), None) if p in class_of]) for n, path in pictures
    ]
    split_of = {n: ("test", "train")[int(flag)] for n, flag in splits}
    return [
        (split_of[n], Row(f"{escape(name)}, number {escape(n)}", names[0], class_of[names[0]]))
        for n, path, names in found
        if len(names) == 1
    ]


def _listed(store: Store, name: str, index: PictureIndex, known: Container[str]) -> list[tuple[int, str, str]]:
    """Number and text of each line of a file, and the picture that it names, "" for none."""
    try:
        lines = read_text(store, name).splitlines()
    except DataError:
        return []
    found = []
    for i, line in enumerate(map(str.strip, lines), start=1):
        ways = (index.find(value, parent_folder(name), None) for value in (line, *re.split(r"[\s,;]+", line)[:1]))
        inside = [[each for each in way if each in known] for way in ways]
        if line:
            found.append((i, line, next((way[0] for way in inside if len(way) == 1), "")))
    return found
