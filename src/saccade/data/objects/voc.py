"""Pascal VOC: an XML file for each picture in Annotations/, pictures in JPEGImages/, splits in ImageSets/Main/*.txt.

Coordinates are integer pixels counted from 1, xmax and ymax inclusive (the definition of the devkit): left = xmin - 1,
top = ymin - 1, right = xmax, bottom = ymax. A box with xmin = xmax or ymin = ymax, one pixel wide by this definition,
is a click without a drag in labelling tools, and counts as empty.
"""

import math
from dataclasses import dataclass, field
from itertools import chain
from pathlib import PurePosixPath
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from saccade.data.files import escape, is_picture, natural_key
from saccade.data.objects.annotations import (
    AnnotatedObject,
    AnnotatedPicture,
    Annotations,
    Box,
    Problem,
    number,
    resolve_classes,
)
from saccade.data.split_names import SPLIT_NAMES, split_role
from saccade.data.store import Store, join, parent_folder, pictures_in, read_bytes, read_text, relative_to
from saccade.errors import DataError, in_one_line

ROLES = (*chain(*SPLIT_NAMES.values()), "trainval")


@dataclass(frozen=True)
class Parsed:
    """One XML file. objects: (place, class, box, difficult). filename: of the picture, "" if missing."""

    size: tuple[int, int] | None
    objects: list[tuple[str, str, Box, bool]]
    filename: str = ""


@dataclass
class VOC:
    """A Pascal VOC data set. folders: split -> folder of XML files; a single one, or one for each split. lists: split
    -> file in ImageSets/Main that lists its pictures."""

    store: Store
    root: str
    folders: dict[str, str]
    lists: dict[str, str]
    format: str = "VOC"
    _parsed: dict[str, Parsed | Problem] = field(default_factory=dict)

    @property
    def splits(self) -> list[str]:
        return list(self.lists) or (list(self.folders) if len(self.folders) > 1 else [])

    def read(self, split: str | None = None, classes: list[str] | None = None) -> Annotations:
        """Parse the set or a split. classes: default, all that occur in the XML files, sorted."""
        label = f"{self.store.label}" + (f", {split}" if split else "")
        folder = self.folders[split] if split in self.folders else next(iter(self.folders.values()))
        where = {each: _by_key(self.store, each) for each in self.folders.values()}
        for files in where.values():
            for name in files.values():
                self._parse(name)
        sound = [each for each in self._parsed.values() if isinstance(each, Parsed)]
        found = sorted({name for each in sound for _, name, _, _ in each.objects})
        result = Annotations(label, "VOC", self.store, self.root, resolve_classes(found, classes, label))
        files, pictures = where[folder], self._pictures(folder)
        wanted = list(files)
        if split in self.lists:
            wanted = self._listed(self.lists[split], files, result.problems)
        taken: dict[str, str] = {}
        for key in wanted:
            self._add(key, files, pictures, taken, result)
        if split not in self.lists:
            broken = {key for key in files if isinstance(self._parse(files[key]), Problem)}
            result.unlabelled = [
                name for key, names in pictures.items() if key not in broken for name in names if name not in taken
            ]
        return result

    def orphans(self) -> list[str]:
        """Pictures and XML files that are in no list of a split."""
        if not self.lists:
            return []
        named = {key for name in self.lists.values() for key in self._listed(name, {}, [])}
        folder = next(iter(self.folders.values()))
        both = {key: [name] for key, name in _by_key(self.store, folder).items()} | self._pictures(folder)
        return [name for key, names in both.items() if key not in named for name in names]

    def _parse(self, name: str) -> Parsed | Problem:
        if name not in self._parsed:
            display = escape(relative_to(self.root, name))
            try:
                self._parsed[name] = parse(read_bytes(self.store, name))
            except DataError as error:
                self._parsed[name] = Problem("annotation broken", display, f"{display} {error}")
        return self._parsed[name]

    def _pictures(self, folder: str) -> dict[str, list[str]]:
        """Key -> pictures (a.jpg and a.png share one) that may belong to a folder of XML files."""
        around = parent_folder(folder) if _is_annotations(folder) else folder
        for place in (join(around, "JPEGImages"), join(around, "images"), around):
            found = pictures_in(self.store, place)
            if found:
                by_key: dict[str, list[str]] = {}
                for name in found:
                    by_key.setdefault(_key(name, place), []).append(name)
                return by_key
        return {}

    def _listed(self, name: str, files: dict[str, str], problems: list[Problem]) -> list[str]:
        """The keys in a list of a split, without repeats."""
        display, keys = escape(relative_to(self.root, name)), {}
        for i, line in enumerate(read_text(self.store, name).splitlines(), start=1):
            key = (line.split() or [""])[0]
            if key not in files and is_picture(key):
                key = str(PurePosixPath(key).with_suffix(""))
            if key in keys:
                problems.append(
                    Problem("picture listed twice", display, f"{display}, line {i}: {escape(key)} is listed again")
                )
            elif key:
                keys[key] = i
        return list(keys)

    def _add(
        self,
        key: str,
        files: dict[str, str],
        pictures: dict[str, list[str]],
        taken: dict[str, str],
        result: Annotations,
    ) -> None:
        """Add the picture of a key, or its problem. taken: picture -> XML file, of the pictures added so far."""
        name = files.get(key)
        if name is None:
            text = f"{escape(key)} is in the list of {result.label} and has no {escape(key)}.xml; "
            text += "a picture without objects needs one too"
            result.problems.append(Problem("annotation missing", escape(key), text, fatal=True))
            return
        parsed, display = self._parse(name), relative_to(self.root, name)
        found = pictures.get(key) or pictures.get(PurePosixPath(key).name) or []
        if isinstance(parsed, Problem):
            result.problems.append(parsed)
            return
        if len(found) > 1:
            meant = PurePosixPath(parsed.filename.replace("\\", "/")).name
            both = ", ".join(escape(relative_to(self.root, each)) for each in found)
            found = [each for each in found if PurePosixPath(each).name == meant]
            if not found:
                text = (
                    f"{escape(display)} may be of {both}, and its <filename> '{escape(meant)}' is neither; correct it"
                )
                result.problems.append(Problem("annotation broken", display, text, fatal=True))
                return
        if not found:
            result.problems.append(
                Problem("picture missing", display, f"{escape(display)} has no picture beside it; add or remove it")
            )
        elif found[0] in taken:
            text = f"{escape(display)} and {escape(taken[found[0]])} are both of the picture "
            text += f"{escape(relative_to(self.root, found[0]))}; keep one"
            result.problems.append(Problem("annotation broken", display, text, fatal=True))
        else:
            index = {name: i for i, name in enumerate(result.classes)}
            objects = [
                AnnotatedObject(where, box, index[c], crowd, row=i)
                for i, (where, c, box, crowd) in enumerate(parsed.objects)
            ]
            taken[found[0]] = display
            result.pictures.append(AnnotatedPicture(found[0], display, objects, parsed.size))


