"""Text files that name the pictures of each split: a name a line, a path, or a picture and its mask."""

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

from saccade.data.files import escape, is_picture, natural_key
from saccade.data.objects.annotations import Problem
from saccade.data.segments.masked_set import MaskedPicture
from saccade.data.split_names import split_role
from saccade.data.store import Store, parent_folder, read_text, relative_to

VOC_LISTS = "imagesets/segmentation"
TRIED = 50  # lines by which a list is known


class Finder:
    """Files of a set by what a list calls them: with or without folders and suffix, as another machine had them."""

    def __init__(self, files: Iterable[str]):
        self._by_tail: dict[str, list[str]] = {}
        for name in files:
            parts = PurePosixPath(name).with_suffix("").parts
            for i in range(len(parts)):
                self._by_tail.setdefault("/".join(parts[i:]), []).append(name)

    def __call__(self, display: str, near: str = "") -> str | None:
        """The file that shares the longest end of its path with `display`; of several, one of whose folders is `near`."""
        path = PurePosixPath(display.replace("\\", "/"))
        parts = [part for part in path.parts if part not in ("/", ".", "..")]
        for stem in (str(path.with_suffix("").name), path.name) if is_picture(path.name) else (path.name,):
            for i in range(len(parts)):
                found = self._by_tail.get("/".join([*parts[i:-1], stem]), [])
                named = [name for name in found if PurePosixPath(name).name == path.name] or found
                close = [name for name in named if near and near in PurePosixPath(name).parts] or named
                if len(close) == 1:
                    return close[0]
        return None


def find_lists(store: Store, root: str, find: Finder) -> dict[str, list[str]]:
    """Split -> the files that list it: those of VOC's ImageSets/Segmentation, else those whose names say train, val or
    test and whose lines name pictures."""
    inside = [n for n in store.files if not root or n.startswith(f"{root}/")]
    texts = sorted((n for n in inside if n.endswith(".txt")), key=natural_key)
    voc = [n for n in texts if parent_folder(n).lower().endswith(VOC_LISTS)]
    found: dict[str, list[str]] = {}
    for name in voc or [n for n in texts if split_role(n)]:
        lines = [each for each in lines_of(store, name)[:TRIED] if each]
        if any(resolve(line, find, find, "") is not None for line in lines) or (voc and not lines):
            found.setdefault(PurePosixPath(name).stem, []).append(name)
    return found


def lines_of(store: Store, name: str) -> list[str]:
    return [line.strip() for line in read_text(store, name).splitlines()]


def resolve(line: str, pictures: Finder, masks: Finder, near: str) -> tuple[str, str] | None:
    """The picture that a line names, and its mask, "" where it does not say; None if there is no such picture. near:
    the split."""
    whole = pictures(line, near)
    if whole is not None:
        return whole, ""
    parts = [part for part in re.split(r"[\t,; ]+", line) if part]
    for i in range(1, len(parts)):  # names with blanks in them
        first = pictures(" ".join(parts[:i]), near)
        if first is not None:
            return first, masks(" ".join(parts[i:]), near) or ""
    return None


def listed(
    store: Store, root: str, split: str, files: list[str], pictures: Finder, masks: Finder
) -> tuple[list[MaskedPicture], list[Problem]]:
    """The pictures that the lists of a split name, each once, and what is wrong with the lists."""
    found: dict[str, MaskedPicture] = {}
    problems = []
    for name in files:
        display = escape(relative_to(root, name))
        for i, line in enumerate(lines_of(store, name), start=1):
            if not line:
                continue
            where = f"{display}, line {i}"
            both = resolve(line, pictures, masks, split)
            if both is None:
                text = f"{where} names {escape(line)}, which is no picture of the set; add or remove it"
                problems.append(Problem("picture missing", where, text))
            elif both[0] in found:
                text = f"{where}: {escape(line)} is listed again"
                problems.append(Problem("picture listed twice", where, text))
            else:
                found[both[0]] = MaskedPicture(both[0], both[1], line=line)
    return list(found.values()), problems
