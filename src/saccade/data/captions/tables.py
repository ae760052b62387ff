"""Captions in tables with a header: CSV, TSV, and JSON lines with the same names as keys.

A column or key file_name, image, filename, path or filepath names the picture, caption or text says what it shows, and
split, if there is one, to which split the row belongs. Every value is text as it stands: NA, None and 007 are captions.
Several rows may describe one picture; in JSON lines a list is several captions.

A column stem, code or key names pictures without their folder and suffix (`1f600` for `noto/1f600.png` and
`openmoji/1f600.png`): the row describes all of them. In such a table the caption may be in a column name, too.

CSV and TSV are read with or without quotes (`delimited_rows`). CSV may be separated by semicolons, as spreadsheets of
many countries write it, or by vertical bars, as Flickr30k's results.csv, of which the columns are known, too.
"""

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

from saccade.data.captions.annotations import Document, Row
from saccade.data.dataset import Problem
from saccade.data.files import escape, natural_key
from saccade.data.store import FileStore, parent_folder, read_text, relative_to, without_suffix
from saccade.errors import DataError, in_one_line

FILE_COLUMNS = ("file_name", "image", "filename", "path", "filepath")
STEM_COLUMNS = ("stem", "code", "key")
TEXT_COLUMNS = ("caption", "text")
STEM_TEXT_COLUMNS = ("name",)
FLICKR30K = ("image_name", "comment_number", "comment")
SPLIT_COLUMN = "split"
EXPECTED = "file_name (or image, filename, path) and caption (or text)"
SUFFIXES = (".csv", ".tsv", ".jsonl")
CAPTION_TABLES = ("captions", "metadata")  # names of files that hold captions by convention
Rows = list[tuple[int, list[str]]]  # number of the last line, fields


class Columns(NamedTuple):
    """Places of the columns of a table. by_stem: whether the file column holds names without folder and suffix. split:
    None in a table without such a column."""

    file: int
    text: int
    split: int | None
    by_stem: bool


def is_table(name: str) -> bool:
    """Whether a file name is that of a table; captions.txt is CSV, as in Flickr8k."""
    base = PurePosixPath(name).name.lower()
    return not base.startswith(".") and (base.endswith(SUFFIXES) or base == "captions.txt")


def is_for_captions(store: FileStore, name: str) -> bool:
    """Whether a table is meant to hold captions, also if it cannot be read: by its name, or by a column of captions."""
    if PurePosixPath(name).stem.lower() in CAPTION_TABLES:
        return True
    try:
        return any(each.lower() in (*TEXT_COLUMNS, FLICKR30K[-1]) for each in columns(store, name))
    except DataError:
        return False


def columns(store: FileStore, name: str) -> list[str]:
    """The names in the header of a CSV or TSV, the keys of the first line of JSON lines.

    Raises DataError for a file that is no such table."""
    display = escape(store.full_name(name))
    if name.lower().endswith(".jsonl"):
        first = next(_json_lines(store, name), None)
        found = None if first is None else first[1]
        if not isinstance(found, dict):
            raise DataError(f"{display} does not begin with a JSON object in braces on a line; one a caption expected")
        return list(found)
    header = delimited_header(store, name)
    if not header:
        raise DataError(f"{display} is empty; a header with {EXPECTED} expected")
    return [each.strip() for each in header]


def caption_columns(names: Sequence[str], display: str) -> Columns:
    """Places of the columns with the file name, the caption and the split.

    Raises DataError, naming the columns, if one of the first two is missing or there are several of one kind."""
    if tuple(map(str.lower, names)) == FLICKR30K:
        return Columns(0, 2, None, by_stem=False)
    file = _only_column(names, FILE_COLUMNS, display)
    by_stem = file is None and (file := _only_column(names, STEM_COLUMNS, display)) is not None
    text = _only_column(names, TEXT_COLUMNS, display)
    if text is None and by_stem:
        text = _only_column(names, STEM_TEXT_COLUMNS, display)
    if file is None or text is None:
        raise DataError(
            f"{display} has the columns {', '.join(map(escape, names[:20])) or 'none'}; {EXPECTED} expected: "
            "rename the columns"
        )
    return Columns(file, text, _only_column(names, (SPLIT_COLUMN,), display), by_stem)


