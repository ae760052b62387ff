"""Captions in tables with a header: CSV, TSV, and JSON lines with the same names as keys.

A column or key file_name, image, filename, path or filepath names the picture, caption or text says what it shows.
Every value is text as it stands: NA, None and 007 are captions. Several rows may describe one picture; in JSON lines a
list is several captions.
"""

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from saccade.data.captions.annotations import Document, Row
from saccade.data.files import escape
from saccade.data.objects.annotations import Problem
from saccade.data.store import Store, parent_folder, read_text, relative_to
from saccade.errors import DataError, in_one_line

FILE_COLUMNS = ("file_name", "image", "filename", "path", "filepath")
TEXT_COLUMNS = ("caption", "text")
EXPECTED = "file_name (or image, filename, path) and caption (or text)"
SUFFIXES = (".csv", ".tsv", ".jsonl")


def is_table(name: str) -> bool:
    """Whether a file name is that of a table; captions.txt is CSV, as in Flickr8k."""
    base = PurePosixPath(name).name.lower()
    return not base.startswith(".") and (base.endswith(SUFFIXES) or base == "captions.txt")


def columns(store: Store, name: str) -> list[str]:
    """The names in the header of a CSV or TSV, the keys of the first line of JSON lines.

    Raises DataError for a file that is no such table."""
    display = escape(store.full_name(name))
    if name.lower().endswith(".jsonl"):
        first = next(_json_lines(store, name), None)
        found = None if first is None else first[1]
        if not isinstance(found, dict):
            raise DataError(f"{display} does not begin with a JSON object in braces on a line; one a caption expected")
        return list(found)
    header = next(_csv_rows(store, name), None)
    if header is None:
        raise DataError(f"{display} is empty; a header with {EXPECTED} expected")
    return [each.strip() for each in header[1]]


def caption_columns(names: Sequence[str], display: str) -> tuple[int, int]:
    """Places of the columns with the file name and the caption.

    Raises DataError, naming the columns, if one is missing or there are several."""
    lower = [name.lower() for name in names]
    found = []
    for known in (FILE_COLUMNS, TEXT_COLUMNS):
        places = [i for i, name in enumerate(lower) if name in known]
        if not places:
            raise DataError(
                f"{display} has the columns {', '.join(map(escape, names[:20])) or 'none'}; {EXPECTED} expected: "
                "rename the columns"
            )
        if len(places) > 1:
            several = ", ".join(escape(names[i]) for i in places)
            raise DataError(f"{display} has the columns {several}, any of which could be meant; keep one of them")
        found.append(places[0])
    return found[0], found[1]


def read_table(store: Store, root: str, name: str) -> Document:
    """Parse a table. Raises DataError for one that is not text in UTF-8, lacks a column, or has unbalanced quotes."""
    names, display = columns(store, name), escape(relative_to(root, name))
    file, text = caption_columns(names, escape(store.full_name(name)))
    document = Document(name)
    others = [each for i, each in enumerate(names) if i not in (file, text)]
    if others:
        document.notes.append(f"columns of {display} that are not read: {', '.join(map(escape, others[:20]))}")
    if name.lower().endswith(".jsonl"):
        _read_json(store, document, display, names[file], names[text])
        return document
    rows = _csv_rows(store, name)
    next(rows)
    for line, row in rows:
        where = f"{display}, line {line}"
        if len(row) == len(names):
            document.rows.append(Row(where, row[file], [row[text]]))
            continue
        advice = "put quotes around a text with a separator in it"
        problem = f"{where} has {len(row)} fields and the header {len(names)}; {advice}"
        document.problems.append(Problem("caption broken", where, problem))
    return document


def _read_json(store: Store, document: Document, display: str, file: str, text: str) -> None:
    for line, found in _json_lines(store, document.name):
        where = f"{display}, line {line}"
        if isinstance(found, str):
            document.problems.append(Problem("caption broken", where, f"{where} {found}"))
        elif not isinstance(found, dict):
            problem = f"{where} is no JSON object in braces; one with {file} and {text} expected"
            document.problems.append(Problem("caption broken", where, problem))
        else:
            captions = found.get(text)
            document.rows.append(Row(where, found.get(file), captions if isinstance(captions, list) else [captions]))


def _json_lines(store: Store, name: str) -> Iterator[tuple[int, object]]:
    """Number and value of each line that is not blank; text that says what is wrong where it cannot be parsed."""
    for number, line in enumerate(read_text(store, name).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            found = json.loads(line, object_pairs_hook=_unique)
        except (ValueError, RecursionError) as error:
            yield number, f"is not sound JSON ({in_one_line(error)})"
            continue
        yield number, "is text in quotes; a JSON object in braces expected" if isinstance(found, str) else found


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    twice = [key for key, count in Counter(key for key, _ in pairs).items() if count > 1]
    if twice:
        raise ValueError(f"the key {escape(twice[0])} occurs twice")
    return dict(pairs)


def _csv_rows(store: Store, name: str) -> Iterator[tuple[int, list[str]]]:
    """Last line and fields of each row that is not empty. Quotes are those of CSV in TSV, too: a field that begins with
    one ends with one, and those inside it are doubled."""
    text = io.StringIO(read_text(store, name), newline="")
    reader = csv.reader(text, delimiter="\t" if name.lower().endswith(".tsv") else ",", strict=True)
    try:
        for row in reader:
            if row:
                yield reader.line_num, row
    except csv.Error as error:
        raise DataError(
            f"{escape(store.full_name(name))}, line {reader.line_num} cannot be read ({in_one_line(error)}); a field "
            "that begins with a quote ends with one, and quotes inside it are doubled"
        ) from error


def choose_tables(store: Store, names: Sequence[str]) -> tuple[list[str], list[str]]:
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
