"""COCO JSON: one file for all pictures of a split, with boxes as left, top, width, height in continuous pixels.

Reads `images`, `annotations` and `categories`, and as an extension of the format relations: `relations` maps an image
id (as text) to a list of {"subject": annotation id, "relation": name, "object": annotation id}, `relation_names` lists
all names.
"""

import json
import math
from collections import Counter
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from saccade.data.files import escape, is_picture, natural_key
from saccade.data.objects.annotations import (
    AnnotatedObject,
    AnnotatedPicture,
    Annotations,
    Box,
    Problem,
    check_names,
    number,
    resolve_classes,
)
from saccade.data.split_names import split_role
from saccade.data.store import Store, join, parent_folder, read_bytes, relative_to
from saccade.errors import DataError, in_one_line

# Files next to instances_*.json in COCO's annotations/ that have no boxes with classes.
OTHER_FILES = ("captions_", "person_keypoints_", "panoptic_", "stuff_", "image_info_")


@dataclass
class COCO:
    """A COCO data set. files: split -> JSON file; "" for a set without splits."""

    store: Store
    root: str
    files: dict[str, str]
    format: str = "COCO"
    _loaded: dict[str, dict] = field(default_factory=dict)

    @property
    def splits(self) -> list[str]:
        return [name for name in self.files if name]

    def read(self, split: str | None = None, classes: list[str] | None = None) -> Annotations:
        """Parse a split, or the only one."""
        name = self.files[split or next(iter(self.files))]
        label = self.store.label + (f", {split}" if split else "")
        data = self.document(name)
        return _Reader(self.store, self.root, name, label, data, classes).result

    def document(self, name: str) -> dict:
        """A JSON file, read once."""
        if name not in self._loaded:
            self._loaded[name] = load(self.store, name)
        return self._loaded[name]

    def orphans(self) -> list[str]:
        """None: pictures without annotations are in `Annotations.unlabelled`."""
        return []


