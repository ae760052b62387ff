"""Pictures whose classes stand in a table: CSV with any separator, TSV, JSON lines, text lines of a file and a class.

The column of files is the one whose values name pictures of the set (a name, a path, or a name without suffix). The
class is in a column named label, class, category or alike, in the only other column, or in one column for each class
with a single 1 in every row. A column split, or the names of files and folders, say which split a row belongs to.
"""

import csv
import io
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from saccade.data.class_folders import ClassPart
from saccade.data.files import escape, is_picture, natural_key
from saccade.data.split_names import split_role
from saccade.data.store import Store, join, parent_folder, read_text, relative_to
from saccade.errors import DataError, in_one_line, some_of

TEXT_SUFFIXES = (".txt", ".lst")
SUFFIXES = (".csv", ".tsv", ".jsonl", *TEXT_SUFFIXES)
# Headings without case and separators.
LABEL_COLUMNS = (
    "label", "labels", "class", "classes", "classname", "classlabel", "classid", "labelname", "labelid", "category",
    "categories", "categoryname", "categoryid", "target", "species", "breed", "variety", "diagnosis", "disease", "dx",
    "klasse", "kategorie", "라벨", "클래스",
)  # fmt: skip
SPLIT_COLUMNS = ("split", "set", "dataset", "subset", "partition", "phase", "fold", "usage")
# Columns of tables of objects in pictures, and of captions.
OBJECT_COLUMNS = re.compile(r"x_?min|x1|bbox|encoded_?pixels|rle|region_shape_attributes", re.IGNORECASE)
TEXT_COLUMNS = ("caption", "captions", "text", "comment", "prompt")
EXPECTED = (
    "a column file_name with the names of pictures and a column label with their classes expected (and, for splits, a "
    "column split)"
)
TRIED = 200  # rows that are looked up to find the column of files
MOST_TABLES = 64


@dataclass
class Table:
    """The rows of a file. columns: headings, "" where there are none."""

    name: str
    columns: list[str]
    rows: list[tuple[int, list[object]]]


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

    def read(self, split: str | None = None) -> ClassPart:
        """A split, or the only one."""
        by_class: dict[str, list[str]] = {}
        for row in self.parts[split or next(iter(self.parts))]:
            by_class.setdefault(row.label, []).append(relative_to(self.root, row.picture))
        ordered = {name: sorted(by_class[name], key=natural_key) for name in sorted(by_class, key=natural_key)}
        label = self.store.label + (f", {split}" if split else "")
        return ClassPart(label, self.root, ordered, {}, self.problems, list(self.notes))


class PictureIndex:
    """Pictures by the end of their path, with or without suffix."""

    def __init__(self, store: Store):
        self.files = set(store.files)
        self.by_tail: dict[str, list[str]] = {}
        for name in filter(is_picture, store.files):
            parts = PurePosixPath(name).parts
            stem = PurePosixPath(name).stem
            for i in range(len(parts)):
                for tail in {"/".join(parts[i:]), "/".join((*parts[i:-1], stem))}:
                    self.by_tail.setdefault(tail, []).append(name)

    def find(self, value: object, folder: str, role: str | None) -> list[str]:
        """The pictures that `value` may mean, in a table in `folder`: its own folder first, then folders of the role,
        then anywhere."""
        text = str(value).strip().replace("\\", "/").removeprefix("./") if isinstance(value, str | int) else ""
        if not text or (text.startswith("/") and "/" not in text[1:]):
            return []
        if is_picture(text) and (near := join(folder, text)) in self.files:
            return [near]
        parts = [part for part in text.split("/") if part not in ("", ".", "..")]
        for i in range(len(parts)):  # paths of another machine
            found = self.by_tail.get("/".join(parts[i:]), [])
            inside = [n for n in found if not folder or n.startswith(f"{folder}/")] or found
            if len(inside) > 1 and role is not None:
                inside = [n for n in inside if any(split_role(p) == role for p in n.split("/")[:-1])] or inside
            if inside:
                return inside
        return []


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
            if not name.lower().endswith(TEXT_SUFFIXES):
                faults.append(str(error))
            continue
        if read.rows:
            found.append(read)
    return (_joined(store, found) if found else None), faults


def _candidates(store: Store) -> list[str]:
    """Files that may be tables, text files last, without those that are of one picture."""
    stems = {str(PurePosixPath(name).with_suffix("")) for name in store.files if is_picture(name)}
    names = [n for n in store.files if n.lower().endswith(SUFFIXES) and not PurePosixPath(n).name.startswith(".")]
    names = [n for n in names if str(PurePosixPath(n).with_suffix("")) not in stems]
    return sorted(names, key=lambda name: (name.lower().endswith(TEXT_SUFFIXES), natural_key(name)))[:MOST_TABLES]


