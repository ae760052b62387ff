"""Where the files of a YOLO set are: the label file of each picture, and the pictures of folders and lists.

labels/.../a.txt belongs to images/.../a.jpg; without a folder of labels, both are in the same folder. Letters' case is
ignored. Paths of another machine are found by their longest end that exists; nothing outside the store is looked up.
"""

import posixpath
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from saccade.data.dataset import Problem
from saccade.data.files import escape, is_picture
from saccade.data.objects.yolo_yaml import CLASS_FILES, path_parts
from saccade.data.split_names import folder_kind, split_role
from saccade.data.store import FileStore, join_path, parent_folder, pictures_in, read_text, relative_to
from saccade.errors import DataError


class CaseInsensitiveNames:
    """Names of files or folders, found with letters' case ignored where one name alone fits."""

    def __init__(self, names: Iterable[str]):
        self._exact = set(names)
        self._folded: dict[str, str] = {}
        for name in self._exact:
            key = name.casefold()
            self._folded[key] = "" if key in self._folded else name  # "": two names differ by case alone

    def find(self, name: str) -> str | None:
        if name in self._exact:
            return name
        return self._folded.get(name.casefold()) or None


def is_label(name: str) -> bool:
    """Whether a file may be a label file, by its name."""
    base = PurePosixPath(name).name.lower()
    return base.endswith(".txt") and base not in CLASS_FILES and not base.startswith(".")


def pair_labels(store: FileStore) -> dict[str, str]:
    """Picture -> its label file, for the pictures of a store that have one.

    If no picture has one beside it or in a folder of labels, those of the same name are paired, where a name is that of
    one picture and one text file only."""
    texts = CaseInsensitiveNames(name for name in store.files if is_label(name))
    siblings: dict[str, list[str]] = {}
    for folder in sorted(store.folders):
        if folder_kind(PurePosixPath(folder).name) == "annotations":
            siblings.setdefault(parent_folder(folder), []).append(folder)
    pictures = [name for name in store.files if is_picture(name)]
    found = {}
    for picture in pictures:
        text = next((text for place in _places(picture, siblings) if (text := texts.find(place))), None)
        if text is not None:
            found[picture] = text
    return found or _by_stem(pictures, [name for name in store.files if is_label(name)])


def _places(picture: str, siblings: dict[str, list[str]]) -> Iterator[str]:
    """Candidate names of the label file of a picture, the most usual first."""
    path = PurePosixPath(picture)
    parts, bases = path.parts[:-1], (f"{path.stem}.txt", f"{path.name}.txt")
    for i in range(len(parts) - 1, -1, -1):
        if folder_kind(parts[i]) == "pictures":
            for folder in _of_role(siblings.get("/".join(parts[:i]), ()), parts[i]):
                yield from (join_path(folder, *parts[i + 1 :], base) for base in bases)
    yield from (join_path(*parts, base) for base in bases)
    for folder in siblings.get("/".join(parts), ()):
        yield from (join_path(folder, base) for base in bases)


def _of_role(folders: Iterable[str], name: str) -> list[str]:
    """The folders of the same split as the folder `name`, those named labels first."""
    alike = [each for each in folders if split_role(each) == split_role(name)]
    return sorted(alike, key=lambda each: PurePosixPath(each).name.lower() != "labels")


def _by_stem(pictures: list[str], texts: list[str]) -> dict[str, str]:
    def unique(names: list[str]) -> dict[str, str]:
        by_stem: dict[str, str] = {}
        for name in names:
            stem = PurePosixPath(name).stem
            by_stem[stem] = "" if stem in by_stem else name
        return by_stem

    found = unique(texts)
    return {name: text for stem, name in unique(pictures).items() if name and (text := found.get(stem))}


class ListedPictures:
    """Finds the pictures of the folders and lists that data.yaml names.

    folder: of data.yaml, which places are relative to, or to `base` below it."""

    def __init__(self, store: FileStore, folder: str, base: str):
        self.store, self.folder, self.base = store, folder, base
        self._files, self._folders = CaseInsensitiveNames(store.files), CaseInsensitiveNames(store.folders)

    def pictures(self, place: str, where: str, problems: list[Problem]) -> list[tuple[str, str]]:
        """The pictures of a folder or list, each with the place that lists it. Listed pictures that do not exist are
        added to `problems`.

        Raises DataError if there is no such folder or list, and if all pictures of a list are missing."""
        for path in candidate_paths(self.folder, self.base, place):
            folder = path and self._folders.find(path)
            if folder is not None:  # "" is the root
                display = escape(relative_to(self.folder, folder or "."))
                return [(name, display) for name in pictures_in(self.store, folder)]
            file = self._files.find(path)
            if file is not None:
                return self.listed(file, problems)
        below = f" below the path '{escape(self.base)}'" if self.base else ""
        raise DataError(f"{where}: '{escape(place)}'{below} is neither a folder nor a file of {self.store.title}")

    def listed(self, file: str, problems: list[Problem]) -> list[tuple[str, str]]:
        """The pictures of a list, a path a line."""
        display = escape(relative_to(self.folder, file))
        folders = tuple(
            dict.fromkeys((parent_folder(file), next(candidate_paths(self.folder, self.base, ".")), self.folder))
        )
        found, absent = [], []
        for i, line in enumerate(map(str.strip, read_text(self.store, file).splitlines()), start=1):
            name = self._named(folders, line) if line else None
            if name is not None:
                found.append((name, f"{display}, line {i}"))
            elif line:
                where = f"{display}, line {i}"
                text = f"{where} lists '{escape(line)}', which is not there; add the picture or remove the line"
                absent.append(Problem("picture missing", where, text))
        if absent and not found:
            raise DataError(f"{self.store.title}: {absent[0].text}; no other picture that it lists is there, either")
        problems += absent
        return found

    def _named(self, folders: tuple[str, ...], line: str) -> str | None:
        """The picture of a line: its longest end that exists in one of the folders."""
        parts = path_parts(line)
        ways = (join_path(folder, *parts[i:]) for i in range(len(parts)) for folder in folders)
        return next((name for path in ways if (name := self._files.find(path)) is not None), None)


def candidate_paths(folder: str, base: str, place: str) -> Iterator[str]:
    """Candidate names inside the store: the place as written, then shorter and shorter ends of it below `folder`."""
    base, place = (text.replace("\\", "/") for text in (base, place))
    whole = posixpath.normpath(posixpath.join(folder, base, place))
    if not whole.startswith(("/", "..")):
        yield "" if whole == "." else whole
    parts = path_parts(posixpath.join(base, place))
    for i in range(max(1, len(parts))):
        yield join_path(folder, *parts[i:])


def drop_duplicates(found: Iterable[tuple[str, str]], problems: list[Problem]) -> list[str]:
    """Pictures without repeats; a problem for each repeat. found: (picture, place that lists it)."""
    names: dict[str, None] = {}
    for name, place in found:
        if name in names:
            where = f"{place}: {escape(PurePosixPath(name).name)}"
            problems.append(Problem("picture listed twice", where, f"{where} is listed again"))
        names[name] = None
    return list(names)
