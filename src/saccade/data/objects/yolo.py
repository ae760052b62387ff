"""YOLO: a text file for each picture, a line for each object: class, then centre x, centre y, width, height normalized
to 0..1; or class, then the corners of a polygon, of which the bounding box is used.

labels/.../a.txt belongs to images/.../a.jpg; without a folder named images, both are in the same folder. data.yaml
lists classes and splits; without it, classes.txt (or obj.names) lists the classes, and folder names give the splits.
"""

import math
import posixpath
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import yaml

from saccade.data.files import escape, is_picture, natural_key
from saccade.data.objects.annotations import (
    AnnotatedObject,
    AnnotatedPicture,
    Annotations,
    Problem,
    check_names,
    number,
    resolve_classes,
)
from saccade.data.split_names import split_role
from saccade.data.store import Store, join, parent_folder, pictures_in, read_bytes, read_text, relative_to
from saccade.errors import DataError, in_one_line

CLASS_FILES = ("classes.txt", "obj.names", "_darknet.labels")
MAX_YAML_BYTES = 1 << 20


class _Plain(yaml.SafeLoader):
    """A loader without aliases, which can expand a few lines to billions of values."""

    def compose_node(self, parent, index):
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError(f"it has the alias *{self.peek_event().anchor}; write out what it stands for")
        return super().compose_node(parent, index)


@dataclass
class YOLO:
    """A YOLO data set. pictures: split -> pictures. names: classes by number, None if unknown. repeated: split ->
    pictures that occur more than once in its lists."""

    store: Store
    root: str
    pictures: dict[str, list[str]]
    names: list[str] | None
    notes: list[str] = field(default_factory=list)
    repeated: dict[str, list[Problem]] = field(default_factory=dict)
    format: str = "YOLO"
    _counts: list[str] | None = None

    @property
    def splits(self) -> list[str]:
        return [name for name in self.pictures if name]

    def read(self, split: str | None = None, classes: list[str] | None = None) -> Annotations:
        """Parse a split, or the only one."""
        label = self.store.label + (f", {split}" if split else "")
        name = split or next(iter(self.pictures))
        pictures = self.pictures[name]
        notes = list(self.notes)
        names = self.names
        if names is None:
            names = self._numbered()
            notes.append(f"no file names the classes; the {len(names)} numbers found stand for them")
        result = Annotations(
            label,
            "YOLO",
            self.store,
            self.root,
            resolve_classes(names, classes, label),
            problems=list(self.repeated.get(name, ())),
            notes=notes,
            normalized=True,
        )
        place = {name: i for i, name in enumerate(result.classes)}
        index = [place[name] for name in names]
        files = set(self.store.files)
        for name in pictures:
            text = label_of(name)
            result.pictures.append(AnnotatedPicture(name, relative_to(self.root, text) if text in files else ""))
            if text in files:
                self._fill(result, text, index)
            else:
                result.unlabelled.append(name)
        if result.unlabelled:
            count = len(result.unlabelled)
            notes.append(f"{count} pictures have no label file and were taken to hold no objects")
        return result

    def orphans(self) -> list[str]:
        """Label files without a picture, and pictures in no split."""
        taken = {name for names in self.pictures.values() for name in names}
        there = {label_of(name) for name in self.store.files if is_picture(name)}
        texts = [n for n in self.store.files if _is_label(n) and n not in there]
        texts = [n for n in texts if "labels" in PurePosixPath(n).parts]
        inside = {parent_folder(name) for name in taken}
        return texts + [n for n in self.store.files if is_picture(n) and n not in taken and parent_folder(n) in inside]

    def _fill(self, result: Annotations, file: str, index: list[int]) -> None:
        picture = result.pictures[-1]
        display = escape(picture.where)
        try:
            lines = read_text(self.store, file).splitlines()
        except DataError as error:
            result.problems.append(Problem("annotation broken", display, str(error)))
            result.pictures.pop()
            return
        for i, line in enumerate(lines, start=1):
            values, where = [number(word) for word in line.split()], f"{display}, line {i}"
            if not values:
                continue
            if len(values) != 5 and (len(values) < 7 or len(values) % 2 == 0):
                text = f"{where} has {len(values)} values; a class and a box's 4, or a polygon's corners, expected"
                result.problems.append(Problem("annotation broken", where, text))
            elif not (values[0].is_integer() and 0 <= values[0] < len(index)):
                text = f"{where} has the class {escape(line.split()[0])}; there are {len(index)}, counted from 0"
                result.problems.append(Problem("class unknown", where, text, fatal=True))
            else:
                picture.objects.append(AnnotatedObject(f"line {i}", _box(values[1:]), index[int(values[0])], row=i - 1))

    def _numbered(self) -> list[str]:
        """Class numbers, up to the highest in any label file, as names."""
        if self._counts is None:
            most, files = -1, set(self.store.files)
            for name in (label_of(picture) for part in self.pictures.values() for picture in part):
                if name in files:
                    for line in read_bytes(self.store, name).decode(errors="replace").splitlines():
                        value = number((line.split() or [""])[0])
                        most = max(most, int(value)) if value.is_integer() and value < 1e5 else most
            self._counts = [str(i) for i in range(most + 1)]
        return self._counts


