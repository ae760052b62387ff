"""COCO captions: one JSON file for all pictures of a split, with `images` and `annotations` that have a `caption`."""

from collections.abc import Hashable

from saccade.data.captions.annotations import Document, Row
from saccade.data.dataset import Problem
from saccade.data.files import escape, parse_json
from saccade.data.store import FileStore, read_bytes, relative_to
from saccade.errors import DataError


def is_coco_captions(data: bytes) -> bool:
    """Whether the bytes of a JSON file are those of COCO captions, and not of boxes."""
    return all(key in data for key in (b'"images"', b'"annotations"', b'"caption"')) and b'"bbox"' not in data


def read_coco(store: FileStore, root: str, name: str) -> Document:
    """Parse a file. Raises DataError if it is not a COCO file."""
    display, document = escape(relative_to(root, name)), Document(name)
    data = _load(store, name)
    files: dict[Hashable, object] = {}
    for i, image in enumerate(data["images"]):
        key, where = _id(image, "id"), f"{display}, image {escape(_get(image, 'id', i))}"
        if key is None or key in files:
            text = f"{where} has an id that is missing or another image's; number the images anew"
            document.problems.append(Problem("id repeated", where, text, fatal=True))
            continue
        files[key] = _get(image, "file_name")
        document.rows.append(Row(where, files[key], []))
    rejected = 0
    for i, each in enumerate(data["annotations"]):
        where = f"{display}, annotation {escape(_get(each, 'id', i))}"
        key = _id(each, "image_id")
        if key is None or key not in files:
            image_id = escape(_get(each, "image_id"))
            text = f"{where} is of image {image_id}, which is not listed; add the image or remove it"
            document.problems.append(Problem("annotation without picture", where, text))
        elif _get(each, "is_rejected") is True:
            rejected += 1
        elif files[key] is not None:
            document.rows.append(Row(where, files[key], [_get(each, "caption")]))
    if rejected:
        document.notes.append(f"{rejected} captions of {display} are marked is_rejected and were left out (VizWiz)")
    return document


def _load(store: FileStore, name: str) -> dict:
    display = escape(store.full_name(name))
    data = parse_json(read_bytes(store, name), display)
    if not isinstance(data, dict) or not all(isinstance(data.get(key), list) for key in ("images", "annotations")):
        raise DataError(f"{display} is not a COCO captions file: lists of images and annotations expected in it")
    return data


def _get(row: object, key: str, default: object = None) -> object:
    return row.get(key, default) if isinstance(row, dict) else default


def _id(row: object, key: str) -> Hashable | None:
    value = _get(row, key)
    return value if type(value) in (int, str) else None  # type: ignore[return-value]  # bool is excluded
