"""One COCO JSON file as `Annotations`.

Reads `images`, `annotations` and `categories`, and as an extension of the format relations: `relations` maps an image
id (as text) to a list of {"subject": annotation id, "relation": name, "object": annotation id}, `relation_names` lists
all names. Ids may be numbers or text: 7, 7.0, "7" and "0007" are one; names of files and categories may stand for
their ids. A category that only groups others, as Roboflow writes it, is no class.
"""

import math
from collections import Counter
from pathlib import PurePosixPath
from typing import Any

from saccade.data.dataset import Problem, unlisted_pictures
from saccade.data.files import escape, natural_key
from saccade.data.objects.annotations import (
    AnnotatedObject,
    AnnotatedPicture,
    Annotations,
    Box,
    check_names,
    resolve_classes,
    to_float,
)
from saccade.data.objects.outlines import outline_box, parse_outline
from saccade.data.objects.picture_names import PictureFinder
from saccade.data.store import FileStore, relative_to
from saccade.errors import DataError, shorten_list

XYXY_ABS = 0  # a `bbox_mode` of detectron2: left, top, right, bottom


def read_coco(store: FileStore, root: str, name: str, label: str, data: dict, classes: list[str] | None) -> Annotations:
    """Parse the document `data` of the file `name`. label: of the split. classes: names in label order, of which the
    file may use a subset.

    Raises DataError for a file whose lists cannot be read, and classes that are not expected."""
    return _Reader(store, root, name, label, data, classes).result