def label_of(picture: str) -> str:
    """Name of the label file of a picture."""
    parts = list(PurePosixPath(picture).with_suffix(".txt").parts)
    for i in range(len(parts) - 2, -1, -1):
        if parts[i] == "images":
            parts[i] = "labels"
            break
    return "/".join(parts)


def find(store: Store, only: str | None = None) -> YOLO | None:
    """Detect the set in a store; None if there is none. only: its data.yaml, if the store has several."""
    files = set(store.files)
    yaml_files = [only] if only else sorted((n for n in files if n.endswith((".yaml", ".yml"))), key=natural_key)
    for yaml_file in yaml_files:
        data = _read_yaml(store, yaml_file)
        if data is not None:
            return _from_yaml(store, yaml_file, data)
    labelled = [n for n in store.files if is_picture(n) and label_of(n) in files and _is_label(label_of(n))]
    if not labelled:
        return None
    # only folders with labels: pictures elsewhere are not part of the set
    tops = {_top(n) for n in labelled}
    pictures = sorted((n for n in store.files if is_picture(n) and _top(n) in tops), key=natural_key)
    root = _common(pictures)
    splits: dict[str, list[str]] = {}
    for name in pictures:
        words = PurePosixPath(relative_to(root, name)).parts[:-1]
        splits.setdefault(next((word for word in words if split_role(word)), ""), []).append(name)
    return YOLO(store, root, splits, _class_file(store, root))


