"""Pictures in one folder for each class, with splits around the classes (`train/cat/1.jpg`), inside them
(`cat/train/1.jpg`), or without splits (`cat/1.jpg`). Masks of pictures are no class: a few pictures are looked at."""

import io
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from posixpath import basename, splitext
from typing import Protocol

from saccade.data.decoders import open_image
from saccade.data.files import count_suffixes, escape, has_control_characters, is_picture, natural_key
from saccade.data.images import pillow_warnings
from saccade.data.split_names import folder_kind, sibling_roles
from saccade.data.store import FileStore, join_path, relative_to
from saccade.errors import DataError, shorten_list

PICTURES = ("images", "imgs", "jpegimages", "jpg", "jpeg", "png")  # folders that are no classes
SAMPLE = 4  # pictures of two folders that are compared
FEW, MANY = 16, 64  # colours: of a mask at most, of a photograph at least
MOST_CLASSES, MOST_FILES = 64, 1000
LOSSY = (".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".avif", ".heic", ".heif")


@dataclass
class ClassSplit:
    """The pictures of a split.

    Attributes:
        title: of the split in messages.
        root: folder that file names are relative to.
        by_class: class -> file names, in natural order.
        empty: classes without pictures -> why.
        skipped: what cannot be used -> why.
        notes: assumptions made while reading.
    """

    title: str
    root: str
    by_class: dict[str, list[str]]
    empty: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


class FolderTree:
    """The folders of a store that hold pictures, directly or below."""

    def __init__(self, store: FileStore):
        self.store = store
        self.loose: dict[str, list[str]] = {}  # folder -> the pictures in it
        self.children: dict[str, set[str]] = {}  # folder -> the folders in it that hold pictures
        for name in filter(is_picture, store.files):
            folder, _, base = name.rpartition("/")
            self.loose.setdefault(folder, []).append(base)
            while folder:
                folder, _, base = folder.rpartition("/")
                self.children.setdefault(folder, set()).add(base)

    def below(self, folder: str) -> list[str]:
        return sorted(self.children.get(folder, ()))

    def descend(self, folder: str) -> str:
        """The innermost folder around all pictures below `folder` that is not a split and holds folders of pictures."""
        while folder not in self.loose and len(names := self.below(folder)) == 1:
            inner = join_path(folder, names[0])
            beside = set(subfolders(self.store, folder)) - set(names)
            others = {each for each in beside if folder_kind(each) != "annotations"}
            around = folder_kind(names[0]) == "pictures" or len(set(sibling_roles(self.below(inner)).values())) > 1
            if inner in self.loose or sibling_roles(names) or (others and not around):
                break
            folder = inner
        return folder


class SplitTable(Protocol):
    def read(self) -> ClassSplit: ...


@dataclass
class ClassFolders:
    """A set in class folders. folders: split -> its folder, or, with `inner`, the names of the folders of the split
    inside those of the classes; empty for a set without splits. tables: splits whose classes are in a table."""

    store: FileStore
    root: str
    folders: dict[str, list[str]]
    inner: bool = False
    notes: list[str] = field(default_factory=list)
    format: str = "class folders"
    tables: dict[str, SplitTable] = field(default_factory=dict)

    @property
    def splits(self) -> list[str]:
        return list(self.folders)

    def read(self, split: str | None = None) -> ClassSplit:
        """A split, or the whole set. Raises DataError for folders that are not those of classes."""
        if split in self.tables:
            return self.tables[split].read()
        tree = FolderTree(self.store)
        top, inner = self.root, self.folders[split] if split and self.inner else None
        if split and not self.inner:
            top = join_path(self.root, self.folders[split][0])
        root = tree.descend(top) if split else top
        part = _read(self.store, tree, root, inner)
        part.notes = [*self.notes, *part.notes]
        if root and root != (top if split else ""):
            part.notes.append(f"classes read from {escape(root)}/ of {self.store.title}")
        return part


def find_class_folders(store: FileStore) -> ClassFolders:
    """The classes and splits of a set. Raises DataError if a folder may be a class or a split."""
    tree = FolderTree(store)
    root = tree.descend("")
    names = tree.below(root)
    roles = sibling_roles(subfolders(store, root))
    if len(set(roles.values())) > 1 or (roles and not set(names) - set(roles)):
        unused = [name for name in names if name not in roles]
        notes = [f"folders beside the splits are not used: {shorten_list(map(escape, unused))}"] if unused else []
        return ClassFolders(store, root, {name: [name] for name in roles}, notes=notes)
    for name, role in roles.items():
        if role == "train" and not tree.below(join_path(root, name)):
            continue  # pictures of trains
        raise DataError(
            f"{_display(store, root)} holds the folder '{escape(name)}' beside {_some(n for n in names if n != name)}: "
            "it may be a split or a class; move the class folders into one named train, or rename it"
        )
    inside = _splits_inside(store, tree, root)
    return ClassFolders(store, root, inside, inner=bool(inside), notes=[] if inside else _alike(store, tree, root))


def _alike(store: FileStore, tree: FolderTree, root: str) -> list[str]:
    """A note on class folders that all hold the same folders, which may be the classes. Raises DataError for those of
    one name with numbers (`fold1`, `fold2`): these are parts of a set."""
    names = tree.below(root)
    inner_of = {name: tree.below(join_path(root, name)) for name in names}
    if names and all(len(n) == 1 and below and {b[0] for b in below} == {n} for n, below in inner_of.items()):
        raise DataError(
            f"the folders {_some(names)} of {_display(store, root)} are the first letters of those in them "
            f"({_some(next(iter(inner_of.values())))}), not classes: move each class folder into one folder"
        )
    below = {tuple(inner) for inner in inner_of.values()}
    if len(names) < 2 or len(below) > 1 or len(inner := next(iter(below))) < 2:
        return []
    text = f"the folders {_some(names)} of {_display(store, root)} all hold the folders {_some(inner)}"
    if len({re.sub(r"[\W\d_]+", "", name.casefold()) for name in names}) == 1:
        raise DataError(f"{text}, so they are parts of a set and not its classes; name them train, val and test")
    return [f"{text}; the former were read as classes"]


def _splits_inside(store: FileStore, tree: FolderTree, root: str) -> dict[str, list[str]]:
    """Role -> the names of its folders, if every class has splits inside. Raises DataError if only some have."""
    found: dict[str, list[str]] = {}
    divided: list[str] = []
    names = tree.below(root)
    for name in names:
        folder = join_path(root, name)
        below = tree.below(folder)
        roles = sibling_roles(below)
        if len(set(roles.values())) < 2 and (not roles or set(below) - set(roles)):
            continue
        divided.append(name)
        if folder in tree.loose or len(roles) < len(below):
            raise DataError(
                f"class folder '{escape(name)}' of {_display(store, root)} holds the splits {_some(roles)} and other "
                "pictures; move these into one of them"
            )
        for inner, role in roles.items():
            found[role] = [*dict.fromkeys([*found.get(role, []), inner])]
    if divided and len(divided) < len(names):
        without = next(name for name in names if name not in divided)
        raise DataError(
            f"class folder '{escape(divided[0])}' of {_display(store, root)} holds splits, and '{escape(without)}' "
            "does not; divide all classes or none"
        )
    return {role: found[role] for role in ("train", "val", "test") if role in found}


def _read(store: FileStore, tree: FolderTree, root: str, inner: list[str] | None) -> ClassSplit:
    """The class folders in `root`. inner: the only folders inside them to be read."""
    where, names = _display(store, root), subfolders(store, root)
    loose = tree.loose.get(root, [])
    if not names:
        below = [name for name in store.files if not root or name.startswith(f"{root}/")]
        instead = f"{len(loose)} loose pictures" if loose else count_suffixes(below)
        raise DataError(f"{where} has no class folders (found: {instead}); {_in_names(loose)}")
    if loose:
        raise DataError(
            f"{where} has {len(loose)} loose pictures beside its class folders (such as {escape(loose[0])}); "
            "move them into a class folder"
        )
    _check_names(names, tree.below(root), where)
    files: dict[str, list[str]] = {name: [] for name in names}
    others: dict[str, list[str]] = {name: [] for name in names}
    for path in (relative_to(root, name) for name in store.files if not root or name.startswith(f"{root}/")):
        name, _, rest = path.partition("/")
        if rest and (inner is None or rest.partition("/")[0] in inner):
            (files if is_picture(path) else others)[name].append(path)
    empty = {
        name: f"class folder {name!r} of {where} holds no pictures (found: {count_suffixes(others[name])}); "
        "fill or remove it"
        for name in names
        if not files[name]
    }
    by_class = {name: sorted(files[name], key=natural_key) for name in names if files[name]}
    return ClassSplit(where, root, by_class, empty)


def _in_names(loose: list[str]) -> str:
    """What to do about pictures in no folder: `cat.0.jpg` beside `dog.0.jpg` have classes in their names."""
    starts = Counter(match[1] for name in loose if (match := re.fullmatch(r"(\D*[^\W\d_])\W?_?\d+\.\w+", name)))
    if len(starts) < 2 or starts.total() < len(loose) or min(starts.values()) < 2:
        return "expected one folder per class, as in cat/1.jpg"
    return f"if the starts of their names ({_some(sorted(starts))}) are classes, move them into a folder for each"


def _check_names(names: list[str], filled: list[str], where: str) -> None:
    for name in names:
        if has_control_characters(name):
            raise DataError(
                f"{where} has a class folder with control characters in its name ('{escape(name)}'); rename it"
            )
    kinds = {name: folder_kind(name) for name in filled}
    if filled and all(kinds.values()) and {"masks", "annotations"} & set(kinds.values()):
        raise DataError(
            f"{where} holds folders of pictures and of annotations ({_some(filled)}), not of classes; one folder a "
            "class expected (`saccade doctor` says which task reads a set)"
        )
    plain = next((name for name in filled if name.lower() in PICTURES), None)
    if plain is not None and len(filled) > 1:
        others = _some(name for name in filled if name != plain)
        raise DataError(f"{where} holds the folder '{escape(plain)}' of pictures beside {others}: these are no classes")


def subfolders(store: FileStore, root: str) -> list[str]:
    """The folders directly in `root`."""
    start = f"{root}/" if root else ""
    return sorted(
        name[len(start) :] for name in store.folders if name.startswith(start) and "/" not in name[len(start) :]
    )


def _display(store: FileStore, root: str) -> str:
    return escape(store.full_name(root)) if root else store.title


def _some(names: Iterable[str]) -> str:
    return shorten_list(map(escape, names))


def check_classes(store: FileStore, part: ClassSplit) -> None:
    """Raises DataError if folders hold masks of pictures: side by side in each (`rural/images`, `rural/masks`), or one
    those of another, with the same names (without that of the folder) and sizes, in a few colours."""
    stems: dict[str, dict[str, str]] = {}
    for name, files in list(part.by_class.items())[:MOST_CLASSES]:
        inner = {each for file in files[:MOST_FILES] for each in file.split("/")[1:-1]}
        kinds = {folder_kind(each): each for each in sorted(inner)}
        if {"masks", "pictures"} <= kinds.keys():
            raise DataError(
                f"{part.title}: the folder {escape(name)}/ holds {escape(kinds['pictures'])}/ and "
                f"{escape(kinds['masks'])}/: masks of pictures, not a class; `saccade train segment` reads them"
            )
        stems[name] = {splitext(basename(file))[0].removeprefix(name): file for file in files[:MOST_FILES]}
    for name, own in stems.items():
        same = list(own)[:SAMPLE]
        if len(same) < SAMPLE or any(own[stem].lower().endswith(LOSSY) for stem in same):
            continue
        masks = [_look(store, join_path(part.root, own[stem])) for stem in same]
        if any(mask is None or mask[1] > FEW for mask in masks):
            continue
        for other, pictures in stems.items():
            if other != name and own.keys() <= pictures.keys():
                looks = [_look(store, join_path(part.root, pictures[stem])) for stem in same]
                if all(look is not None and mask is not None and look[0] == mask[0] and look[1] >= MANY
                       for look, mask in zip(looks, masks, strict=True)):  # fmt: skip
                    raise DataError(
                        f"{part.title}: the folder {escape(name)}/ holds masks of the pictures in {escape(other)}/, "
                        "not a class; `saccade train segment` reads masks in folders named images/ and masks/"
                    )


def _look(store: FileStore, name: str) -> tuple[tuple[int, int], int] | None:
    """Size and number of colours of a picture, counted up to `MANY`; None if it cannot be read."""
    source = store.read(name)
    try:
        with pillow_warnings([]), open_image(source if isinstance(source, Path) else io.BytesIO(source), name) as image:
            if image.size[0] * image.size[1] > 1 << 24:
                return None
            plain = image if image.mode in ("L", "P", "1") else image.convert("RGB")
            found = plain.getcolors(MANY)
            return image.size, MANY if found is None else len(found)
    except Exception:  # damaged files are reported when they are read
        return None
