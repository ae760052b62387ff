"""YOLO's data.yaml and darknet's obj.data: the classes of a set, and where the pictures of its splits are."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import yaml

from saccade.data.files import escape, natural_key
from saccade.data.objects.annotations import check_names
from saccade.data.split_names import split_role
from saccade.data.store import FileStore, join_path, parent_folder, read_bytes, read_text
from saccade.errors import DataError, in_one_line

MAX_YAML_BYTES = 1 << 20
MAX_DEPTH = 20
PLAIN_TAGS = ("!", ":str", ":int", ":float", ":seq", ":map")
CLASS_FILES = ("classes.txt", "obj.names", "_darknet.labels", "labels.txt")
# Text scalars: names are kept as they are written (yes, on, 010).
_Loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


@dataclass(frozen=True)
class DataYaml:
    """file: name of the data.yaml. where: its full name, for messages. names: number -> class, None if it names none.
    splits: split -> folders and lists of pictures as written. base: what these are relative to, as written. keypoints:
    `kpt_shape`. task: `task`."""

    file: str
    where: str
    names: dict[int, str] | None
    splits: dict[str, list[str]]
    base: str = ""
    keypoints: tuple[int, int] | None = None
    task: str = ""
    notes: list[str] = field(default_factory=list)


def find_data_yamls(store: FileStore, only: str | None = None) -> list[DataYaml]:
    """The data.yaml and obj.data files of a set, those that name splits first. only: the one to read."""
    names = [only] if only else sorted(store.files, key=lambda name: (name.count("/"), natural_key(name)))
    sheets = []
    for name in names:
        suffix = PurePosixPath(name).suffix.lower()
        if suffix in (".yaml", ".yml"):
            data = _read_yaml(store, name)
            sheets += [_from_yaml(store, name, data)] if data else []
        elif suffix == ".data":
            sheets += _from_data(store, name)
    return sorted(sheets, key=lambda sheet: not sheet.splits)


def class_file(store: FileStore, folders: Iterable[str]) -> dict[int, str] | None:
    """The classes of the class files (classes.txt, *.names) in some folders; None if there is none.

    Raises DataError for two files of different classes."""
    around, found = set(folders), dict[str, dict[int, str]]()
    for name in sorted(store.files, key=natural_key):
        base = PurePosixPath(name).name.lower()
        if parent_folder(name) in around and (base in CLASS_FILES or base.endswith(".names")):
            found[name] = _names_in(store, name)
    for name, names in found.items():
        first = next(iter(found))
        if names != found[first]:
            raise DataError(f"{store.title}: {escape(first)} and {escape(name)} name different classes; keep one")
    return next(iter(found.values()), None)


def _names_in(store: FileStore, name: str) -> dict[int, str]:
    """The classes of a file with one a line."""
    lines = [line.strip() for line in read_text(store, name).splitlines()]
    while lines and not lines[-1]:
        lines.pop()
    return _checked(dict(enumerate(lines)), escape(store.full_name(name)))


def _checked(names: dict[int, str], where: str) -> dict[int, str]:
    if not names:
        raise DataError(f"{where} names no class; one name a class expected")
    check_names(list(names.values()), where)
    return names


def _read_yaml(store: FileStore, name: str) -> dict | None:
    """Contents of a .yaml file if it describes a data set."""
    data = read_bytes(store, name)
    if b"names" not in data and b"train" not in data:
        return None
    where = escape(store.full_name(name))
    if len(data) > MAX_YAML_BYTES:
        raise DataError(f"{where} is larger than {MAX_YAML_BYTES >> 20} MiB; no data.yaml is")
    try:
        depth = 0
        for event in yaml.parse(data, Loader=_Loader):  # before loading, which expands and recurses
            if isinstance(event, yaml.AliasEvent):
                raise yaml.YAMLError(f"it has the alias *{event.anchor}; write out what it stands for")
            tag = getattr(event, "tag", None)
            if tag is not None and not tag.endswith(PLAIN_TAGS):
                raise yaml.YAMLError(f"it has the tag {tag}; plain text and numbers expected")
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH:
                raise yaml.YAMLError(f"it is nested more than {MAX_DEPTH} deep")
        found = yaml.load(data, _Loader)
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        if b"names" in data:
            raise DataError(f"{where} is not valid YAML ({in_one_line(error)})") from error
        return None
    is_set = isinstance(found, dict) and ("names" in found or isinstance(found.get("train"), str | list))
    # a file of training options has train and val, too, as true and false
    return found if is_set and ("names" in found or "nc" in found or "/" in str(found.get("train"))) else None


def _from_yaml(store: FileStore, file: str, data: dict) -> DataYaml:
    where, notes = escape(store.full_name(file)), list[str]()
    names = _names(store, file, data, where)
    count = data.get("nc")
    if names is None and isinstance(count, str) and count.isdecimal() and 0 < int(count) <= 1 << 14:
        names = {i: str(i) for i in range(int(count))}
        notes.append(f"{where} has nc: {count} and no names; numbers stand for them")
    elif names is not None and isinstance(count, str) and count.strip() not in ("", str(len(names))):
        notes.append(f"{where} says nc: {escape(count)} and names {len(names)} classes; the names were taken")
    splits = {}
    for key, value in data.items():
        if key.lower() in ("train", "val", "valid", "validation", "test") and value:
            places = value if isinstance(value, list) else [value]
            if not all(isinstance(place, str) for place in places):
                raise DataError(f"{where}, {key}: a folder, a list of pictures, or several of these, expected")
            splits[key] = [place for place in places if place not in ("", "~", "null")]
    splits = {key: places for key, places in splits.items() if places}
    base = data.get("path")
    task = data.get("task") if data.get("task") in ("detect", "pose", "segment", "obb") else ""
    keypoints = _keypoints(data.get("kpt_shape"), where)
    return DataYaml(file, where, names, splits, base if isinstance(base, str) else "", keypoints, str(task), notes)


def _names(store: FileStore, file: str, data: dict, where: str) -> dict[int, str] | None:
    names = data.get("names")
    if names is None or names in ("", "~", "null"):
        return None
    if isinstance(names, str):
        listed = next((n for n in _endings(names, parent_folder(file)) if n in store.files), None)
        if listed is None:
            raise DataError(f"{where} has names: {escape(names)}; a list of class names expected")
        return _names_in(store, listed)
    if isinstance(names, dict):
        odd = next((key for key in names if not re.fullmatch(r"[0-9]{1,6}", key)), None)
        if odd is not None:
            raise DataError(f"{where} numbers a class '{escape(odd)}'; a number from 0 expected")
        items = sorted((int(key), name) for key, name in names.items())
        if len(dict(items)) < len(items):
            raise DataError(f"{where} numbers two classes alike; a number each expected")
    else:
        items = list(enumerate(names))
    wrong = next((name for _, name in items if not isinstance(name, str)), None)
    if wrong is not None:
        raise DataError(f"{where} has the class name {escape(wrong)}; text expected")
    return _checked(dict(items), where)


def _keypoints(shape: object, where: str) -> tuple[int, int] | None:
    if shape is None or shape in ("", "~", "null"):
        return None
    if not isinstance(shape, list) or len(shape) != 2 or not all(re.fullmatch("[0-9]{1,4}", str(v)) for v in shape):
        raise DataError(f"{where} has kpt_shape: {escape(shape)}; [number of keypoints, 2 or 3] expected")
    return int(shape[0]), int(shape[1])


def _from_data(store: FileStore, file: str) -> list[DataYaml]:
    """darknet's `key = value` lines."""
    try:
        pairs = [line.split("=", 1) for line in read_text(store, file).splitlines()[:1000] if "=" in line]
    except DataError:
        return []
    data = {key.strip().lower(): value.strip() for key, value in pairs}
    if "names" not in data or not any(split_role(key) for key in data):
        return []
    folder = parent_folder(file)
    listed = next((name for name in _endings(data["names"], folder) if name in store.files), None)
    names = None if listed is None else _names_in(store, listed)
    splits = {key: [data[key]] for key in ("train", "valid", "val", "test") if data.get(key)}
    return [DataYaml(file, escape(store.full_name(file)), names, splits)]


def _endings(path: str, folder: str) -> Iterable[str]:
    """A path of another machine below `folder`: whole, then shorter and shorter ends of it."""
    parts = path_parts(path)
    return (join_path(folder, *parts[i:]) for i in range(len(parts)))


def path_parts(path: str) -> list[str]:
    """The parts of a path of any machine, without its root and drive."""
    parts = PurePosixPath(path.replace("\\", "/")).parts
    return [part for part in parts if part not in ("/", "//", "..", ".")]