class _Reader:
    def __init__(self, store: FileStore, root: str, name: str, label: str, data: dict, classes: list[str] | None):
        self.display = escape(relative_to(root, name))
        rows = _dicts(data, "annotations", self.display)
        notes: list[str] = []
        names = self._categories(data, Counter(_id(row.get("category_id")) for row in rows), notes)
        found = list(dict.fromkeys(names.values()))
        self.result = Annotations(label, "COCO", store, root, resolve_classes(found, classes, label), notes=notes)
        index = {name: i for i, name in enumerate(self.result.classes)}
        self.label_of = index | {key: index[name] for key, name in names.items()}
        self.pictures = self._images(data, name)
        if not any(_id(row.get("image_id")) in self.pictures for row in rows):
            self.pictures |= self._by_file(data)
        self._annotations(rows)
        self._relations(data)
        self.result.unlabelled = unlisted_pictures(store, [picture.name for picture in self.result.pictures])

    def _problem(self, kind: str, where: str, text: str, fatal: bool = False) -> None:
        self.result.problems.append(Problem(kind, f"{self.display}, {where}", f"{self.display}, {where} {text}", fatal))

    def _categories(self, data: dict, used: Counter, notes: list[str]) -> dict[Any, str]:
        """Category id -> name, in the order of the ids. used: category id -> its number of annotations."""
        listed: dict[Any, str] = {}
        groups: dict[Any, str] = {}
        for each in _dicts(data, "categories", self.display):
            key, name = _id(each.get("id")), _name(each.get("name"))
            if key is None or not name:
                raise DataError(f"{self.display} has a category {escape(each)}; an id and a name expected")
            if listed.setdefault(key, name) != name:
                text = f"names the category {escape(key)} ('{escape(name)}') twice; one each expected"
                raise DataError(f"{self.display} {text}")
            groups[key] = str(each.get("supercategory"))
        if not listed:
            raise DataError(f"{self.display} lists no categories; an id and a name for each class expected")
        found = _without_groups(listed, groups, used)
        dropped = [escape(name) for key, name in listed.items() if key not in found]
        if dropped:
            notes.append(
                f"{self.display} has categories that only group others and are no classes: {shorten_list(dropped)}"
            )
        if len(set(found.values())) < len(found):
            first = {name: key for key, name in reversed(found.items())}
            key, name = next((key, name) for key, name in found.items() if first[name] != key)
            text = f"names the category {escape(key)} ('{escape(name)}') twice; one each expected"
            raise DataError(f"{self.display} {text}")
        return dict(sorted(found.items(), key=lambda item: natural_key(item[0])))

    def _images(self, data: dict, name: str) -> dict[Any, AnnotatedPicture | None]:
        """Image id -> picture, None for those without a file."""
        found: dict[Any, AnnotatedPicture | None] = {}
        images = _dicts(data, "images", self.display)
        keys = [_id(each.get("id")) for each in images]
        files = [_file_name(each) for each in images]
        several = _of_several_files(keys, files)
        finder = PictureFinder(self.result.store, name, [file for file in files if file])
        by_name: dict[str, AnnotatedPicture] = {}
        for i, (each, key, file) in enumerate(zip(images, keys, files, strict=True)):
            where = f"image number {i + 1}" if key is None or key in several else f"image {escape(key)}"
            full, reason = finder.find(file) if file else (None, "")
            if key is None or key in several:
                what = "an id that other images have, too" if key is not None else "no id"
                text = f"({escape(file)}) has {what}: which annotations are of it cannot be known; number the images"
                self._problem("id repeated", where, text)
                found[key] = None
            elif full is None:
                text = f"is {escape(file)}, {reason}" if file else "has no file_name; the name of its picture expected"
                self._problem("picture missing", where, text)
                found[key] = None
            elif full in by_name:
                text = f"is {escape(file)} again; the objects of both were joined"
                self._problem("picture listed twice", where, text)
                found[key] = by_name[full]
            else:
                size = (to_float(each.get("height")), to_float(each.get("width")))
                claimed = (int(size[0]), int(size[1])) if all(map(math.isfinite, size)) and min(size) >= 1 else None
                found[key] = by_name[full] = AnnotatedPicture(full, self.display, size=claimed, row=i)
        self.result.pictures = list(by_name.values())
        return found

    def _by_file(self, data: dict) -> dict[Any, AnnotatedPicture | None]:
        """File name, with and without folder and suffix -> picture, for annotations that name files for images."""
        found: dict[Any, AnnotatedPicture | None] = {}
        twice = set()
        for each in data["images"]:
            path = PurePosixPath((_file_name(each) or "").replace("\\", "/"))
            for name in {_id(str(path)), _id(path.name), _id(path.stem)}:
                twice.update({name} & found.keys())
                found[name] = self.pictures.get(_id(each.get("id")))
        return {name: picture for name, picture in found.items() if name not in twice}

    def _annotations(self, rows: list[dict]) -> None:
        self.places: dict[Any, tuple[AnnotatedPicture, int]] = {}
        self.around = 0  # boxes that are drawn around outlines
        for i, each in enumerate(rows):
            key = _id(each.get("id"))
            where = f"annotation {escape(key)}" if key is not None else f"annotation number {i + 1}"
            picture = self.pictures[_id(each.get("image_id"))] if self._is_sound(each, key, where) else None
            found = None if picture is None else self._object(each, where, picture, i)
            if picture is not None and found is not None:
                picture.objects.append(found)
                if key is not None:
                    self.places.setdefault(key, (picture, len(picture.objects) - 1))
        if self.around:
            text = f"{self.around} objects have no bbox of four numbers: it was drawn around their outlines"
            self.result.notes.append(text)
        if any(row.get("keypoints") for row in rows):
            self.result.notes.append("the keypoints of objects are not read, only their boxes and outlines")

    def _object(self, each: dict, where: str, picture: AnnotatedPicture, row: int) -> AnnotatedObject | None:
        """The object of an annotation; None, and a problem, for one without a place."""
        outline, fault = parse_outline(each.get("segmentation"), picture.size)
        box = _box(each.get("bbox"), each.get("bbox_mode"))
        if outline is not None and not any(box or ()):  # some writers put zeros where there is none
            self.around += 1
            box = outline_box(outline)
        if box is None:
            given = f"the bbox {escape(each.get('bbox'))}" if each.get("bbox") else "neither a bbox nor an outline"
            self._problem("annotation broken", where, f"has {given}; x, y, width and height expected")
            return None
        key, area = _id(each.get("id")), to_float(each.get("area"))
        crowd = to_float(_without_bool(each.get("iscrowd") or 0))
        return AnnotatedObject(
            where, box, self.label_of[_id(each.get("category_id"))], crowd=crowd == 1,
            id=key if type(key) is int else None, shape=outline, row=row,
            area=area if 0 <= area < math.inf else None, fault=fault,
        )  # fmt: skip

    def _is_sound(self, each: dict, key: Any, where: str) -> bool:
        """Whether an annotation can be read; its problem is recorded."""
        image, category, crowd = _id(each.get("image_id")), _id(each.get("category_id")), each.get("iscrowd")
        if image is None or image not in self.pictures:
            text = f"belongs to image {escape(each.get('image_id'))}, which is not listed"
            self._problem("annotation without picture", where, text)
        elif category is None or category not in self.label_of:
            text = f"has the category {escape(each.get('category_id'))}; {len(self.result.classes)} others are listed"
            self._problem("class unknown", where, text, fatal=True)
        elif crowd is not None and to_float(_without_bool(crowd)) not in (0, 1):
            self._problem("annotation broken", where, f"has iscrowd: {escape(crowd)}; 0 or 1 expected")
        else:
            if key is not None and key in self.places:
                self._problem("id repeated", where, "has an id that another annotation has, too")
            return True
        return False

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
                ends = [self.places.get(_id(_get(row, end))) for end in ("subject", "object")]
                relation = index.get(_name(_get(row, "relation")))
                if None in ends or ends[0][0] is not ends[1][0] or relation is None:  # type: ignore[index]
                    text = f"has the relation {escape(row)}; two of its annotations and a known name expected"
                    self._problem("relation broken", f"image {escape(key)}", text)
                    continue
                (picture, subject), (_, other) = ends  # type: ignore[misc]
                picture.relations.append((subject, relation, other))


