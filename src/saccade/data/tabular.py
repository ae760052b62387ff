"""Tables of any kind: CSV with any separator, TSV, JSON lines, a JSON list, text lines of a file and a word; and what
their cells name."""

import csv
import io
import re
import unicodedata
from dataclasses import dataclass
from pathlib import PurePosixPath

from saccade.data.files import escape, is_picture, parse_json
from saccade.data.split_names import folder_kind, split_role
from saccade.data.store import FileStore, join_path, read_bytes, read_text
from saccade.errors import DataError, in_one_line, shorten_list

NOT_THERE = "which is not there; add or remove it"
TEXT_SUFFIXES = (".txt", ".lst")
SUFFIXES = (".csv", ".tsv", ".jsonl", ".json", *TEXT_SUFFIXES)
MAX_JSON_BYTES = 1 << 26  # of a table; larger files are annotations of objects


@dataclass
class Table:
    """The rows of a file. columns: headings, "" where there are none."""

    name: str
    columns: list[str]
    rows: list[tuple[int, list[object]]]


class PictureIndex:
    """Pictures by the end of their path, with or without suffix."""

    def __init__(self, store: FileStore):
        self.files = set(store.files)
        self.by_tail: dict[str, list[str]] = {}
        for name in filter(is_picture, store.files):
            parts = PurePosixPath(_folded(name)).parts
            stem = PurePosixPath(parts[-1]).stem
            for i in range(len(parts)):
                for tail in {"/".join(parts[i:]), "/".join((*parts[i:-1], stem))}:
                    self.by_tail.setdefault(tail, []).append(name)

    def only(self, value: object, folder: str, role: str | None) -> str:
        """The picture that `value` means. Raises DataError, without the place of the value, for none and several."""
        found = self.find(value, folder, role)
        if len(found) == 1:
            return found[0]
        what = f"which may mean {shorten_list(map(escape, found))}" if found else NOT_THERE
        raise DataError(f"names {escape(value)}, {what}")

    def find(self, value: object, folder: str, role: str | None) -> list[str]:
        """The pictures that `value` may mean, in a table in `folder`: its own folder first, then folders of the role,
        then anywhere. Case and Unicode normal forms are ignored where no name is the same."""
        text = str(value).strip().replace("\\", "/") if isinstance(value, str | int) else ""
        parts = [part for part in text.split("/") if part not in ("", ".", "..")]
        if (near := join_path(folder, *parts)) in self.files and is_picture(near):
            return [near]
        for i in range(len(parts)):  # paths of another machine
            found = _without_masks(self.by_tail.get(_folded("/".join(parts[i:])), []))
            inside = [n for n in found if not folder or n.startswith(f"{folder}/")] or found
            if len(inside) > 1 and role is not None:
                inside = [n for n in inside if any(split_role(p) == role for p in n.split("/")[:-1])] or inside
            inside = [n for n in inside if PurePosixPath(n).name == parts[-1]] or inside
            if inside:
                return inside
        return []


def _without_masks(names: list[str]) -> list[str]:
    """Pictures of one name without those in folders of masks, where others are in folders of pictures."""
    kinds = [{folder_kind(part) for part in name.split("/")[:-1]} for name in names] if len(names) > 1 else []
    if not any("pictures" in each for each in kinds):
        return names
    return [name for name, each in zip(names, kinds, strict=True) if "masks" not in each] or names


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name.casefold())


def load_table(store: FileStore, name: str, index: PictureIndex | None = None) -> Table:
    """The rows of a file, with headings if it has some. index: tells which words of a line name a picture.

    Raises DataError for a file that cannot be read as a table."""
    if name.lower().endswith(".jsonl"):
        return _json_lines(store, name)
    if name.lower().endswith(".json"):
        return _json(store, name)
    text = read_text(store, name).replace("\r\n", "\n").replace("\r", "\n")
    first = next((line for line in text.split("\n") if line.strip()), "")
    separator = max((",", ";", "\t", "|"), key=first.count)
    if not first.count(separator):
        if not name.lower().endswith(TEXT_SUFFIXES):
            return Table(name, [""], [(i, [line]) for i, line in enumerate(text.split("\n"), 1) if line.strip()])
        lines = [(i, line.strip()) for i, line in enumerate(text.split("\n"), 1) if line.strip()]
        return _words(name, lines, index)
    reader = csv.reader(io.StringIO(text), delimiter=separator, skipinitialspace=True, strict=True)
    try:
        rows = [(reader.line_num, list[object](row)) for row in reader if row]
    except csv.Error as error:
        raise DataError(f"{escape(store.full_name(name))}, line {reader.line_num}: {in_one_line(error)}") from error
    head = [str(value).strip() for value in rows[0][1]]
    if any(is_picture(value) for value in head) or all(re.fullmatch(r"[\d.]*", value) for value in head):
        return Table(name, [""] * len(head), rows)
    return Table(name, head, rows[1:])