def _box(values: list[float]) -> tuple[float, float, float, float]:
    if len(values) == 4:
        x, y, width, height = values
        return (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    if not all(map(math.isfinite, values)):
        return (math.nan,) * 4
    return (min(values[::2]), min(values[1::2]), max(values[::2]), max(values[1::2]))


def _is_label(name: str) -> bool:
    base = PurePosixPath(name).name
    return base.endswith(".txt") and base not in CLASS_FILES and not base.startswith(".")


def _top(name: str) -> str:
    """The folder named images that a picture is in, or its own folder."""
    parts = PurePosixPath(name).parts[:-1]
    last = max((i for i, part in enumerate(parts) if part == "images"), default=None)
    return "/".join(parts if last is None else parts[: last + 1])


def _common(names: list[str]) -> str:
    """The common folder of all pictures, above folders named images, labels or like a split."""
    shared: list[str] = []
    for parts in zip(*(PurePosixPath(name).parts[:-1] for name in names), strict=False):
        if len(set(parts)) > 1 or parts[0] in ("images", "labels") or split_role(parts[0]):
            break
        shared.append(parts[0])
    return "/".join(shared)


def _class_file(store: Store, root: str) -> list[str] | None:
    places = (root, join(root, "labels"), parent_folder(root))
    name = next((join(p, c) for p in places for c in CLASS_FILES if join(p, c) in store.files), None)
    if name is None:
        return None
    return _checked([line.strip() for line in read_text(store, name).splitlines() if line.strip()], store, name)


def _checked(names: list[str], store: Store, file: str) -> list[str]:
    where = escape(store.full_name(file))
    if not names:
        raise DataError(f"{where} names no class; one name a class expected")
    check_names(names, where)
    return names


def _read_yaml(store: Store, name: str) -> dict | None:
    """Contents of a .yaml file if it describes a data set."""
    data = read_bytes(store, name)
    if len(data) > MAX_YAML_BYTES:
        return None
    try:
        found = yaml.load(data, _Plain)
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        if b"names" in data:
            raise DataError(f"{escape(store.full_name(name))} is not valid YAML ({in_one_line(error)})") from error
        return None
    return found if isinstance(found, dict) and "names" in found else None


def _from_yaml(store: Store, yaml_file: str, data: dict) -> YOLO:
    root, where = parent_folder(yaml_file), escape(store.full_name(yaml_file))
    names = data["names"]
    if isinstance(names, dict):
        numbers = sorted(int(key) for key in names if str(key).isdecimal())
        if numbers != list(range(len(names))):
            raise DataError(f"{where} numbers its classes {escape(list(names)[:9])}; 0 to {len(names) - 1} expected")
        names = [names.get(i, names.get(str(i))) for i in numbers]
    if not isinstance(names, list):
        raise DataError(f"{where} has names of the type {type(names).__name__}; a list of class names expected")
    odd = next((name for name in names if not isinstance(name, (str, int, float))), "")
    if odd != "":
        raise DataError(f"{where} has the class name {'null' if odd is None else escape(odd)}; text expected")
    names = _checked([str(name) for name in names], store, yaml_file)
    notes, pictures, repeated = [], {}, {}
    if isinstance(data.get("nc"), int) and data["nc"] != len(names):
        notes.append(f"{where} says nc: {data['nc']} and names {len(names)} classes; the names were taken")
    for split in ("train", "val", "valid", "test"):
        if data.get(split):
            places = data[split] if isinstance(data[split], list) else [data[split]]
            base = str(data.get("path") or "")
            found = [each for place in places for each in _pictures(store, root, base, str(place), f"{where}, {split}")]
            pictures[split], repeated[split] = _once(found)
    if not pictures:
        raise DataError(f"{where} names no pictures; train: or val: with a folder of them expected")
    around = all(name.startswith(f"{root}/") for part in pictures.values() for name in part)
    return YOLO(store, root if around else "", pictures, names, notes, repeated)


def _once(found: list[tuple[str, str]]) -> tuple[list[str], list[Problem]]:
    """Pictures without repeats, and a problem for each repeat. found: (picture, place that lists it)."""
    names: dict[str, None] = {}
    again = []
    for name, place in found:
        if name in names:
            where = f"{place}: {escape(PurePosixPath(name).name)}"
            again.append(Problem("picture listed twice", where, f"{where} is listed again"))
        names[name] = None
    return list(names), again


def _pictures(store: Store, root: str, base: str, place: str, where: str) -> list[tuple[str, str]]:
    """The pictures of a folder or list, each with the place that lists it.

    root: folder of data.yaml. base: its `path`, which places are relative to. Both may be paths on the machine of the
    author: if they do not exist in the store, the longest suffix that does is used. Only names inside the store are
    looked up."""
    files = set(store.files)
    for path in _ways(root, base, place):
        display = escape(relative_to(root, path))
        if path in store.folders or not path:
            return [(name, display) for name in pictures_in(store, path)]
        if path in files:
            lines = [line.strip() for line in read_text(store, path).splitlines()]
            folders = (parent_folder(path), next(_ways(root, base, ".")), root)
            return [
                (_named(files, folders, line, escape(store.full_name(path))), f"{display}, line {i}")
                for i, line in enumerate(lines, start=1)
                if line
            ]
    prefix = f" below the path '{escape(base)}'" if base else ""
    raise DataError(f"{where}: '{escape(place)}'{prefix} is neither a folder nor a file of {store.label}")


def _ways(root: str, base: str, place: str) -> Iterator[str]:
    """Candidate names inside the store: the place as written, then shorter and shorter suffixes of it below `root`."""
    base, place = (text.replace("\\", "/") for text in (base, place))
    whole = posixpath.normpath(posixpath.join(root, base, place))
    if not whole.startswith(("/", "..")):
        yield "" if whole == "." else whole
    parts = _parts(posixpath.join(base, place))
    for i in range(max(1, len(parts))):
        yield join(root, *parts[i:])


def _parts(path: str) -> list[str]:
    return [part for part in PurePosixPath(path.replace("\\", "/")).parts if part not in ("/", "//", "..", ".")]


def _named(files: set[str], folders: Sequence[str], line: str, where: str) -> str:
    """The picture of a line: its longest suffix that exists in one of the folders."""
    parts = _parts(line)
    ways = (join(folder, *parts[i:]) for i in range(len(parts)) for folder in folders)
    found = next((path for path in ways if path in files), None)
    if found is None:
        raise DataError(f"{where} lists '{escape(line)}', which is not there")
    return found
