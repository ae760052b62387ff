"""Text files that list the pictures of each split: on each line a name, a path, or a picture and its mask."""

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

from saccade.data.files import escape, is_picture, natural_key
from saccade.data.objects.annotations import Problem
from saccade.data.segments.files import MaskedPicture
from saccade.data.split_names import split_role
from saccade.data.store import Store, parent_folder, read_text, relative_to

VOC_LISTS = "imagesets/segmentation"
TRIED = 50  # lines parsed to detect a list


class Finder:
    """Look up files by names in a list: with or without folders and suffix, or by paths on another machine."""

    def __init__(self, files: Iterable[str]):
        self._by_tail: dict[str, list[str]] = {}
        for name in files:
            parts = PurePosixPath(name).with_suffix("").parts
            for i in range(len(parts)):
                self._by_tail.setdefault("/".join(parts[i:]), []).append(name)

    def __call__(self, display: str, near: str = "") -> str | None:
        """The file with the longest common path suffix; of several, one with a folder named `near`."""
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
    """Split -> the files that list it: those in VOC's ImageSets/Segmentation, else those named like a split that list
    pictures."""
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
    """The picture of a line and its mask, "" if not given; None if there is no such picture. near: the split."""
    whole = pictures(line, near)
    if whole is not None:
        return whole, ""
    parts = [part for part in re.split(r"[\t,; ]+", line) if part]
    for i in range(1, len(parts)):  # names may contain spaces
        first = pictures(" ".join(parts[:i]), near)
        if first is not None:
            return first, masks(" ".join(parts[i:]), near) or ""
    return None


def listed(
    store: Store, root: str, split: str, files: list[str], pictures: Finder, masks: Finder
) -> tuple[list[MaskedPicture], list[Problem]]:
    """The pictures in the lists of a split, without repeats, and problems in the lists."""
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
                text = f"{where} names {escape(line)}, which is not a picture of the set; add or remove it"
                problems.append(Problem("picture missing", where, text))
            elif both[0] in found:
                text = f"{where}: {escape(line)} is listed again"
                problems.append(Problem("picture listed twice", where, text))
            else:
                found[both[0]] = MaskedPicture(both[0], both[1], line=line)
    return list(found.values()), problems