def _only_column(names: Sequence[str], known: Sequence[str], display: str) -> int | None:
    places = [i for i, name in enumerate(names) if name.lower() in known]
    if len(places) > 1:
        several = ", ".join(escape(names[i]) for i in places)
        raise DataError(f"{display} has the columns {several}, any of which could be meant; keep one of them")
    return places[0] if places else None


def read_table(store: FileStore, root: str, name: str) -> Document:
    """Parse a table. Raises DataError for one that is not text in UTF-8, lacks a column, or has unbalanced quotes."""
    names, display = columns(store, name), escape(relative_to(root, name))
    found = caption_columns(names, escape(store.full_name(name)))
    document = Document(name)
    others = [each for i, each in enumerate(names) if i not in found[:3]]
    if others:
        document.notes.append(f"columns of {display} that are not read: {', '.join(map(escape, others[:20]))}")
    if name.lower().endswith(".jsonl"):
        _read_json(store, document, display, names, found)
    else:
        _read_rows(store, document, display, len(names), found)
    document.by_stem = found.by_stem
    if found.by_stem:
        document.rows = list(_by_stem(store, document, names[found.file], display))
    return document


def _read_rows(store: FileStore, document: Document, display: str, width: int, columns: Columns) -> None:
    rows, notes = delimited_rows(store, document.name)
    document.notes += notes
    for line, row in rows[1:]:
        where = f"{display}, line {line}"
        if len(row) == width:
            split = None if columns.split is None else row[columns.split]
            document.rows.append(Row(where, row[columns.file], [row[columns.text]], split))
            continue
        advice = "put quotes around a text with a separator in it"
        problem = f"{where} has {len(row)} fields and the header {width}; {advice}"
        document.problems.append(Problem("caption broken", where, problem))


def _read_json(store: FileStore, document: Document, display: str, names: Sequence[str], columns: Columns) -> None:
    file, text = names[columns.file], names[columns.text]
    for line, found in _json_lines(store, document.name):
        where = f"{display}, line {line}"
        if isinstance(found, str):
            document.problems.append(Problem("caption broken", where, f"{where} {found}"))
        elif not isinstance(found, dict):
            problem = f"{where} is not a JSON object; one with {file} and {text} expected"
            document.problems.append(Problem("caption broken", where, problem))
        else:
            captions = found.get(text)
            captions = captions if isinstance(captions, list) else [captions]
            split = None if columns.split is None else found.get(names[columns.split], "")
            document.rows.append(Row(where, found.get(file), captions, split))


def _by_stem(store: FileStore, document: Document, column: str, display: str) -> Iterator[Row]:
    """The rows again for each picture with the name of the row, in the folder of the table and those below it."""
    folder = parent_folder(document.name)
    pictures: dict[str, list[str]] = {}
    for name in sorted(filter(store.is_picture, store.files), key=natural_key):
        if not folder or name.startswith(f"{folder}/"):
            pictures.setdefault(PurePosixPath(without_suffix(store, name)).name, []).append(relative_to(folder, name))
    document.notes.append(
        f"the column {escape(column)} of {display} was taken for names of pictures without folder and suffix"
    )
    for row in document.rows:
        found = pictures.get(row.file, []) if isinstance(row.file, str) else []
        if not found:
            text = f"{row.where} names {escape(row.file)}, and no picture has this name; add or remove it"
            document.problems.append(Problem("picture missing", row.where, text))
        yield from (row._replace(file=name) for name in found)


