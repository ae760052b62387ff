"""Which columns of a table hold the files of pictures, their classes and their splits, only where that is certain.

The column of files is the one whose values name pictures of the set (a name, a path, or a name without suffix). The
class is in a column named label, class, category or alike, in the only other column, or in one column for each class
with a single 1 in every row.
"""

import re
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from functools import partial

from saccade.data.files import escape, is_picture
from saccade.data.split_names import split_role
from saccade.data.tabular import PictureIndex, Table
from saccade.errors import DataError, shorten_list

# Headings without case and separators.
LABEL_COLUMNS = (
    "label", "labels", "class", "classes", "classname", "classlabel", "classid", "labelname", "labelid", "category",
    "categories", "categoryname", "categoryid", "target", "species", "breed", "variety", "diagnosis", "disease", "dx",
    "findinglabel", "findinglabels", "klasse", "kategorie", "라벨", "클래스",
)  # fmt: skip
FILE_COLUMNS = (
    "file", "filename", "filepath", "path", "image", "imagename", "imagepath", "imageid", "imagefile", "img", "imgname",
    "imgid", "imgpath", "id", "name", "picture", "photo", "bild", "bildname", "datei", "dateiname", "파일", "이미지",
)  # fmt: skip
PLURALS = ("labels", "classes", "categories", "tags", "attributes")  # words in such columns are several classes
TRUE, FALSE = ("1", "1.0", "true", "yes"), ("0", "0.0", "false", "no", "")
SPLIT_COLUMNS = ("split", "set", "dataset", "subset", "partition", "phase", "fold", "usage")
# Columns of tables of objects in pictures, and of captions.
OBJECT_COLUMNS = re.compile(r"x_?min|x1|bbox|encoded_?pixels|rle|region_shape_attributes", re.IGNORECASE)
TEXT_COLUMNS = ("caption", "captions", "text", "comment", "prompt")
EXPECTED = (
    "a column file_name with the names of pictures and a column label with their classes expected (and, for splits, a "
    "column split)"
)
TRIED = 200  # rows that are looked up to find the column of files


class UnknownColumns(DataError):
    """A table names pictures, and which of its columns is their class is not certain."""


class SeveralClasses(DataError):
    """A row gives its picture more than one class, or most rows of a table do."""


@dataclass(frozen=True)
class LabelColumns:
    """Where a table holds classes or splits. columns: their places. of: the class or split of a row; raises DataError,
    without the name of the row, if it has not exactly one. how: the assumption made, "" for none."""

    columns: list[int]
    of: Callable[[Sequence[object]], str]
    how: str = ""


