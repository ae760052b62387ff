"""YOLO: a text file for each picture, a line for each object (`yolo_labels.py`).

data.yaml or darknet's obj.data lists classes and splits (`yolo_sheet.py`); without splits in it, lists of pictures
(train.txt, valid.txt) or folder names give them; without names in it, classes.txt or obj.names lists the classes.
`yolo_files.py` finds pictures and label files.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path, PurePosixPath

from saccade.data.dataset import Problem
from saccade.data.files import escape, is_picture, natural_key
from saccade.data.objects.annotations import AnnotatedObject, AnnotatedPicture, Annotations, resolve_classes
from saccade.data.objects.yolo_files import ListedPictures, drop_duplicates, is_label, pair_labels
from saccade.data.objects.yolo_labels import YoloColumns, find_columns, looks_like_labels, parse_line
from saccade.data.objects.yolo_yaml import DataYaml, class_file, find_data_yamls
from saccade.data.split_names import folder_kind, sibling_roles, split_role
from saccade.data.store import FileStore, open_store, parent_folder, read_bytes_or_empty, read_text, relative_to
from saccade.errors import DataError

SAMPLE = 64  # label files that are looked at to tell them from other texts
MAX_CLASSES = 1 << 14  # classes of a set in which nothing names them


@dataclass
class YOLO:
    """A YOLO data set. sheet: data.yaml or what stands for it. pictures: split -> pictures. labels: picture -> label
    file. problems: split -> pictures that its lists repeat or that are missing."""

    store: FileStore
    root: str
    sheet: DataYaml
    pictures: dict[str, list[str]]
    labels: dict[str, str]
    problems: dict[str, list[Problem]] = field(default_factory=dict)
    format: str = "YOLO"

    @property
    def splits(self) -> list[str]:
        return [name for name in self.pictures if name]

    @cached_property
    def names(self) -> dict[int, str]:
        """Number -> class."""
        return self.sheet.names if self.sheet.names is not None else self._numbered()

    @cached_property
    def columns(self) -> YoloColumns:
        """The meaning of the columns, the same for all splits."""
        rows = (row for line in self._lines() if isinstance(row := parse_line(line, self._numbers), list))
        return find_columns(rows, self.sheet.keypoints, self.sheet.task)

    @property
    def _numbers(self) -> dict[str, int]:
        return {name: number for number, name in (self.sheet.names or {}).items()}

    def read(self, split: str | None = None, classes: list[str] | None = None) -> Annotations:
        """Parse a split, or the only one. Raises DataError if none of its pictures has a label file."""
        label = self.store.title + (f", {split}" if split else "")
        name = split or next(iter(self.pictures))
        pictures, notes = self.pictures[name], list(self.sheet.notes)
        if pictures and not any(each in self.labels for each in pictures):
            raise DataError(_no_labels(label, pictures))
        if self.sheet.names is None:
            notes.append(f"no file names the classes; the {len(self.names)} numbers found stand for them")
        found = list(self.names.values())
        result = Annotations(label, "YOLO", self.store, self.root, resolve_classes(found, classes, label))
        result.problems, result.notes, result.normalized = list(self.problems.get(name, ())), notes, True
        notes += self.columns.notes
        place = {each: i for i, each in enumerate(result.classes)}
        index = {number: place[each] for number, each in self.names.items()}
        for each in pictures:
            text = self.labels.get(each)
            result.pictures.append(AnnotatedPicture(each, relative_to(self.root, text) if text else ""))
            if text:
                self._fill(result, text, index)
            else:
                result.unlabelled.append(each)
        if result.unlabelled:
            notes.append(f"{len(result.unlabelled)} pictures have no label file and were taken to hold no objects")
        return result

    def orphans(self) -> list[str]:
        """Label files without a picture, and pictures in no split."""
        taken = {name for names in self.pictures.values() for name in names}
        paired = set(self.labels.values())
        folders, inside = {parent_folder(name) for name in paired}, {parent_folder(name) for name in taken}
        labels = {each for each in folders if any(folder_kind(part) == "annotations" for part in each.split("/"))}
        texts = [n for n in self.store.files if is_label(n) and n not in paired and parent_folder(n) in labels]
        return texts + [n for n in self.store.files if is_picture(n) and n not in taken and parent_folder(n) in inside]

    def _fill(self, result: Annotations, file: str, index: dict[int, int]) -> None:
        picture = result.pictures[-1]
        display, numbers = escape(picture.where), self._numbers
        try:
            lines = read_text(self.store, file).splitlines()
        except DataError as error:
            result.problems.append(Problem("annotation broken", display, str(error)))
            result.pictures.pop()
            return
        for i, line in enumerate(lines, start=1):
            values, where = parse_line(line, numbers), f"{display}, line {i}"
            if not values:
                continue
            found = values if isinstance(values, str) else self.columns.read(values)
            if isinstance(found, str):
                result.problems.append(Problem("annotation broken", where, f"{where} {found}"))
            elif values[0] not in index:
                result.problems.append(Problem("class unknown", where, self._unknown(where, line), fatal=True))
            else:
                box, shape = found
                label = index[int(values[0])]  # type: ignore[arg-type]
                picture.objects.append(AnnotatedObject(f"line {i}", box, label, shape=shape, row=i - 1))

    def _unknown(self, where: str, line: str) -> str:
        last = max(self.names, default=0)
        counted = "counted from 0" if last == len(self.names) - 1 else f"with numbers from {min(self.names)} to {last}"
        return f"{where} has the class {escape(line.split()[0])}; there are {len(self.names)}, {counted}"

    def _lines(self) -> Iterator[str]:
        for picture in (each for part in self.pictures.values() for each in part):
            if picture in self.labels:
                yield from (
                    read_bytes_or_empty(self.store, self.labels[picture]).decode("utf-8-sig", "replace").splitlines()
                )

    def _numbered(self) -> dict[int, str]:
        """Class numbers, up to the highest in any label file, as names."""
        most = -1
        for line in self._lines():
            values = parse_line(line, {})
            if values and not isinstance(values, str) and values[0].is_integer() and values[0] < MAX_CLASSES:
                most = max(most, int(values[0]))
        return {i: str(i) for i in range(most + 1)}


def find_dataset(store: FileStore, only: str | None = None) -> YOLO | None:
    """Detect the set in a store; None if there is none. only: its data.yaml, if the store has several."""
    sheets = find_data_yamls(store, only)
    sheet, labels = sheets[0] if sheets else None, pair_labels(store)
    if sheet is not None and sheet.splits:
        others = [escape(each.file) for each in sheets[1:] if each.splits]
        if others:
            sheet.notes.append(f"{escape(sheet.file)} was read, and not {', '.join(others[:3])}; name one to choose it")
        return _from_sheet(store, sheet, labels)
    if not labels or not _are_labels(store, sorted(set(labels.values())), sheet is not None):
        return None
    # only folders with labels: pictures elsewhere are not part of the set
    tops = {_top(name) for name in labels}
    pictures = sorted((n for n in store.files if is_picture(n) and _top(n) in tops), key=natural_key)
    root = _common(pictures)
    if sheet is None:
        folders = {root, parent_folder(root), *map(parent_folder, labels), *map(parent_folder, labels.values())}
        sheet = DataYaml("", "", class_file(store, folders | set(map(parent_folder, folders))), {})
    return _by_lists(store, root, sheet, labels, set(pictures)) or _by_folders(store, root, sheet, labels, pictures)


def find_from_yaml(path: Path) -> YOLO | None:
    """The set of a data.yaml. If its `path` is an existing folder elsewhere, pictures and labels are there."""
    here = open_store(path.parent)
    sheet = next(iter(find_data_yamls(here, path.name)), None)
    base = (path.parent / sheet.base).resolve() if sheet is not None and sheet.base else None
    if sheet is None or base is None or not base.is_dir() or base.is_relative_to(path.parent.resolve()):
        return find_dataset(here, path.name)
    store = open_store(base)
    return _from_sheet(store, replace(sheet, file="", base=""), pair_labels(store))


def _from_sheet(store: FileStore, sheet: DataYaml, labels: dict[str, str]) -> YOLO:
    """A set whose data.yaml names its splits."""
    where, folder = sheet.where, parent_folder(sheet.file)
    if sheet.names is None:
        sheet = replace(sheet, names=class_file(store, {folder, *map(parent_folder, labels.values())}))
    places, result = ListedPictures(store, folder, sheet.base), YOLO(store, "", sheet, {}, labels)
    absent = []
    for split, listed in sheet.splits.items():
        problems: list[Problem] = []
        try:
            found = [each for place in listed for each in places.pictures(place, f"{where}, {split}", problems)]
            if not found:
                raise DataError(f"{where}, {split}: no pictures in '{escape(listed[0])}'")
        except DataError as error:
            if split_role(split) != "test":
                hint = "; without this line, pictures of the training split are held out" if split != "train" else ""
                raise DataError(f"{error}{hint}") from error
            absent.append(Problem("picture missing", f"{where}, {split}", f"{error}; this split was left out"))
            continue
        result.pictures[split], result.problems[split] = drop_duplicates(found, problems), problems
    if not result.pictures:
        raise DataError(f"{where} names no pictures; train: or val: with a folder of them expected")
    first = next(iter(result.pictures))
    result.problems[first] = absent + result.problems[first]
    around = all(name.startswith(f"{folder}/") for part in result.pictures.values() for name in part)
    return replace(result, root=folder if around else "")


def _by_lists(store: FileStore, root: str, sheet: DataYaml, labels: dict[str, str], pictures: set[str]) -> YOLO | None:
    """Splits from lists of pictures (train.txt, valid.txt), as darknet has them; None if there are none."""
    paired = set(labels.values())
    result = YOLO(store, root, sheet, {}, labels)
    places = ListedPictures(store, root, "")
    for name in sorted(store.files, key=natural_key):
        split = PurePosixPath(name).stem
        if not name.lower().endswith(".txt") or name in paired or split_role(split) is None:
            continue
        problems: list[Problem] = []
        first = next((line.strip() for line in read_text(store, name).splitlines() if line.strip()), "")
        if is_picture(first):
            result.pictures[split] = drop_duplicates(places.listed(name, problems), problems)
            result.problems[split] = problems
    return result if any(set(each) & pictures for each in result.pictures.values()) else None


def _by_folders(store: FileStore, root: str, sheet: DataYaml, labels: dict[str, str], pictures: list[str]) -> YOLO:
    """Splits from the names of folders; none if the names say nothing."""
    parts = {name: PurePosixPath(relative_to(root, name)).parts[:-1] for name in pictures}
    roles = sibling_roles({part for each in parts.values() for part in each})
    splits: dict[str, list[str]] = {}
    for name, folders in parts.items():
        splits.setdefault(next((folder for folder in folders if folder in roles), ""), []).append(name)
    return YOLO(store, root, sheet, splits, labels)


def _are_labels(store: FileStore, files: list[str], declared: bool) -> bool:
    """Whether text files hold labels rather than captions or another format. declared: a data.yaml says so, which
    counts if all files are empty."""
    step = max(1, len(files) // SAMPLE)
    found = [
        looks_like_labels(read_bytes_or_empty(store, name).decode("utf-8-sig", "replace")) for name in files[::step]
    ]
    alike = sum(each is True for each in found)
    if not alike and all(each is None for each in found):
        return declared or any(folder_kind(part) == "annotations" for part in PurePosixPath(files[0]).parts[:-1])
    return alike >= sum(each is False for each in found)


def _no_labels(label: str, pictures: list[str]) -> str:
    name = PurePosixPath(pictures[0])
    text = (
        f"{label}: none of its {len(pictures)} pictures has a label file (of {escape(name)}: {escape(name.stem)}.txt "
    )
    text += "in a folder labels beside its images, or beside it); "
    return f"{text}an empty one each expected for pictures without objects"


def _top(name: str) -> str:
    """The folder named images that a picture is in, or its own folder."""
    parts = PurePosixPath(name).parts[:-1]
    last = max((i for i, part in enumerate(parts) if folder_kind(part) == "pictures"), default=None)
    return "/".join(parts if last is None else parts[: last + 1])


def _common(names: list[str]) -> str:
    """The common folder of all pictures, above folders named images, labels or like a split."""
    shared: list[str] = []
    for parts in zip(*(PurePosixPath(name).parts[:-1] for name in names), strict=False):
        if len(set(parts)) > 1 or folder_kind(parts[0]) or split_role(parts[0]):
            break
        shared.append(parts[0])
    return "/".join(shared)