def _json_lines(store: FileStore, name: str) -> Iterator[tuple[int, object]]:
    """Number and value of each line that is not blank; text that says what is wrong where it cannot be parsed."""
    for number, line in enumerate(read_text(store, name).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            found = json.loads(line, object_pairs_hook=_unique)
        except (ValueError, RecursionError) as error:
            yield number, f"is not valid JSON ({in_one_line(error)})"
            continue
        yield number, "is text in quotes; a JSON object in braces expected" if isinstance(found, str) else found


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    twice = [key for key, count in Counter(key for key, _ in pairs).items() if count > 1]
    if twice:
        raise ValueError(f"the key {escape(twice[0])} occurs twice")
    return dict(pairs)


def choose_tables(store: FileStore, names: Sequence[str]) -> tuple[list[str], list[str]]:
    """The tables with captions of several, and notes on the others. Beside a metadata table only that one is read."""
    usable, notes = [], []
    for name in names:
        try:
            caption_columns(columns(store, name), escape(store.full_name(name)))
            usable.append(name)
        except DataError as error:
            notes.append(f"{escape(name)} was not read: {error}")
    metadata = {parent_folder(name) for name in usable if _is_metadata(name)}
    kept = [name for name in usable if _is_metadata(name) or parent_folder(name) not in metadata]
    left = [name for name in usable if name not in kept]
    notes += [f"{escape(name)} was not read: the metadata table beside it takes precedence" for name in left]
    return kept, notes


def _is_metadata(name: str) -> bool:
    return PurePosixPath(name).stem.lower() == "metadata"


def delimited_header(store: FileStore, name: str) -> list[str]:
    """The fields of the first row that is not empty, none for an empty file. Raises DataError as `delimited_rows`."""
    text, display = read_text(store, name), escape(store.full_name(name))
    if _is_tsv(name):
        fields = next((line.split("\t") for line in _lines(text) if line), [])
        return [field if (inner := _unquote(field)) is None else inner for field in fields]
    return next(_separated(text, display), (0, list[str]()))[1]


def delimited_rows(store: FileStore, name: str) -> tuple[Rows, list[str]]:
    """The rows that are not empty, the header first, and notes on how they were read.

    CSV is read with quotes (RFC 4180). TSV has two dialects, and both are read: spreadsheets and csv modules write the
    quotes of CSV; others (IANA text/tab-separated-values) write every character as it is, and a quote is part of the
    text. Quotes of a TSV are those of CSV if all that begin a field end it, with those inside it doubled.

    Raises DataError for a file that is not UTF-8, and for unbalanced quotes in CSV."""
    text, display = read_text(store, name), escape(store.full_name(name))
    if not _is_tsv(name):
        return list(_separated(text, display)), []
    plain = [(number, line.split("\t")) for number, line in enumerate(_lines(text), start=1) if line]
    if not any(field.startswith('"') for _, row in plain for field in row):
        return plain, []
    if len({len(row) for _, row in plain}) == 1:  # no field continues on the next line
        unquoted = [(line, [_unquote(field) for field in row]) for line, row in plain]
        if all(field is not None for _, row in unquoted for field in row):
            return unquoted, []  # type: ignore[return-value]  # none is None
    elif (quoted := _spanning(text, display)) is not None:
        return quoted, []
    return plain, [f"quotes in {escape(PurePosixPath(name).name)} are not those of CSV: they were kept as text"]


def _spanning(text: str, display: str) -> Rows | None:
    """The rows of a TSV with fields that go on over lines; None if its quotes are unbalanced, and if such a field holds
    tabs too: more likely it is several rows between two quotes that do not belong together."""
    try:
        rows = list(_quoted(text, "\t", display))
    except DataError:
        return None
    swallowed = any("\t" in field and ("\n" in field or "\r" in field) for _, row in rows for field in row)
    return None if swallowed else rows


def _is_tsv(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() == ".tsv"


def _lines(text: str) -> list[str]:
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _separated(text: str, display: str) -> Iterator[tuple[int, list[str]]]:
    """The rows of a CSV. Its separator is that of the header; vertical bars come without quotes and with spaces."""
    header = next((line for line in _lines(text) if line.strip()), "")
    if "," in header or not (";" in header or "|" in header):
        yield from _quoted(text, ",", display)
    elif ";" in header:
        yield from _quoted(text, ";", display)
    else:
        lines = enumerate(_lines(text), start=1)
        yield from ((number, [field.strip() for field in line.split("|")]) for number, line in lines if line.strip())


def _quoted(text: str, delimiter: str, display: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        for row in reader:
            if row:
                yield reader.line_num, row
    except csv.Error as error:
        raise DataError(
            f"{display}, line {reader.line_num} cannot be read ({in_one_line(error)}); a field that begins with a "
            "quote ends with one, and quotes inside it are doubled"
        ) from error


def _unquote(field: str) -> str | None:
    """The text of a field; None if it begins with a quote that does not enclose it."""
    if not field.startswith('"'):
        return field
    inner = field[1:-1].replace('""', "")
    closed = len(field) > 1 and field.endswith('"') and '"' not in inner
    return field[1:-1].replace('""', '"') if closed else None