def _words(name: str, lines: list[tuple[int, str]], index: PictureIndex | None) -> Table:
    """Lines of a picture and its class, of which either may contain spaces: the last word is the class, unless more
    lines name a picture by their first. Several numbers behind the picture are a column each."""
    last = [(i, list[object](line.rsplit(None, 1))) for i, line in lines]
    first = [(i, list[object](line.split(None, 1))) for i, line in lines]
    if index is not None and last != first:
        tried = slice(None, None, max(1, len(lines) // 200))
        named = [sum(bool(index.find(row[0], "", None)) for _, row in rows[tried]) for rows in (last, first)]
        if named[1] > named[0]:
            if all(re.fullmatch(r"\S+(\s+[\d.]+){2,}", line) for _, line in lines if not line.startswith("#")):
                rows = [(i, list[object](line.split())) for i, line in lines if not line.startswith("#")]
                return Table(name, [""] * max(len(row) for _, row in rows), rows)
            last = first
    return Table(name, ["", ""], last)


def _json_lines(store: FileStore, name: str) -> Table:
    display = escape(store.full_name(name))
    columns: dict[str, None] = {}
    found = []
    for number, line in enumerate(read_text(store, name).split("\n"), start=1):
        if not line.strip():
            continue
        each = parse_json(line, f"{display}, line {number}")
        if not isinstance(each, dict):
            raise DataError(f"{display}, line {number} is not a JSON object in braces")
        columns.update(dict.fromkeys(each))
        found.append((number, each))
    return Table(name, list(columns), [(i, [each.get(column, "") for column in columns]) for i, each in found])


def _objects(value: object) -> list[dict]:
    """A list of JSON objects, empty for anything else."""
    return value if isinstance(value, list) and all(isinstance(row, dict) for row in value) else []


def _labels_of_images(found: dict, name: str) -> Table | None:
    """COCO's images, annotations and categories where each annotation is the class of a whole image (iNaturalist's
    files); None for objects, captions and other files."""
    images, rows, categories = (_objects(found.get(key)) for key in ("images", "annotations", "categories"))
    if not rows or not all({"image_id", "category_id"} <= row.keys() for row in rows):
        return None
    if any({"bbox", "segmentation", "caption", "segments_info", "keypoints"} & row.keys() for row in rows):
        return None
    files = {str(image.get("id")): image.get("file_name", "") for image in images}
    names = {str(each.get("id")): each.get("name", "") for each in categories}
    if len(set(map(str, names.values()))) < len(names):
        names = {number: number for number in names}
    pairs = [[files.get(str(row["image_id"]), ""), names.get(str(row["category_id"]), "")] for row in rows]
    return Table(name, ["file_name", "label"], list(enumerate(pairs, start=1)))


def _labels_of_fiftyone(found: dict, name: str) -> Table | None:
    """FiftyOneImageClassificationDataset: the names or the numbers of classes by stems of pictures; None for others."""
    classes, labels = found.get("classes"), found.get("labels")
    if not isinstance(classes, list | None) or not isinstance(labels, dict):
        return None
    if any(isinstance(value, dict | list) for value in labels.values()):
        return None
    names = dict(enumerate(classes or ()))
    rows = [[key, names.get(value, value) if type(value) is int else value] for key, value in labels.items()]
    return Table(name, ["file_name", "label"], list(enumerate(rows, start=1)))


def _json(store: FileStore, name: str) -> Table:
    """A list of objects, or an object of files and values. Raises DataError for anything else."""
    data, display = read_bytes(store, name), escape(store.full_name(name))
    found = parse_json(data, display) if len(data) <= MAX_JSON_BYTES else None
    if isinstance(found, dict) and not any(isinstance(value, dict | list) for value in found.values()):
        return Table(name, ["", ""], [(i, [key, value]) for i, (key, value) in enumerate(found.items(), start=1)])
    if isinstance(found, list) and all(isinstance(each, dict) for each in found):
        columns = list(dict.fromkeys(key for each in found for key in each))
        return Table(name, columns, [(i, [each.get(c, "") for c in columns]) for i, each in enumerate(found, start=1)])
    if isinstance(found, dict) and (table := _labels_of_images(found, name) or _labels_of_fiftyone(found, name)):
        return table
    raise DataError(f"{display} is no table: a list of objects, or an object of file names and classes, expected")