def file_column(table: Table, index: PictureIndex, folder: str, role: str | None) -> int | None:
    """The column most of whose values name pictures. Of several, names with suffix go before numbers, then known
    headings. Raises UnknownColumns, without the name of the table, if several are left that name different pictures."""
    width = len(table.columns)
    rows = [values for _, values in table.rows[:: max(1, len(table.rows) // TRIED)] if len(values) == width]
    columns = [i for i in range(min(width, 64)) if _plain(table.columns[i]) not in LABEL_COLUMNS]
    named = {i: [tuple(index.find(values[i], folder, role)) for values in rows] for i in columns}
    found = [i for i in columns if 2 * sum(map(bool, named[i])) >= len(rows) > 0]
    found = [i for i in found if 2 * sum(is_picture(str(values[i])) for values in rows) >= len(rows)] or found
    found = [i for i in found if _plain(table.columns[i]) in FILE_COLUMNS] or found
    if len({tuple(named[i]) for i in found}) > 1:
        headings = shorten_list(escape(table.columns[i] or f"column {i + 1}") for i in found)
        raise UnknownColumns(f"names pictures in several columns ({headings}); {EXPECTED}")
    return found[0] if found else None


def split_column(table: Table, taken: set[int]) -> LabelColumns | None:
    """The column with names of splits, or with 1 or true for those of one split (`is_valid`)."""
    for i, column in enumerate(table.columns):
        heading, values = _plain(column), _values(table, i)
        if i in taken or not values:
            continue
        if (heading in SPLIT_COLUMNS and any(map(split_role, values))) or _is_use(table, i):
            return LabelColumns([i], partial(_named_split, i))
        role = split_role(heading.removeprefix("is")) if heading.startswith("is") else None
        if role is not None and all(value.casefold() in TRUE + FALSE for value in values):
            return LabelColumns([i], partial(_marked_split, i, role, "test" if role == "train" else "train"))
    return None


def _is_use(table: Table, column: int) -> bool:
    """Whether a column without a heading says how AutoML uses each row."""
    return not table.columns[column] and set(_values(table, column)) <= {"TRAIN", "VALIDATION", "TEST", "UNASSIGNED"}


def _named_split(column: int, row: Sequence[object]) -> str:
    split = str(row[column]).strip()
    if not split:
        raise DataError("names no split; train, val or test expected in its column")
    return split


def _marked_split(column: int, role: str, others: str, row: Sequence[object]) -> str:
    return role if str(row[column]).strip().casefold() in TRUE else others


def label_columns(table: Table, file: int, display: str, certain: bool = False) -> LabelColumns:
    """Where the classes are. certain: whether different values in a single column are classes, too.

    Raises UnknownColumns, naming the table, if that is not certain."""
    columns, others = table.columns, [i for i in range(len(table.columns)) if i != file]
    named = any(columns) or len(columns) == 2
    which = (
        f"the columns {shorten_list(map(escape, columns), 6)}" if named else f"{len(columns)} columns without headings"
    )
    fault = f"{display} has {which}"
    if any(OBJECT_COLUMNS.fullmatch(column.strip()) for column in columns):
        raise UnknownColumns(f"{fault}: it holds objects in pictures, not classes of pictures; {EXPECTED}")
    known = _same(table, [i for i in others if _plain(columns[i]) in LABEL_COLUMNS])
    if len(known) == 1:
        return _in_column(table, known[0])
    if known:
        raise UnknownColumns(f"{fault}: several columns may hold the class; {EXPECTED}")
    if any(_plain(column) in TEXT_COLUMNS for column in columns):
        raise UnknownColumns(f"{fault}: it holds texts, not classes of pictures; {EXPECTED}")
    rest = [i for i in others if _plain(columns[i]) not in SPLIT_COLUMNS and not _is_use(table, i)]
    if len(rest) > 1 and _one_hot(table, rest):
        return LabelColumns(
            rest, lambda values: _marked(values, rest, columns), "one column for each class, of which one is 1"
        )
    if len(rest) == 1:
        values = _values(table, rest[0])
        if 2 * len(set(values)) <= len(values) or (certain and not any(len(value.split()) > 1 for value in values)):
            heading = columns[rest[0]]
            return _in_column(table, rest[0], f"classes are the column '{escape(heading)}'" if heading else "")
    if not named and _of_pets(table, file):
        how = "the classes are the names of the files, one for each class id of Oxford-IIIT Pet's lists"
        return LabelColumns(others, lambda values: _pet(values[file]), how)
    raise UnknownColumns(f"{fault}: none is known to hold the class; {EXPECTED}")


def _of_pets(table: Table, file: int) -> bool:
    """Whether the rows are those of Oxford-IIIT Pet's lists (annotations/README): a picture (`Abyssinian_100`), the
    class id, 1 for a cat with an upper-case name or 2 for a dog, and the breed among these; each with one class."""
    rows = [[str(value).strip() for value in values] for _, values in table.rows]
    if file != 0 or not all(len(row) == 4 and all(re.fullmatch(r"[1-9]\d*", each) for each in row[1:]) for row in rows):
        return False
    classes = {(_pet(name), number, kind, breed) for name, number, kind, breed in rows}
    names, numbers, breeds = (
        {each(row) for row in classes}
        for each in (lambda row: row[0], lambda row: row[1], lambda row: (row[2], row[3]))
    )
    cased = all(name and kind == ("1" if name[0].isupper() else "2") for name, _, kind, _ in classes)
    return cased and len(classes) == len(names) == len(numbers) == len(breeds) > 1


def _pet(picture: object) -> str:
    """`american_bulldog` of american_bulldog_12; "" for a name without a number."""
    stem = str(picture).strip()
    return match[1] if (match := re.fullmatch(r"(\D.*)_\d+(?:\.\w+)?", stem)) else ""


def known_class_column(table: Table, file: int, classes: Container[str]) -> LabelColumns | None:
    """The only column whose values are those classes, alone or among numbers, as those
    of boxes (Kaggle's ImageNet)."""

    def label(column: int, values: Sequence[object]) -> str:
        words = {word for word in str(values[column]).split() if not re.fullmatch(r"[\d.-]+", word)}
        named = {str(values[column]).strip()} if str(values[column]).strip() in classes else words
        if len(named) != 1 or next(iter(named)) not in classes:
            raise DataError(f"has the class {escape(values[column])}, which is not one of the training split")
        return next(iter(named))

    def holds(column: int) -> bool:
        try:
            return all(label(column, values) for _, values in table.rows if len(values) == len(table.columns))
        except DataError:
            return False

    found = [i for i in range(len(table.columns)) if i != file and table.rows and holds(i)]
    return LabelColumns(found, partial(label, found[0])) if len(found) == 1 else None


def _in_column(table: Table, column: int, how: str = "") -> LabelColumns:
    several = r"[|;,\s]" if _plain(table.columns[column]) in PLURALS else r"[|;]"
    return LabelColumns([column], lambda values: _class(values[column], several), how)


def _class(value: object, several: str) -> str:
    """A class as text: 1.0 is 1. several: matches what separates classes."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    text = str(value).strip() if isinstance(value, str | int | float) else ""
    if not text or text.lower() == "nan":
        found = "no class" if value is None or value == "" else f"the class {escape(value)}"
        raise DataError(f"has {found}; one class a picture expected")
    if re.fullmatch(r"[-+]?\d*\.\d*[1-9]\d*(e[-+]?\d+)?", text):
        raise DataError(f"has the number {escape(text)} for its class; the name or number of a class expected")
    if re.search(several, text) or re.fullmatch(r"-?[\d.]+(\s+-?[\d.]+)+", text):
        raise SeveralClasses(f"has the classes '{escape(text)}'; one class a picture expected")
    return re.sub(r"^(\d+)\.0+$", r"\1", text)


def _marked(values: Sequence[object], columns: list[int], names: list[str]) -> str:
    marked = [i for i in columns if float(str(values[i]).strip() or 0) == 1]
    if len(marked) > 1:
        several = shorten_list(escape(names[i]) for i in marked)
        raise SeveralClasses(f"has {len(marked)} classes ({several}); one class a picture expected")
    if not marked:
        raise DataError("has no class; one class a picture expected")
    return names[marked[0]]


def _one_hot(table: Table, columns: list[int]) -> bool:
    """Whether all values are 0 or 1 (or -1 for 0, as in CelebA), and there is a 1 in most rows."""
    numbers = [[str(values[i]).strip() for i in columns] for _, values in table.rows if len(values) > max(columns)]
    known = all(re.fullmatch(r"(-?1|0?)(\.0*)?", value) for row in numbers for value in row)
    marked = sum(any(value.startswith("1") for value in row) for row in numbers)
    return known and 2 * marked >= len(numbers) > 0 and all(table.columns[i] for i in columns)


def _same(table: Table, columns: list[int]) -> list[int]:
    """One of columns that say the same (`class_id` and `class_name`), names rather than numbers; else all."""
    if len(columns) < 2:
        return columns
    values = [_values(table, i) for i in columns]
    pairs = [set(zip(values[0], other, strict=False)) for other in values]
    if any(len(pair) != len(set(values[0])) or len(pair) != len(set(v)) for pair, v in zip(pairs, values, strict=True)):
        return columns
    texts = [i for i, v in zip(columns, values, strict=True) if not all(re.fullmatch(r"[\d.]*", each) for each in v)]
    return (texts or columns)[:1]


def _values(table: Table, column: int) -> list[str]:
    return [str(values[column]).strip() for _, values in table.rows if len(values) > column]


def _plain(column: str) -> str:
    return "".join(c for c in column.casefold() if c.isalpha())