class _Reader:
    """One JSON file -> Annotations."""

    def __init__(self, store: Store, root: str, name: str, label: str, data: dict, classes: list[str] | None):
        self.display = escape(relative_to(root, name))
        names = self._categories(data)
        self.result = Annotations(label, "COCO", store, root, resolve_classes(list(names.values()), classes, label))
        index = {name: i for i, name in enumerate(self.result.classes)}
        self.label_of = {key: index[name] for key, name in names.items()}
        self.pictures = self._images(data, name)
        self._annotations(data)
        self._relations(data)
        taken = {picture.name for picture in self.result.pictures}
        folders = {parent_folder(name) for name in taken}
        self.result.unlabelled = [
            n for n in store.files if parent_folder(n) in folders and is_picture(n) and n not in taken
        ]

    def _problem(self, kind: str, where: str, text: str, fatal: bool = False) -> None:
        self.result.problems.append(Problem(kind, f"{self.display}, {where}", f"{self.display}, {where} {text}", fatal))

    def _categories(self, data: dict) -> dict[Any, str]:
        """Category id -> name, in the order of the ids."""
        found: dict[Any, str] = {}
        names: set[str] = set()
        for each in _dicts(data, "categories", self.display):
            key, name = each.get("id"), each.get("name")
            if not _is_id(key) or not isinstance(name, str) or not name:
                raise DataError(f"{self.display} has a category {escape(each)}; an id and a name expected")
            if key in found or name in names:
                raise DataError(
                    f"{self.display} names the category {escape(key)} ('{escape(name)}') twice; one each expected"
                )
            found[key] = name
            names.add(name)
        if not found:
            raise DataError(f"{self.display} lists no categories; an id and a name for each class expected")
        return dict(sorted(found.items(), key=lambda item: natural_key(item[0])))

    def _images(self, data: dict, name: str) -> dict[Any, AnnotatedPicture | None]:
        """Image id -> picture, None for those without a file."""
        found: dict[Any, AnnotatedPicture | None] = {}
        images = _dicts(data, "images", self.display)
        files = [_file_name(each.get("file_name")) for each in images]
        prefix = _prefix(self.result.store, name, [file for file in files if file])
        there = set(self.result.store.files)
        by_name: dict[str, AnnotatedPicture] = {}
        for i, (each, file) in enumerate(zip(images, files, strict=True)):
            key = each.get("id")
            where = f"image {escape(key)}"
            if not _is_id(key) or key in found:
                self._problem("id repeated", where, "has an id that is missing or another image's", fatal=True)
                continue
            found[key] = None
            full = join(prefix, file or "")
            if file is None:
                text = f"has the file name '{escape(each.get('file_name'))}', which points outside the set; refused"
                self._problem("path refused", where, text, fatal=True)
            elif full not in there:
                self._problem("picture missing", where, f"is {escape(file)}, which is not there; add or remove it")
            elif full in by_name:
                self._problem(
                    "picture listed twice", where, f"is {escape(file)} again; the objects of both were joined"
                )
                found[key] = by_name[full]
            else:
                size = (number(each.get("height")), number(each.get("width")))
                claimed = (int(size[0]), int(size[1])) if all(map(math.isfinite, size)) and min(size) >= 1 else None
                found[key] = by_name[full] = AnnotatedPicture(full, self.display, size=claimed, row=i)
        self.result.pictures = list(by_name.values())
        return found

    def _annotations(self, data: dict) -> None:
        self.places: dict[Any, tuple[AnnotatedPicture, int]] = {}
        for i, each in enumerate(_dicts(data, "annotations", self.display)):
            key = each.get("id")
            where = f"annotation {key}" if type(key) is int else f"annotation number {i + 1}"
            image, category = each.get("image_id"), each.get("category_id")
            if not _is_id(image) or image not in self.pictures:
                self._problem(
                    "annotation without picture", where, f"belongs to image {escape(image)}, which is not listed"
                )
                continue
            if not _is_id(category) or category not in self.label_of:
                text = f"has the category {escape(category)}; {len(self.label_of)} others are listed"
                self._problem("class unknown", where, text, fatal=True)
                continue
            if _is_id(key) and key in self.places:
                self._problem("id repeated", where, "has an id that another annotation has, too")
            if each.get("iscrowd") not in (None, 0, 1):  # True equals 1; the text "0" would be truthy
                text = f"has iscrowd: {each['iscrowd']!a:.40}; 0 or 1 expected"
                self._problem("annotation broken", where, text)
                continue
            picture = self.pictures[image]
            if picture is not None:
                identity = key if isinstance(key, int) else None
                label, shape = self.label_of[category], each.get("segmentation") or None
                crowd = bool(each.get("iscrowd"))
                area = number(each.get("area"))
                picture.objects.append(
                    AnnotatedObject(
                        where,
                        _box(each.get("bbox")),
                        label,
                        crowd,
                        identity,
                        shape,
                        i,
                        area if 0 <= area < math.inf else None,
                    )
                )
                if _is_id(key):
                    self.places.setdefault(key, (picture, len(picture.objects) - 1))

    def _relations(self, data: dict) -> None:
        by_image = data.get("relations") or {}
        if not isinstance(by_image, dict):
            raise DataError(f"{self.display} has relations that are not lists by image id, {{id: [...]}}")
        entries = list(by_image.items())
        names = data.get("relation_names")
        if names is None:
            rows = [row for _, rows in entries if isinstance(rows, list) for row in rows if isinstance(row, dict)]
            names = sorted({str(row.get("relation")) for row in rows})
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise DataError(f"{self.display} has relation_names that are not a list of names")
        check_names(names, self.display, "relations")
        self.result.relations = names
        index = {name: i for i, name in enumerate(names)}
        for key, rows in entries:
            for row in rows if isinstance(rows, list) else [rows]:
                ends = [self.places.get(_hashable(_get(row, end))) for end in ("subject", "object")]
                relation = index.get(_hashable(_get(row, "relation")))
                if None in ends or ends[0][0] is not ends[1][0] or relation is None:  # type: ignore[index]
                    text = f"has the relation {escape(row)}; two of its annotations and a known name expected"
                    self._problem("relation broken", f"image {escape(key)}", text)
                    continue
                (picture, subject), (_, other) = ends  # type: ignore[misc]
                picture.relations.append((subject, relation, other))


def find(store: Store, only: str | None = None) -> COCO | None:
    """Detect the set in a store; None if there is none. only: its JSON file, if the store has several."""
    names = (
        [only]
        if only
        else [n for n in store.files if n.endswith(".json") and not PurePosixPath(n).name.startswith(".")]
    )
    likely = [n for n in names if not PurePosixPath(n).name.startswith(OTHER_FILES)] or names
    likely = [n for n in sorted(likely, key=natural_key) if only or _looks_right(read_bytes(store, n))]
    if not likely:
        return None
    if len(likely) == 1:
        return COCO(store, _root(likely[0]), {"": likely[0]})
    titles = [_title(name) for name in likely]
    twice = Counter(titles)
    files = {title if twice[title] == 1 else n: n for title, n in zip(titles, likely, strict=True)}
    return COCO(store, _root(likely[0]), files)