def find(store: Store) -> VOC | None:
    """Detect the set in a store; None if there is none. Raises DataError for several sets that are not splits of
    one."""
    folders = {parent_folder(name) for name in store.files if name.endswith(".xml")}
    named = sorted((folder for folder in folders if _is_annotations(folder)), key=natural_key)
    if not named:
        # next to the pictures, as some labelling tools write them
        keys = {str(PurePosixPath(name).with_suffix("")) for name in store.files if is_picture(name)}
        beside = {parent_folder(n) for n in store.files if n.endswith(".xml") and n[: -len(".xml")] in keys}
        named = sorted(beside, key=natural_key)
    if not named:
        return None
    around = [parent_folder(folder) if _is_annotations(folder) else folder for folder in named]
    if len(named) > 1 and not all(split_role(folder) for folder in around):
        raise DataError(
            f"{store.label} holds {len(named)} VOC sets ({', '.join(map(escape, around[:4]))}); give the folder of one"
        )
    if len(named) > 1:
        names = [PurePosixPath(folder).name for folder in around]
        return VOC(store, parent_folder(around[0]), dict(zip(names, named, strict=True)), {})
    lists = _lists(store, join(around[0], "ImageSets/Main"))
    return VOC(store, around[0], {"": named[0]}, lists)


def parse(data: bytes) -> Parsed:
    """Parse an XML file. Raises DataError (without the name of the file) if it is not a VOC annotation."""
    try:
        root = fromstring(data)
    except DefusedXmlException as error:
        raise DataError("declares entities, with which a file can attack its reader; refused") from error
    except (ParseError, ValueError, LookupError) as error:  # including encoding errors
        raise DataError(f"is not valid XML ({in_one_line(error)})") from error
    if root.tag != "annotation":
        raise DataError(f"holds <{escape(root.tag)}>; <annotation> expected")
    objects = []
    for i, each in enumerate(root.findall("object"), start=1):
        name = (each.findtext("name") or "").strip()
        if not name:
            raise DataError(f"has an object (object {i}) without a <name>")
        difficult = (each.findtext("difficult") or "0").strip() not in ("", "0", "false", "False")
        objects.append((f"object {i}", name, _box(each), difficult))
    return Parsed(_size(root), objects, (root.findtext("filename") or "").strip())


def _box(each: Element) -> Box:
    xmin, ymin, xmax, ymax = (number(each.findtext(f"bndbox/{key}")) for key in ("xmin", "ymin", "xmax", "ymax"))
    # equal coordinates: see the module's docstring
    return (xmin - (xmin != xmax), ymin - (ymin != ymax), xmax, ymax)


def _size(root: Element) -> tuple[int, int] | None:
    height, width = (number(root.findtext(f"size/{key}")) for key in ("height", "width"))
    if not (math.isfinite(height) and math.isfinite(width)) or min(height, width) < 1:
        return None  # some tools write 0 for unknown
    return int(height), int(width)


def _is_annotations(folder: str) -> bool:
    return PurePosixPath(folder).name.lower() == "annotations"


def _key(name: str, folder: str) -> str:
    return str(PurePosixPath(relative_to(folder, name)).with_suffix(""))


def _by_key(store: Store, folder: str) -> dict[str, str]:
    inside = (n for n in store.files if n.endswith(".xml") and (not folder or n.startswith(f"{folder}/")))
    visible = (n for n in inside if not PurePosixPath(n).name.startswith("."))
    return {_key(name, folder): name for name in sorted(visible, key=natural_key)}


def _lists(store: Store, folder: str) -> dict[str, str]:
    found = {}
    for name in sorted(store.files, key=natural_key):
        path = PurePosixPath(name)
        # the original also has cat_train.txt: the pictures of train.txt with a flag for one class
        if (
            str(path.parent) == folder
            and path.suffix == ".txt"
            and not ("_" in path.stem and path.stem.rsplit("_", 1)[1] in ROLES)
        ):
            found[path.stem] = name
    return found
