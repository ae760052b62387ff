"""Captions as written in the files: one form for all formats, with checks but without repairs.

The readers of tables, COCO JSON and text files produce rows; `collect` turns them into pictures with captions.
"""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import NamedTuple

from saccade.data.dataset import ParsedSet, Problem, unlisted_pictures
from saccade.data.files import escape, natural_key
from saccade.data.split_names import split_role
from saccade.data.store import FileStore, join_path, parent_folder, relative_to
from saccade.errors import DataError
from saccade.ops.words import text_error


class Row(NamedTuple):
    """An entry of a document. where: its place in messages. file: the picture, as the document names it. captions: text
    if the document is valid. split: as the document names it; None where it names none."""

    where: str
    file: object
    captions: list[object]
    split: object = None


@dataclass
class Document:
    """A parsed file with captions, or all text files of a set. name: in the store. problems: entries that are no
    rows. by_stem: whether its rows name pictures without folder and suffix."""

    name: str
    rows: list[Row] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    by_stem: bool = False


@dataclass
class CaptionedPicture:
    """name: file in the store. captions: in the order of the file, each once."""

    name: str
    captions: list[str] = field(default_factory=list)


@dataclass
class Captions(ParsedSet[CaptionedPicture]):
    """owners: place of a problem -> picture that it concerns. file: the document, in the store. by_stem: as of a
    `Document`."""

    owners: dict[str, str] = field(default_factory=dict)
    file: str = ""
    by_stem: bool = False


def collect(document: Document, store: FileStore, root: str, format: str, split: str = "") -> Captions:
    """The pictures of a document, in the order in which it first names them, with their captions."""
    result = Captions(store.title + (f", {split}" if split else ""), format, store, root)
    result.problems, result.notes = list(document.problems), list(document.notes)
    result.file, result.by_stem = document.name, document.by_stem
    folder = picture_folder(store, document)
    if folder != parent_folder(document.name) and document.rows:
        result.notes.append(f"file names of {escape(document.name)} are relative to {escape(folder or store.title)}/")
    there, found, seen = set(store.files), dict[str, CaptionedPicture](), set[tuple[str, object]]()
    composed = {unicodedata.normalize("NFC", name) for name in there}
    for row in document.rows:
        name = _find_file(row, folder, there, composed)
        if isinstance(name, Problem):
            result.problems.append(name)
        else:
            _add(result, found.setdefault(name, CaptionedPicture(name)), row, seen)
    result.pictures = [each for each in found.values() if each.captions]
    result.unlabelled = [name for name, each in found.items() if not each.captions]
    return result


def safe_relative_path(file: object) -> str | None:
    """A relative file name with "/" as separator; None for anything else and for one that points outside the folder."""
    if not isinstance(file, str) or not file.strip() or "\0" in file:
        return None
    whole = file.replace("\\", "/")
    parts = [part for part in whole.split("/") if part not in ("", ".")]
    outside = not parts or whole.startswith("/") or ".." in parts or ":" in parts[0]
    return None if outside else "/".join(parts)


def picture_folder(store: FileStore, document: Document) -> str:
    """The folder that the file names of a document are relative to: its own if any of the first names exist there, else
    the one where most do; of several the one named like the document's split, then the outermost."""
    there, own = set(store.files), parent_folder(document.name)
    few = [name for name in (safe_relative_path(row.file) for row in document.rows[:50]) if name is not None]
    role = split_role(document.name) or split_role(own)

    def fits(folder: str) -> tuple:
        named = [split_role(part) for part in PurePosixPath(folder).parts]
        return sum(join_path(folder, name) in there for name in few), role is not None and role in named, -len(folder)

    best = max(sorted({"", *store.folders}), key=fits)
    return own if any(join_path(own, name) in there for name in few) or not fits(best)[0] else best


def uncaptioned_files(store: FileStore, parts: Iterable[Captions]) -> list[str]:
    """Pictures in the folders of captioned ones that no document names."""
    named = {name for part in parts for name in (*(each.name for each in part.pictures), *part.unlabelled)}
    return sorted(unlisted_pictures(store, named), key=natural_key)


def split_rows(document: Document, label: str) -> dict[str, Document]:
    """Split -> its rows: by the split that each row names, else by folders named train, val or test in the file names;
    "" for a document without splits.

    Raises DataError if only some of the pictures are in such folders, and for a picture in several splits."""
    if any(row.split is not None for row in document.rows):
        return _split_by_column(document, label)
    return _split_by_folder(document, label)