def load(store: Store, name: str) -> dict:
    """Parse a COCO file. Raises DataError for other files."""
    display = escape(store.full_name(name))
    try:
        data = json.loads(read_bytes(store, name))
    except (ValueError, RecursionError) as error:  # ValueError includes encoding errors
        raise DataError(f"{display} is not valid JSON ({in_one_line(error)})") from error
    if not isinstance(data, dict) or not {"images", "annotations", "categories"} <= data.keys():
        raise DataError(f"{display} is not a COCO file: images, annotations and categories expected in it")
    return data


def masks(objects: list[AnnotatedObject], size: tuple[int, int]):
    """uint8 (n y x) numpy masks of polygons and run lengths; None unless every object has one.

    Raises DataError (without the name of the picture) for run lengths of another size than the picture."""
    import numpy as np
    from faster_coco_eval.core import mask as coder

    if not objects or any(each.shape is None for each in objects):
        return None
    drawn = np.zeros((len(objects), *size), dtype=np.uint8)
    for i, each in enumerate(objects):
        shape = each.shape
        if isinstance(shape, dict) and shape.get("size") != list(size):
            raise DataError(
                f"{each.where} has a mask of {escape(shape.get('size'))} (rows, columns); {list(size)} expected"
            )
        try:
            drawn[i] = coder.decode(coder.segmToRle(_clipped(shape, size), size[1], size[0]))
        except (ValueError, TypeError, RuntimeError, KeyError, IndexError, OverflowError) as error:
            raise DataError(f"{each.where} has a segmentation that cannot be drawn ({in_one_line(error)})") from error
    return drawn


def _clipped(shape: Any, size: tuple[int, int]) -> Any:
    """Clip polygons to the picture: the memory to draw them depends on the coordinates."""
    if isinstance(shape, dict):
        return shape
    if not isinstance(shape, list) or not all(isinstance(part, list) and len(part) >= 6 for part in shape):
        raise ValueError("a list of polygons of three corners or more expected")
    limits = (size[1], size[0])
    rows = [[number(value) for value in part] for part in shape]
    if not all(math.isfinite(value) for row in rows for value in row):
        raise ValueError("a corner is not a finite number")
    return [[min(max(value, 0.0), float(limits[i % 2])) for i, value in enumerate(row)] for row in rows]


def _box(value: object) -> Box:
    if not isinstance(value, list) or len(value) != 4:
        return (math.nan,) * 4
    left, top, width, height = (number(each) for each in value)
    return (left, top, left + width, top + height)


def _is_id(value: object) -> bool:
    return type(value) in (int, str)  # bool is excluded


def _get(row: object, key: str) -> object:
    return row.get(key) if isinstance(row, dict) else None


def _hashable(value: object) -> object:
    return value if _is_id(value) else None


def _dicts(data: dict, key: str, display: str) -> list[dict]:
    rows = data[key]
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise DataError(f"{display} has {key} that are not a list of JSON objects")
    return rows


def _file_name(value: object) -> str | None:
    """A relative file name; None if it points outside the folder."""
    if not isinstance(value, str) or not value or "\0" in value:
        return None
    path = PurePosixPath(value.replace("\\", "/"))
    return None if not path.parts or path.is_absolute() or ".." in path.parts or ":" in path.parts[0] else str(path)


def _prefix(store: Store, document: str, files: list[str]) -> str:
    """The folder that the file names of a document are relative to: the one where most of the first names exist; of
    several the one named after the same split, then the one closest to the document."""
    there, few = set(store.files), files[:50]
    here, split = parent_folder(document), split_role(document) or split_role(_title(document))

    def fits(folder: str) -> tuple:
        found = sum(join(folder, name) in there for name in few)
        named = [split_role(part) for part in PurePosixPath(folder).parts]
        return found, split is not None and split in named, folder == here, -len(folder)

    return max(sorted({"", *store.folders}), key=fits)


def _looks_right(data: bytes) -> bool:
    return b'"images"' in data and b'"annotations"' in data


def _title(name: str) -> str:
    """Name of the split in a file: instances_train2017.json, train/_annotations.coco.json."""
    path = PurePosixPath(name)
    stem = path.name.split(".")[0].removeprefix("instances_")
    return stem if split_role(stem) or not split_role(path.parent.name) else path.parent.name


def _root(name: str) -> str:
    """Root folder of the set that a document belongs to."""
    parts = list(PurePosixPath(name).parts[:-1])
    while parts and (parts[-1] == "annotations" or split_role(parts[-1])):
        parts.pop()
    return "/".join(parts)
