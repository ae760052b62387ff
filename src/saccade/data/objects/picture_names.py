"""The pictures of a set that an annotation file names, also by the paths of another machine.

A name is looked up inside the set only: `/home/someone/set/images/3.jpg`, `C:\\data\\3.jpg`, `../images/3.jpg` and an
address mean the picture at the longest end of the path that is there, if there is one such picture.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import PurePosixPath
from typing import Literal
from urllib.parse import unquote

from saccade.data.files import is_picture
from saccade.data.split_names import folder_kind, split_role
from saccade.data.store import FileStore, join_path, parent_folder

SEVERAL = ""  # marks an end of a path that several pictures have

LIKELY = 1.3  # weight of pictures beside the document or in a folder named images: copies elsewhere may be more

Ends = dict[str, str]
Scope = Literal["all", "near", "split", "others"]
SCOPES: tuple[Scope, ...] = ("all", "near", "split")


class PictureFinder:
    """The pictures that `document` names.

    names: all names in it. The folder that they are relative to is the one where most of the first names exist; of
    several the one named after the same split, then the one closest to the document. A relative name means exactly that
    file where half of the names do; letters' case and the form of accents, which systems change, are ignored."""

    def __init__(self, store: FileStore, document: str, names: Sequence[str]):
        self._store, self._document = store, document
        self._there, self._by_scope = set(store.files), dict[Scope, Ends]()
        self._role = path_split_role(document)
        plain = [name for name in names if _is_plain(name)]
        self.folder = self._closest(plain[:50])
        exact = sum(join_path(self.folder, str(PurePosixPath(name))) in self._there for name in plain)
        self._relative = exact * 2 >= len(names) > 0

    def find(self, name: str) -> tuple[str | None, str]:
        """The file, or None and why: to follow the name."""
        if _is_plain(name):
            path = join_path(self.folder, str(PurePosixPath(name)))
            if path in self._there:
                return path, ""
            if self._relative:
                path = self._folded.get(_fold(path), SEVERAL)
                return (path, "") if path != SEVERAL else (None, "which is not there; add or remove it")
        several = False
        for scope in SCOPES:
            found = _longest(self._ends(scope), name)
            if found:
                return found, ""
            several |= found == SEVERAL
        if not several and (found := _longest(self._ends("others"), name, with_split=True)):
            return found, ""
        if several:
            return None, "a name that several pictures have; write the folder of the one that is meant"
        return None, "which is not there; add or remove it"

    def _closest(self, names: Sequence[str]) -> str:
        here = parent_folder(self._document)

        def fits(folder: str) -> tuple:
            found: float = sum(join_path(folder, name) in self._there for name in names)
            if folder == here or folder_kind(folder) == "pictures":
                found *= LIKELY
            named = [split_role(part) for part in PurePosixPath(folder).parts]
            return found, self._role is not None and self._role in named, folder == here, -len(folder)

        return max(sorted({"", *self._store.folders}), key=fits)

    @cached_property
    def _pictures(self) -> list[str]:
        """Those of no other split."""
        pictures = [name for name in self._store.files if is_picture(name)]
        return [name for name in pictures if self._role is None or _roles(name) <= {self._role}]

    @cached_property
    def _folded(self) -> Ends:
        return _unique((_fold(name), name) for name in self._pictures)

    def _ends(self, scope: Scope) -> Ends:
        """The ends of the paths of pictures: of no other split, or of these those below the document's folder ("near")
        or of its split; or of "others", which a name means that says the split: LVIS validates on COCO's train2017."""
        if scope not in self._by_scope:
            mine, here = self._pictures, f"{parent_folder(self._document)}/"
            if scope == "near":
                mine = [name for name in mine if name.startswith(here)]
            elif scope == "split":
                mine = [name for name in mine if self._role is not None and self._role in _roles(name)]
            elif scope == "others":
                known = set(mine)
                mine = [name for name in self._store.files if is_picture(name) and name not in known]
            self._by_scope[scope] = _all_ends(mine)
        return self._by_scope[scope]


def path_split_role(name: str) -> str | None:
    """The split that a file's name says, or the closest of its folders."""
    return next((role for part in reversed(PurePosixPath(name).parts) if (role := split_role(part))), None)


def _is_plain(name: str) -> bool:
    """Whether a name is a path below a folder."""
    path = PurePosixPath(name)
    return (
        bool(path.parts) and not path.is_absolute() and ".." not in path.parts and not re.search(r"\\|:|\0|%|\?", name)
    )


def _longest(ends: Ends, name: str, with_split: bool = False) -> str | None:
    """The picture of the longest end of a path; SEVERAL if it is not unique, None without any. with_split: ends that
    have the folder of a split only."""
    for text in dict.fromkeys((name, unquote(name))):
        parts = [part for part in re.split(r"[/\\?=&]", text) if part not in ("", ".", "..")]
        for i in range(len(parts)):
            found = ends.get(_fold("/".join(parts[i:])))
            if found is not None and (not with_split or any(map(split_role, parts[i:-1]))):
                return found
    return None


def _all_ends(names: Iterable[str]) -> Ends:
    def pairs() -> Iterable[tuple[str, str]]:
        for name in names:
            parts = _fold(name).split("/")
            for i in range(len(parts)):
                yield "/".join(parts[i:]), name

    return _unique(pairs())


def _unique(pairs: Iterable[tuple[str, str]]) -> Ends:
    found: Ends = {}
    for key, name in pairs:
        if found.setdefault(key, name) != name:
            found[key] = SEVERAL
    return found


def _roles(name: str) -> set[str]:
    return {role for part in PurePosixPath(name).parts[:-1] if (role := split_role(part)) is not None}


def _fold(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