def _split_by_column(document: Document, label: str) -> dict[str, Document]:
    rows: dict[str, list[Row]] = {}
    first: dict[object, tuple[str, Row]] = {}  # picture -> its split, and the row that says so
    for row in document.rows:
        split = row.split.strip() if isinstance(row.split, str) else ""
        if not split:
            text = f"{row.where} names no split; train, val or test expected in its column"
            document.problems.append(Problem("caption broken", row.where, text))
            continue
        name = safe_relative_path(row.file) or row.where
        other, before = first.setdefault(name, (split, row))
        if other != split:
            raise DataError(
                f"{label}: {escape(name)} is in the splits {escape(other)} ({before.where}) and {escape(split)} "
                f"({row.where}); put all its captions into one"
            )
        rows.setdefault(split, []).append(row)
    return {split: replace(document, rows=part) for split, part in rows.items()} or {"": replace(document, rows=[])}


def _split_by_folder(document: Document, label: str) -> dict[str, Document]:
    groups: dict[str, Document] = {}
    split_of: dict[str, str] = {}  # folder -> split
    nameless: list[Row] = []  # belong to no split, and are reported for each
    for row in document.rows:
        file = safe_relative_path(row.file)
        if file is None:
            nameless.append(row)
            continue
        folder = parent_folder(file)
        if folder not in split_of:
            split_of[folder] = next((each for each in folder.split("/") if split_role(each)), "")
        split = split_of[folder]
        groups.setdefault(split, replace(document, rows=[])).rows.append(row)
    if "" in groups and len(groups) > 1:
        splits = ", ".join(escape(name) for name in groups if name)
        raise DataError(
            f"{label}: pictures are in folders of the splits {splits}, but {escape(groups[''].rows[0].file)} "
            f"({groups[''].rows[0].where}) is in none; move it into one of them"
        )
    for group in groups.values():
        group.rows += nameless
    return groups or {"": document}


def _find_file(row: Row, folder: str, there: set[str], composed: set[str]) -> str | Problem:
    """The file of a row in the store, or what is wrong with its name. composed: all files in normal form C."""
    if not isinstance(row.file, str) or not row.file.strip():
        found = "nothing" if row.file is None or row.file == "" else f"'{escape(row.file)}'"
        text = f"{row.where} names {found} as its picture; a file name expected"
        return Problem("caption broken", row.where, text)
    file = safe_relative_path(row.file)
    if file is None:
        text = f"{row.where} has the file name '{escape(row.file)}', which points outside the set; refused"
        return Problem("path refused", row.where, text, fatal=True)
    name = join_path(folder, file)
    if name in there:
        return name
    found = "not there; add or remove it"
    if unicodedata.normalize("NFC", name) in composed:
        found = "there in another Unicode normal form (NFC or NFD); write both names in the same form"
    return Problem("picture missing", row.where, f"{row.where} names {escape(file)}, which is {found}")


def _add(result: Captions, picture: CaptionedPicture, row: Row, seen: set[tuple[str, object]]) -> None:
    """seen: names of pictures and their captions so far; a picture may have thousands."""
    display = relative_to(result.root, picture.name)
    for i, caption in enumerate(row.captions, start=1):
        where = row.where if len(row.captions) == 1 else f"{row.where}, caption {i}"
        kind, text = _caption_problem(caption, escape(display))
        if not kind and (picture.name, caption) in seen:
            kind, text = "caption repeated", f"repeats a caption of {escape(display)}; left out"
        if kind:
            result.problems.append(Problem(kind, where, f"{where} {text}"))
            result.owners[where] = display
        else:
            picture.captions.append(str(caption))
            seen.add((picture.name, caption))


def _caption_problem(caption: object, display: str) -> tuple[str, str]:
    """Kind and text of what is wrong with a caption, ("", "") for nothing."""
    if caption is None or caption == "":
        return "caption blank", f"has no caption for {display}; write one or remove the entry"
    if not isinstance(caption, str):
        found = f"{escape(caption)} ({type(caption).__name__})"
        return "caption broken", f"has {found} as a caption for {display}; text expected: put it in quotes"
    error = text_error(caption)
    if error.startswith("is blank"):
        return "caption blank", f"has a blank caption for {display}; write one or remove the entry"
    return ("caption broken", f"has a caption for {display} that {error}") if error else ("", "")
