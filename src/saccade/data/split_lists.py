"""Splits of class folders that are in text files: a list of pictures for each, or numbers of pictures (CUB)."""

import re
from collections.abc import Container, Mapping
from pathlib import PurePosixPath

from saccade.data.class_folders import ClassSplit
from saccade.data.class_tables import ClassTables, Row, candidate_tables
from saccade.data.files import escape, natural_key
from saccade.data.split_names import split_role
from saccade.data.store import FileStore, join_path, parent_folder, read_text
from saccade.data.tabular import TEXT_SUFFIXES, PictureIndex
from saccade.errors import DataError, shorten_list


def find_split_lists(store: FileStore, part: ClassSplit) -> ClassTables | None:
    """The pictures of class folders by text files that are named like splits and list them (`train.txt`), or by
    CUB's two: `images.txt` numbers them, and `train_test_split.txt` says of each number whether it is for training."""
    names = [name for name in candidate_tables(store) if split_role(PurePosixPath(name).stem) is not None]
    names = [name for name in names if name.lower().endswith((".csv", *TEXT_SUFFIXES))]
    class_of = {join_path(part.root, file): name for name, files in part.by_class.items() for file in files}
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
    parts, divisions = _first_division(parts)
    notes = [f"splits read from {shorten_list(map(escape, files))} of {store.title}", *divisions]
    unlisted = set(class_of).difference(row.picture for rows in parts.values() for row in rows)
    if unlisted:
        notes.append(f"{len(unlisted)} pictures are in no list of a split and are not used")
    return ClassTables(store, part.root, files, parts, problems, notes, "class folders with lists")


def _first_division(parts: dict[str, list[Row]]) -> tuple[dict[str, list[Row]], list[str]]:
    """Of several divisions of the same pictures (train1, val1, train2, val2, ... of DTD) the first, and a note on it;
    all lists and no note where they are parts of one."""
    divisions: dict[str, dict[str, list[Row]]] = {}
    for name, rows in parts.items():
        divisions.setdefault(re.sub(r".*?(\d*)$", r"\1", name), {})[name] = rows
    roles = {number: len({split_role(name) for name in names}) for number, names in divisions.items()}
    pictures = [{row.picture for rows in names.values() for row in rows} for names in divisions.values()]
    if max(roles.values()) < 2 or sum(map(len, pictures)) == len(set.union(*pictures)):
        return parts, []
    first = divisions[min(divisions, key=lambda number: (-roles[number], natural_key(number)))]
    return first, [
        f"{len(divisions)} divisions of the same pictures are listed, and {shorten_list(map(escape, first))} were "
        "taken; to use another, move these lists out of the folder"
    ]


def _numbered(store: FileStore, name: str, index: PictureIndex, class_of: Mapping[str, str]) -> list[tuple[str, Row]]:
    """The split of each picture of a `train_test_split.txt`; none if it, or the `images.txt` beside it, is something
    else. Raises DataError for a number that is in one of them only, or twice."""
    numbered = join_path(parent_folder(name), "images.txt")
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


def _listed(store: FileStore, name: str, index: PictureIndex, known: Container[str]) -> list[tuple[int, str, str]]:
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
