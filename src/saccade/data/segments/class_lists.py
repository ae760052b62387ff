"""Parse lists of classes of a segmentation set: names, numbers and colours, in common file formats."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import PurePosixPath

import numpy as np

from saccade.data.files import escape, natural_key, parse_json
from saccade.data.objects.annotations import check_names
from saccade.data.scenes.colours import palette_picture
from saccade.data.segments import IGNORE_INDEX
from saccade.data.segments.known_sets import COCO_STUFF, Colour
from saccade.data.store import FileStore, parent_folder, read_text, relative_to
from saccade.errors import DataError

# File names of class lists, in order of preference.
STEMS = (
    "classes", "_classes", "labels", "names", "class_names", "label_names", "classnames", "class_list", "codes",
    "labelmap", "label_map", "id2label", "label2id", "categories", "class_dict", "label_colors", "label_colours",
    "labels_colors", "class_colors", "colors", "colours", "palette",
)  # fmt: skip
SUFFIXES = (".txt", ".csv", ".tsv", ".json", ".names")
LARGEST = 1 << 20  # bytes

GAP = r"[\s,;]+"
RGB = rf"(?P<r>\d+){GAP}(?P<g>\d+){GAP}(?P<b>\d+)"
NAME = r"(?P<name>\S.*?)"
# Formats of a line, the most specific first; the first one that all lines of a file match is used.
FORMS = tuple(
    re.compile(form)
    for form in (
        r"(?P<name>[^:]+):((?P<r>\d+),(?P<g>\d+),(?P<b>\d+))?:[^:]*:[^:]*",  # CVAT's labelmap.txt, with colours or not
        rf"(?P<value>\d+){GAP}{RGB}{GAP}{NAME}",
        rf"(?P<value>\d+){GAP}(?P<name>\S*[^\d\s,;].*?){GAP}{RGB}",
        rf"{RGB}{GAP}{NAME}",
        rf"{NAME}{GAP}{RGB}",
        r"(?P<value>\d+)(\s*[,:=;]\s*|\s+)(?P<name>\S.*?)",
        r"(?P<name>\S.*?)\s*[\t,:=;]\s*(?P<value>\d+)",
        NAME,
    )
)

# Names of pixels without a class.
VOID = {
    "void", "unlabelled", "unlabeled", "unannotated", "nolabel", "ignore", "ignored", "ignorelabel", "dontcare",
    "outofroi",
}  # fmt: skip


@dataclass(frozen=True)
class ClassEntry:
    """A class in a list. value: its number in masks. colour: None if the list has none."""

    name: str
    value: int
    colour: Colour | None = None


@dataclass(frozen=True)
class ClassList:
    """where: the file, for messages. file: its name in the store. entries: in the order of their numbers."""

    where: str
    file: str
    entries: tuple[ClassEntry, ...]

    @property
    def coloured(self) -> bool:
        return all(each.colour is not None for each in self.entries)


def find_class_lists(store: FileStore, root: str, folders: set[str]) -> list[ClassList]:
    """The lists in `root`, or if it has none in `folders`, best match first. Raises DataError for an invalid one."""
    found: dict[str, list[tuple[int, tuple, str]]] = {}
    for name in store.files:
        path = PurePosixPath(name)
        stem = path.stem.lower()
        if stem in STEMS and path.suffix.lower() in SUFFIXES:
            found.setdefault(parent_folder(name), []).append((STEMS.index(stem), natural_key(name), name))
    places = [root, *sorted((each for each in folders if each != root), key=lambda each: (each.count("/"), each))]
    for i, place in enumerate(places):
        lists = [each for name in _in_order(found, place) if (each := read_list(store, name, root)) is not None]
        if lists:
            beside = (
                [other for other in places[i + 1 :] if other.count("/") == place.count("/")] if place != root else []
            )
            others = [read_list(store, name, root) for other in beside for name in _in_order(found, other)[:1]]
            _check_numbers(lists[0])
            return [_with_others(lists[0], [each for each in others if each is not None]), *lists[1:]]
    return []


def _check_numbers(chosen: ClassList) -> None:
    """Raises DataError for a list whose numbers are not those in its masks."""
    names = {each.value: each.name for each in chosen.entries}
    if all(names.get(value) == name for value, name in COCO_STUFF.items()):
        raise DataError(
            f"{chosen.where} is COCO-Stuff's list, whose numbers are one more than those of its pixel maps (0 is "
            "person, 181 wood, 255 unlabeled); put a classes.txt beside it with a line such as 0 person for each "
            "number in your masks"
        )


def _in_order(found: dict[str, list[tuple[int, tuple, str]]], place: str) -> list[str]:
    """The lists of a folder, best match first."""
    return [name for _, _, name in sorted(found.get(place, []))]


def _with_others(chosen: ClassList, others: list[ClassList]) -> ClassList:
    """A list of one folder with the classes that only the lists of the folders beside it have.

    Raises DataError if two lists give one number to different classes: the masks of each folder then mean others."""
    entries = {each.value: each for each in chosen.entries}
    for other in others:
        for each in other.entries:
            known = entries.setdefault(each.value, each)
            if known.name != each.name:
                raise DataError(
                    f"{chosen.where} and {other.where} give the number {each.value} to different classes, "
                    f"{escape(known.name)} and {escape(each.name)}; number the classes of all masks alike, and list "
                    "them in one classes.txt above the folders"
                )
    return replace(chosen, entries=tuple(entries[value] for value in sorted(entries)))


def read_list(store: FileStore, name: str, root: str) -> ClassList | None:
    """Parse a list of classes; None for a .json with other contents. Raises DataError for an invalid list."""
    display = escape(relative_to(root, name))
    text = read_text(store, name)
    if len(text) > LARGEST:
        raise DataError(f"{display} is larger than {LARGEST >> 20} MiB; a list of classes expected")
    rows = _from_json(text, display) if name.lower().endswith(".json") else _from_lines(text)
    if rows is None:
        return None
    if not rows:
        raise DataError(f"{display} lists no classes; a name a line expected")
    entries = [_entry(row, number, display) for row, number in rows]
    check_entries(entries, display)
    return ClassList(display, name, tuple(sorted(entries, key=lambda each: each.value)))


Row = dict[str, object]


def _entry(row: Row, number: int, display: str) -> ClassEntry:
    value = number if row.get("value") is None else row["value"]
    name, colour = str(row.get("name") or "").strip(" \t,;\"'"), row.get("colour")
    if not isinstance(value, int) or not 0 <= value <= 65535:
        raise DataError(f"{display} gives '{escape(name)}' the number {escape(value)}; a whole number from 0 expected")
    if colour is None:
        return ClassEntry(name, value)
    parts = list(colour) if isinstance(colour, list | tuple) else []
    if len(parts) < 3 or not all(type(part) is int and 0 <= part <= 255 for part in parts):
        raise DataError(
            f"{display} gives '{escape(name)}' the colour {escape(colour)}; red, green, blue 0..255 expected"
        )
    return ClassEntry(name, value, (parts[0], parts[1], parts[2]))


def check_entries(entries: list[ClassEntry], display: str) -> None:
    """Raises DataError if a number or a colour has several classes. A class may have several colours."""
    by_value, by_colour = dict[int, str](), dict[Colour, str]()
    for each in entries:
        other = by_value.setdefault(each.value, each.name)
        if other != each.name:
            raise DataError(
                f"{display} gives {each.value} to '{escape(other)}' and '{escape(each.name)}'; one class each"
            )
        if each.colour is not None and by_colour.setdefault(each.colour, each.name) != each.name:
            raise DataError(
                f"{display} gives the colour {each.colour} to '{escape(by_colour[each.colour])}' and "
                f"'{escape(each.name)}'; one class each expected"
            )
    names: list[str] = []
    for each in entries:
        if each.colour is None or each.name not in names:
            names.append(each.name)
    check_names(names, display)
    if len(set(names)) > IGNORE_INDEX:
        raise DataError(f"{display} lists {len(set(names))} classes; an index mask holds {IGNORE_INDEX} at most")


def _from_lines(text: str) -> list[tuple[Row, int]]:
    lines = [line.strip().replace('"', "") for line in text.splitlines()]
    lines = [line for line in lines if line.strip(" ,;\t") and not line.startswith("#")]
    # labelme's lists start with __ignore__, which has no number: the next line is number 0
    first = next((i for i, line in enumerate(lines) if line == "__ignore__"), None)
    if first == 0:
        lines = lines[1:]
    for form in FORMS:
        for skip in (0, 1) if form is not FORMS[-1] else (0,):  # a header
            found = [form.fullmatch(line.rstrip(" ,;\t")) for line in lines[skip:]]
            if found and all(found) and (not skip or _is_header(lines[0])):
                return [(_row(match.groupdict()), i) for i, match in enumerate(found) if match is not None]
    return []


def _is_header(line: str) -> bool:
    words = {word.strip().lower() for word in re.split(r"[\s,;:]+", line)}
    return bool(words & {"name", "class", "class_name", "label", "classes", "category"}) and len(words) > 1


def _row(parts: dict[str, str | None]) -> Row:
    row: Row = {"name": parts["name"]}
    if parts.get("value") is not None:
        row["value"] = _number(parts["value"])
    if parts.get("r") is not None:
        row["colour"] = [_number(parts[key]) for key in "rgb"]
    return row


def _number(text: object) -> object:
    """Convert text of digits to int; return other values unchanged."""
    return int(text) if isinstance(text, str) and re.fullmatch(r"\d{1,6}", text.strip()) else text


def _from_json(text: str, display: str) -> list[tuple[Row, int]] | None:
    data = parse_json(text, display)
    while isinstance(data, dict):
        inner = next((data[key] for key in ("classes", "labels", "names", "categories", "id2label") if key in data), 0)
        if not isinstance(inner, list | dict):
            break
        data = inner
    if isinstance(data, list):
        rows: list[Row | None] = [{"name": each} if isinstance(each, str) else _described(each) for each in data]
    elif isinstance(data, dict):
        rows = [_pair(key, value) for key, value in data.items()]
    else:
        rows = [None]
    if any(row is None for row in rows):
        return None
    return [(row, i) for i, row in enumerate(rows) if row is not None]


def _pair(key: str, value: object) -> Row | None:
    """{"0": "road"}, {"road": 0}, {"road": [128, 64, 128]} or {"0": {"name": "road", ...}}."""
    if isinstance(value, str):
        return {"name": value, "value": _number(key)}
    if type(value) is int:
        return {"name": key, "value": value}
    if isinstance(value, list):
        return {"name": key, "colour": value}
    row = _described(value)
    return row if row is None or row.get("value") is not None else row | {"value": _number(key)}


def _described(each: object) -> Row | None:
    """One object of a JSON list."""
    if not isinstance(each, dict):
        return None
    take: Callable[..., object] = lambda *keys: next((each[key] for key in keys if key in each), None)  # noqa: E731
    name = take("name", "label", "class", "readable")
    if not isinstance(name, str):
        return None
    return {
        "name": name,
        "value": _number(take("value", "id", "index")),
        "colour": take("color", "colour", "rgb"),
    }


def is_void(name: str) -> bool:
    """Whether a name stands for pixels without a class: "Void", "void/unlabelled", "void--unlabeled", "__ignore__"."""
    parts = [re.sub(r"[\W_]", "", part.lower()) for part in re.split(r"[/|,;]|--| or ", name)]
    return all(part in VOID for part in parts)


def is_background(name: str) -> bool:
    """Whether a name stands for what is no object: "background", "_background_", "bg", "class 0"."""
    return re.sub(r"[\W_]", "", name.lower()) in ("background", "bg", "ground", "back", "class0", "none", "other")


@cache
def voc_palette() -> tuple[Colour, ...]:
    """VOC's colour for each index 0..255."""
    flat = palette_picture(np.zeros((1, 1), np.uint8)).getpalette()
    assert flat is not None
    return tuple((flat[i], flat[i + 1], flat[i + 2]) for i in range(0, 768, 3))