def _joined(store: Store, found: list["_Read"]) -> ClassTables:
    """Tables as one set; one that names only pictures of those before is left out.

    Raises DataError for a picture with two classes."""
    parts: dict[str, list[Row]] = {}
    first: dict[str, Row] = {}
    problems, notes, files, again = dict[str, str](), list[str](), list[str](), 0
    for table in found:
        for _, row in table.rows:
            before = first.get(row.picture, row)
            if before.label != row.label:
                raise DataError(
                    f"{store.label}: {escape(row.picture)} has the class '{escape(before.label)}' ({before.where}) and "
                    f"'{escape(row.label)}' ({row.where}); one class a picture expected"
                )
        if all(row.picture in first for _, row in table.rows):
            notes.append(f"{escape(table.name)} is not read: its pictures are in {escape(files[0])}, too")
            continue
        files.append(table.name)
        notes += table.notes
        problems |= table.problems
        for split, row in table.rows:
            again += row.picture in first
            if first.setdefault(row.picture, row) is row:
                parts.setdefault(split, []).append(row)
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
    file = _file_column(table, index, folder, role)
    if file is None:
        if certain:
            raise DataError(f"{escape(store.full_name(name))} names no pictures that are there; {EXPECTED}")
        return result
    label_of, label_columns, how = _labels(table, file, escape(store.full_name(name)))
    split = _split_column(table, {file, *label_columns})
    others = [c for i, c in enumerate(table.columns) if c and i not in {file, split, *label_columns}]
    result.notes = [f"{escape(name)}: {how}"] if how else []
    if others:
        result.notes.append(f"columns of {escape(name)} that are not read: {some_of(map(escape, others), 8)}")
    for line, values in table.rows:
        where = f"{escape(name)}, line {line}"
        try:
            if len(values) != len(table.columns):
                raise DataError(f"has {len(values)} fields; {len(table.columns)} expected")
            label, picture = label_of(values), _only(index.find(values[file], folder, role), values[file])
        except DataError as error:
            result.problems[where] = f"{where} {error}"
            continue
        result.rows.append((_split_of(values, split, name, picture), Row(where, picture, label)))
    return result


def _only(found: list[str], value: object) -> str:
    if len(found) == 1:
        return found[0]
    what = f"may mean {some_of(map(escape, found))}" if found else "is not there; add or remove it"
    raise DataError(f"names {escape(value)}, which {what}")


def _split_of(values: Sequence[object], column: int | None, table: str, picture: str) -> str:
    if column is not None:
        return str(values[column]).strip()
    stem = PurePosixPath(table).stem
    named = [stem, *reversed(parent_folder(table).split("/")), *reversed(parent_folder(picture).split("/"))]
    return next((role for each in named if (role := split_role(each))), "")


def _split_column(table: Table, taken: set[int]) -> int | None:
    """The column whose values all are names of splits."""
    for i, column in enumerate(table.columns):
        if i not in taken and _plain(column) in SPLIT_COLUMNS:
            values = {str(values[i]).strip() for _, values in table.rows if len(values) > i}
            if values and all(map(split_role, values)):
                return i
    return None


