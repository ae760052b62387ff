"""COCO JSON: one file for all pictures of a split, with boxes as left, top, width, height in continuous pixels.

`coco_reader.py` reads a file, `outlines.py` its segmentations.
"""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from saccade.data.files import escape, natural_key, parse_json
from saccade.data.objects.annotations import Annotations
from saccade.data.objects.coco_reader import read_coco
from saccade.data.split_names import folder_kind, split_role
from saccade.data.store import FileStore, read_bytes
from saccade.errors import DataError

# Files next to instances_*.json in COCO's annotations/ that have no boxes with classes.
OTHER_FILES = ("captions_", "person_keypoints_", "panoptic_", "stuff_", "image_info_")


@dataclass
class COCO:
    """A COCO data set. files: split -> JSON file; "" for a set without splits."""

    store: FileStore
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
        label = self.store.title + (f", {escape(split)}" if split else "")
        return read_coco(self.store, self.root, name, label, self.document(name), classes)

    def document(self, name: str) -> dict:
        """A JSON file, read once."""
        if name not in self._loaded:
            self._loaded[name] = load(self.store, name)
        return self._loaded[name]

    def orphans(self) -> list[str]:
        """None: pictures without annotations are in `Annotations.unlabelled`."""
        return []


def find_dataset(store: FileStore, only: str | None = None) -> COCO | None:
    """Detect the set in a store; None if there is none. only: its JSON file, if the store has several."""
    if only:
        return COCO(store, _root(only), {"": only})
    names = [n for n in store.files if n.lower().endswith(".json") and not PurePosixPath(n).name.startswith(".")]
    names = sorted(names, key=natural_key)
    likely = [n for n in names if not PurePosixPath(n).name.startswith(OTHER_FILES)]
    found = [n for n in likely if _looks_right(read_bytes(store, n))]
    found = found or [n for n in names if n not in likely and _looks_right(read_bytes(store, n))]
    if not found:
        return None
    if len(found) == 1:
        return COCO(store, _root(found[0]), {"": found[0]})
    titles = [_title(name) for name in found]
    twice = Counter(titles)
    files = {title if twice[title] == 1 else n: n for title, n in zip(titles, found, strict=True)}
    return COCO(store, _root(found[0]), files)


def load(store: FileStore, name: str) -> dict:
    """Parse a COCO file. Raises DataError for other files, and for COCO's other kinds of annotations."""
    display = escape(store.full_name(name))
    data = parse_json(read_bytes(store, name), display)
    if not isinstance(data, dict) or not {"images", "annotations", "categories"} <= data.keys():
        other = _other_kind(data)
        found = f"holds {other}" if other else "is not a COCO file"
        raise DataError(f"{display} {found}: images, annotations and categories with boxes or outlines expected in it")
    rows = data["annotations"]
    if isinstance(rows, dict) and _by_id(rows):
        data["annotations"] = list(rows.values())  # LIVECell: annotations by their id
    other = _other_kind(data)
    if other:
        raise DataError(f"{display} holds {other}; objects with a bbox or a segmentation each expected")
    return data


def _by_id(rows: dict) -> bool:
    """Whether they are annotations by their id."""
    return bool(rows) and all(isinstance(row, dict) and str(row.get("id")) == key for key, row in rows.items())


def _other_kind(data: object) -> str:
    """What a JSON file of COCO's other kinds holds, "" for objects and unknown files."""
    rows = data.get("annotations") if isinstance(data, dict) else data
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        return ""
    if isinstance(data, list):
        return "results of a model" if all({"image_id", "score"} <= row.keys() for row in rows) else ""
    if any("segments_info" in row for row in rows):
        return (
            "panoptic segments (segments_info, with PNG files of their numbers), which are not read: convert it with "
            "panopticapi's panoptic2detection_coco_format.py, or to semantic PNG masks"
        )
    if all("bbox" not in row and "segmentation" not in row for row in rows):
        if any("caption" in row for row in rows):
            return "captions"
        if any("category_id" in row for row in rows):
            return "labels of whole pictures, without a bbox or a segmentation"
    return ""


def _looks_right(data: bytes) -> bool:
    """Whether they may be objects: images with a class each are `tabular.py`'s."""
    classes = b'"category_id"' in data and b'"bbox"' not in data and b'"segmentation"' not in data
    return b'"images"' in data and b'"annotations"' in data and (not classes or b'"segments_info"' in data)


def _title(name: str) -> str:
    """Name of the split in a file: instances_train2017.json, train/_annotations.coco.json."""
    path = PurePosixPath(name)
    stem = path.name.split(".")[0].removeprefix("instances_")
    return stem if split_role(stem) else next((part for part in reversed(path.parts[:-1]) if split_role(part)), stem)


def _root(name: str) -> str:
    """Root folder of the set that a document belongs to."""
    parts = list(PurePosixPath(name).parts[:-1])
    while parts and (folder_kind(parts[-1]) == "annotations" or split_role(parts[-1])):
        parts.pop()
    return "/".join(parts)
