"""Rows of CSV and TSV files, with or without quotes."""

import csv
import io
from collections.abc import Iterator
from pathlib import PurePosixPath

from saccade.data.files import escape
from saccade.data.store import Store, read_text
from saccade.errors import DataError, in_one_line

Rows = list[tuple[int, list[str]]]  # number of the last line, fields


def delimited_header(store: Store, name: str) -> list[str]:
    """The fields of the first row that is not empty, none for an empty file. Raises DataError as `delimited_rows`."""
    text, display = read_text(store, name), escape(store.full_name(name))
    if _is_tsv(name):
        fields = next((line.split("\t") for line in _lines(text) if line), [])
        return [field if (inner := _unquote(field)) is None else inner for field in fields]
    return next(_quoted(text, ",", display), (0, list[str]()))[1]


def delimited_rows(store: Store, name: str) -> tuple[Rows, list[str]]:
    """The rows that are not empty, the header first, and notes on how they were read.

    CSV is read with quotes (RFC 4180). TSV has two dialects, and both are read: spreadsheets and csv modules write the
    quotes of CSV; others (IANA text/tab-separated-values) write every character as it is, and a quote is part of the
    text. Quotes of a TSV are those of CSV if all that begin a field end it, with those inside it doubled.

    Raises DataError for a file that is not UTF-8, and for unbalanced quotes in CSV."""
    text, display = read_text(store, name), escape(store.full_name(name))
    if not _is_tsv(name):
        return list(_quoted(text, ",", display)), []
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