def _file_column(table: Table, index: PictureIndex, folder: str, role: str | None) -> int | None:
    """The column most of whose values name pictures; of several (with and without suffix), the first."""
    step = max(1, len(table.rows) // TRIED)
    tried = [values for _, values in table.rows[::step]]
    width = len(table.columns)
    hits = [sum(bool(index.find(v[i], folder, role)) for v in tried if len(v) == width) for i in range(min(width, 64))]
    return hits.index(max(hits)) if hits and max(hits) * 2 >= len(tried) > 0 else None


def _labels(table: Table, file: int, display: str):
    """A function from the values of a row to its class, the columns of it, and how it was found.

    Raises DataError, naming the table, if that is not certain."""
    columns = table.columns
    others = [i for i in range(len(columns)) if i != file]
    known = [i for i in others if _plain(columns[i]) in LABEL_COLUMNS]
    fault = f"{display} has the columns {', '.join(escape(c) for c in columns[:12])}"
    if any(OBJECT_COLUMNS.fullmatch(column.strip()) for column in columns):
        raise DataError(f"{fault}: it holds objects in pictures, not classes of pictures; {EXPECTED}")
    if not known and any(_plain(column) in TEXT_COLUMNS for column in columns):
        raise DataError(f"{fault}: it holds texts, not classes of pictures; {EXPECTED}")
    if not known:
        plain = [i for i in others if _plain(columns[i]) not in SPLIT_COLUMNS]
        if len(plain) == 1 and _repeats(table, plain[0]):
            known = plain
        elif len(plain) > 1 and _one_hot(table, plain):
            return _hot(plain, columns), plain, "one column for each class, with a 1 in the column of the class"
    if len(known) > 1:
        known = _same(table, known)
    if len(known) != 1:
        problem = "several columns may hold the class" if known else "none is known to hold the class"
        raise DataError(f"{fault}: {problem}; {EXPECTED}")
    how = (
        ""
        if _plain(columns[known[0]]) in LABEL_COLUMNS[:12]
        else f"classes are the column '{escape(columns[known[0]])}'"
    )
    return _named(known[0]), known, how if columns[known[0]] else ""


def _named(column: int):
    def label(values: Sequence[object]) -> str:
        value = values[column]
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        text = str(value).strip() if isinstance(value, str | int) else ""
        if not text or text.lower() in ("nan", "none", "null"):
            raise DataError(
                f"has {'no class' if not text else f'the class {escape(text)}'}; one class a picture expected"
            )
        if re.fullmatch(r"[-+]?\d*\.\d*[1-9]\d*", text):
            raise DataError(f"has the number {escape(text)} for its class; the name or number of a class expected")
        return re.sub(r"^(\d+)\.0+$", r"\1", text)

    return label


def _hot(columns: list[int], names: list[str]):
    def label(values: Sequence[object]) -> str:
        marked = [i for i in columns if float(str(values[i]).strip() or 0) == 1]
        if len(marked) != 1:
            raise DataError(f"has {len(marked)} classes; one class a picture expected")
        return names[marked[0]]

    return label


def _one_hot(table: Table, columns: list[int]) -> bool:
    """Whether all values are 0 or 1, and most rows have a single 1."""
    single = 0
    for _, values in table.rows:
        try:
            numbers = [float(str(values[i]).strip() or 0) for i in columns]
        except (ValueError, IndexError):
            return False
        if not set(numbers) <= {0.0, 1.0}:
            return False
        single += sum(numbers) == 1
    return 2 * single >= len(table.rows) > 0 and all(table.columns[i] for i in columns)


def _same(table: Table, columns: list[int]) -> list[int]:
    """One of columns that say the same (`class_id` and `class_name`), names rather than numbers; else all."""
    rows = [[str(values[i]).strip() for i in columns] for _, values in table.rows if len(values) > max(columns)]
    if not rows or any(
        len({(row[0], row[k]) for row in rows}) != len({row[0] for row in rows})
        or len({(row[0], row[k]) for row in rows}) != len({row[k] for row in rows})
        for k in range(1, len(columns))
    ):
        return columns
    texts = [i for k, i in enumerate(columns) if not all(re.fullmatch(r"[\d.]*", row[k]) for row in rows)]
    return (texts or columns)[:1]


def _repeats(table: Table, column: int) -> bool:
    """Whether values occur several times, as classes do and captions do not."""
    values = [str(values[column]) for _, values in table.rows if len(values) > column]
    return 2 * len(set(values)) <= len(values)


def _plain(column: str) -> str:
    return "".join(c for c in column.casefold() if c.isalpha())


def load(store: Store, name: str) -> Table:
    """The rows of a file, with headings if it has some. Raises DataError for one that cannot be read as a table."""
    if name.lower().endswith(".jsonl"):
        return _json_lines(store, name)
    text = read_text(store, name).replace("\r\n", "\n").replace("\r", "\n")
    first = next((line for line in text.split("\n") if line.strip()), "")
    separator = max((",", ";", "\t", "|"), key=first.count)
    if not first.count(separator):
        if not name.lower().endswith(TEXT_SUFFIXES):
            return Table(name, [""], [(i, [line]) for i, line in enumerate(text.split("\n"), 1) if line.strip()])
        # the last word is the class: file names may contain spaces
        lines = [(i, line.strip().rsplit(None, 1)) for i, line in enumerate(text.split("\n"), 1) if line.strip()]
        return Table(name, ["", ""], [(i, list(words)) for i, words in lines])
    reader = csv.reader(io.StringIO(text), delimiter=separator, skipinitialspace=True, strict=True)
    try:
        rows = [(reader.line_num, list[object](row)) for row in reader if row]
    except csv.Error as error:
        raise DataError(f"{escape(store.full_name(name))}, line {reader.line_num}: {in_one_line(error)}") from error
    head = [str(value).strip() for value in rows[0][1]]
    if any(is_picture(value) for value in head) or all(re.fullmatch(r"[\d.]*", value) for value in head):
        return Table(name, [""] * len(head), rows)
    return Table(name, head, rows[1:])


def _json_lines(store: Store, name: str) -> Table:
    display = escape(store.full_name(name))
    columns: dict[str, None] = {}
    found = []
    for number, line in enumerate(read_text(store, name).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            each = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{display}, line {number} is not valid JSON ({in_one_line(error)})") from error
        if not isinstance(each, dict):
            raise DataError(f"{display}, line {number} is not a JSON object in braces; {EXPECTED}")
        columns.update(dict.fromkeys(each))
        found.append((number, each))
    return Table(name, list(columns), [(i, [each.get(column, "") for column in columns]) for i, each in found])