def _without_groups(listed: dict[Any, str], groups: dict[Any, str], used: Counter) -> dict[Any, str]:
    """The categories without those that have no annotation and whose name is another's group or name."""
    names = Counter(listed.values())
    inside = Counter(group for key, group in groups.items() if listed[key] != group)
    kept = {}
    for key, name in listed.items():
        grouping = inside[name] > 0 and groups[key] not in names.keys() - {name}
        if used[key] or not (grouping or names[name] > 1):
            kept[key] = name
        else:
            names[name] -= 1
    return kept


def _of_several_files(keys: list[Any], files: list[str | None]) -> set[Any]:
    """The image ids that several files have."""
    first: dict[Any, str | None] = {}
    return {key for key, file in zip(keys, files, strict=True) if first.setdefault(key, file) != file}


def _box(value: object, mode: object = None) -> Box | None:
    """Left, top, right, bottom of a bbox; None where there is none."""
    if isinstance(value, str):
        value = value.strip("[]() ").replace(",", " ").split()
    if isinstance(value, dict):
        value = [value.get(key) for key in ("x", "y", "width", "height")]
    if not isinstance(value, list) or len(value) != 4:
        return None
    left, top, width, height = (to_float(each) for each in value)
    return (left, top, width, height) if mode == XYXY_ABS else (left, top, left + width, top + height)


def _id(value: object) -> Any:
    """An id in one form for numbers and text; None if it is none."""
    if type(value) is float and value.is_integer():
        return int(value)
    if type(value) is str:
        text = value.strip().removesuffix(".0")
        digits = text.removeprefix("-")
        return int(text) if digits.isascii() and digits.isdecimal() and len(digits) < 19 else value
    return value if type(value) is int else None


def _without_bool(value: object) -> object:
    return int(value) if type(value) is bool else value


def _name(value: object) -> str:
    """A name, which may be written as a number."""
    return str(value) if type(value) in (str, int) else ""


def _file_name(image: dict) -> str | None:
    """The file name of an image; LVIS has its address instead."""
    name = next(
        (value for key in ("file_name", "coco_url") if isinstance(value := image.get(key), str) and value), None
    )
    return None if name is None or "\0" in name else name


def _get(row: object, key: str) -> object:
    return row.get(key) if isinstance(row, dict) else None


def _dicts(data: dict, key: str, display: str) -> list[dict]:
    rows = data[key]
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise DataError(f"{display} has {key} that are not a list of JSON objects")
    return rows
