"""Lists of classes in the form that a public set or tool has of its own: ADE20K's objectInfo150.txt, nnU-Net's
dataset.json, Mapillary Vistas' config_v1.2.json.

A list in a common form (`class_lists.py`) takes precedence.
"""

import re
from pathlib import PurePosixPath

from saccade.data.files import escape, parse_json
from saccade.data.segments.class_lists import LARGEST, ClassEntry, ClassList, check_entries
from saccade.data.store import FileStore, parent_folder, read_text, relative_to
from saccade.errors import DataError, shorten_list

ADE = re.compile(r"objectinfo150\.(txt|csv)", re.IGNORECASE)
ADE_COLUMNS = ("idx", "ratio", "train", "val", "stuff", "name")
MAPILLARY = re.compile(r"config(?:_(v\d+\.\d+))?\.json", re.IGNORECASE)
VERSION = re.compile(r"v\d+\.\d+")
ADE_FULL = re.compile(r"ADE_[a-z]+_\d+_(seg|parts_\d+)\.png", re.IGNORECASE)
OTHER = "unlabelled"  # what 0 is in ADE20K's masks, and is not scored


def find_public_class_lists(store: FileStore, root: str, masks: set[str]) -> list[ClassList]:
    """The list in `root`, or in the closest folder above it; empty without one. masks: folders of the masks.

    Raises DataError for one that cannot be read."""
    versions = {part for folder in masks for part in folder.split("/") if VERSION.fullmatch(part)}
    found: list[tuple[int, ClassList]] = []
    for name in store.files:
        folder = parent_folder(name)
        if folder and folder != root and not root.startswith(f"{folder}/"):
            continue
        entries = _entries(store, name, versions)
        if entries:
            display = escape(relative_to(root, name))
            check_entries(entries, display)
            found.append((-len(folder), ClassList(display, name, tuple(sorted(entries, key=lambda e: e.value)))))
    return [each for _, each in sorted(found, key=lambda pair: pair[0])][:1]


def check_vistas_versions(store: FileStore) -> None:
    """Raises DataError for Mapillary Vistas with the masks of two versions, which number other classes."""
    folders: dict[str, list[str]] = {}
    for folder in sorted(store.folders):
        path = PurePosixPath(folder)
        if VERSION.fullmatch(path.name) and f"{folder}/labels" in store.folders:
            folders.setdefault(path.name, []).append(folder)
    if len(folders) > 1:
        first, *others = sorted(folders)
        moved = shorten_list(escape(folder) for other in others for folder in folders[other])
        raise DataError(
            f"{store.title} holds masks of {len(folders)} versions of Mapillary Vistas ({', '.join(sorted(folders))}), "
            f"which number other classes: keep one. To train on {first}, move {moved} out of it, and give "
            f"{store.title} again"
        )


def refuse_full_ade20k(store: FileStore) -> None:
    """Raises DataError for ADE20K's full set, whose masks hold two numbers a pixel and may look grey."""
    if any(ADE_FULL.fullmatch(PurePosixPath(name).name) for name in store.files):
        raise DataError(
            f"{store.title} holds ADE20K in full, whose masks are not read: their red and green are the number of a "
            "class, blue is that of an object. Take its scene parsing benchmark (ADEChallengeData2016), or write "
            "red // 10 * 256 + green as masks of 16 bits, with a classes.txt"
        )


def _entries(store: FileStore, name: str, versions: set[str]) -> list[ClassEntry]:
    """The classes that a file lists; none for any other file."""
    base = PurePosixPath(name).name
    if ADE.fullmatch(base):
        return _of_ade(_text(store, name))
    if base.lower() == "dataset.json":
        return _of_nnunet(parse_json(_text(store, name), escape(store.full_name(name))))
    match = MAPILLARY.fullmatch(base)
    if match and (match[1] is None or match[1].lower() in versions):
        return _of_mapillary(parse_json(_text(store, name), escape(store.full_name(name))))
    return []


def _text(store: FileStore, name: str) -> str:
    text = read_text(store, name)
    if len(text) > LARGEST:
        display = escape(store.full_name(name))
        raise DataError(f"{display} is larger than {LARGEST >> 20} MiB; a list of classes expected")
    return text


def _of_ade(text: str) -> list[ClassEntry]:
    lines = [[field.strip() for field in line.split("\t")] for line in text.splitlines() if line.strip()]
    if not lines or tuple(map(str.lower, lines[0])) != ADE_COLUMNS:
        return []
    if not all(len(line) == len(ADE_COLUMNS) and re.fullmatch(r"[1-9]\d{0,3}", line[0]) for line in lines[1:]):
        return []
    return [ClassEntry(OTHER, 0), *(ClassEntry(line[-1], int(line[0])) for line in lines[1:])]


def _of_nnunet(data: object) -> list[ClassEntry]:
    """`{"liver": 1}` of version 2, `{"1": "liver"}` of version 1; none where numbers mean regions of several classes
    (`{"tumour": [1, 2]}`)."""
    labels = data.get("labels") if isinstance(data, dict) else None
    if not isinstance(data, dict) or not isinstance(labels, dict) or not {"channel_names", "modality"} & data.keys():
        return []
    numbered = all(re.fullmatch(r"[0-9]{1,5}", key) for key in labels) and int not in map(type, labels.values())
    pairs = [(value, int(key)) if numbered else (key, value) for key, value in labels.items()]
    if not all(isinstance(name, str) and type(value) is int and 0 <= value <= 65535 for name, value in pairs):
        return []
    return [ClassEntry(str(name).strip(), value) for name, value in pairs]


def _of_mapillary(data: object) -> list[ClassEntry]:
    """Labels in the order of their numbers; their masks hold these, with the colours as palette."""
    labels = data.get("labels") if isinstance(data, dict) else None
    if not isinstance(labels, list) or not all(isinstance(each, dict) and "readable" in each for each in labels):
        return []
    return [ClassEntry(str(each.get("name")), i) for i, each in enumerate(labels)]
