"""LabelMe JSON: a file for each picture, with rectangles, polygons and circles in continuous pixels."""

import json
import math
from pathlib import PurePosixPath

from saccade.data.dataset import Problem
from saccade.data.files import escape, is_picture
from saccade.data.objects.annotations import to_float
from saccade.data.objects.outlines import Outline
from saccade.data.objects.picture_names import PictureFinder
from saccade.data.objects.shape_annotations import (
    ParsedShapes,
    PictureShapes,
    ShapeAnnotation,
    ShapeDataset,
    box_and_outline,
    corners,
    ellipse,
    label_name,
    size_of,
)
from saccade.data.recognise_formats import UNKNOWN, recognise_formats
from saccade.data.split_names import sibling_roles
from saccade.data.store import FileStore, parent_folder, read_bytes
from saccade.errors import DataError, in_one_line

FORMAT = "LabelMe JSON"
LINES = ("line", "linestrip", "point", "points")  # shapes without an area


def find_dataset(store: FileStore) -> ShapeDataset | None:
    """Detect the set in a store; None if there is none."""
    found = {each.format: each.files for each in recognise_formats(store)}
    folders = set(map(parent_folder, found.get(FORMAT, ())))
    broken = [name for name in found.get(UNKNOWN[".json"], ()) if parent_folder(name) in folders]  # among the others
    return ShapeDataset(store, "", FORMAT, [*found[FORMAT], *broken], load) if folders else None


def load(store: FileStore, files: list[str]) -> ParsedShapes:
    """Parse the files of a set. A picture is the one of the same name in the same folder, else its `imagePath`."""
    result, folders = ParsedShapes(), dict[str, dict[str, dict]]()
    for file in files:
        try:
            folders.setdefault(parent_folder(file), {})[file] = _document(read_bytes(store, file))
        except DataError as error:
            result.problems.append(Problem("annotation broken", escape(file), f"{escape(file)} {error}"))
    beside = {str(PurePosixPath(name).with_suffix("")): name for name in store.files if is_picture(name)}
    roles = sibling_roles({part for folder in folders for part in folder.split("/")})
    for folder, documents in folders.items():
        known = PictureFinder(store, next(iter(documents)), [_path(each) for each in documents.values()])
        split = next((part for part in folder.split("/") if part in roles), "")
        for file, document in documents.items():
            stem = str(PurePosixPath(file).with_suffix(""))
            name, why = (beside[stem], "") if stem in beside else known.find(_path(document))
            if name is None:
                text = f"{escape(file)} is of {escape(_path(document))}, {why}"
                if document.get("imageData"):
                    text += " (it holds the picture as imageData: save that under this name)"
                result.problems.append(Problem("picture missing", escape(file), text))
                continue
            size = size_of(document.get("imageHeight"), document.get("imageWidth"))
            shapes = _shapes(document, escape(file), result)
            result.add(split, PictureShapes(name, file, size, shapes), escape(file))
    return result


def _document(data: bytes) -> dict:
    """Raises DataError (without the name of the file) for what is not LabelMe's JSON."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise DataError(f"is not valid JSON ({in_one_line(error)})") from error
    shapes = found.get("shapes") if isinstance(found, dict) else None
    if not isinstance(shapes, list) or not all(isinstance(each, dict) for each in shapes):
        raise DataError("has no list of shapes; LabelMe's JSON expected")
    return found


def _path(document: dict) -> str:
    path = document.get("imagePath")
    return path if isinstance(path, str) else ""


def _shapes(document: dict, display: str, result: ParsedShapes) -> list[ShapeAnnotation]:
    """The shapes of a picture. Polygons of one label and group are parts of one object."""
    found: dict[object, ShapeAnnotation] = {}
    for i, each in enumerate(document["shapes"], start=1):
        where = f"shape {i}"
        kind = each.get("shape_type") or "polygon"
        if kind in LINES:
            result.leave_out(str(kind))
            continue
        try:
            points, label = _points(each, str(kind)), label_name(each.get("label"))
        except DataError as error:
            text = f"{display}, {where} {error}"
            result.problems.append(Problem("annotation broken", f"{display}, {where}", text))
            continue
        box, outline = box_and_outline(points)
        group = each.get("group_id")
        key = (label, group) if kind == "polygon" and type(group) in (int, str) else i
        other = found.get(key)
        shape = ShapeAnnotation(where, label, box, outline if kind != "mask" else None)
        found[key] = shape if other is None else _joined(other, shape)
    return list(found.values())


def _points(each: dict, kind: str) -> list[tuple[float, float]]:
    """The corners of a shape."""
    points = each.get("points")
    if not isinstance(points, list) or not all(isinstance(point, list) and len(point) >= 2 for point in points):
        raise DataError("has points that are not a list of [x, y]")
    pairs = [(to_float(point[0]), to_float(point[1])) for point in points]
    if kind == "circle" and len(pairs) == 2:  # the centre, and a point on the circle
        (x, y), (u, v) = pairs
        radius = math.hypot(u - x, v - y)
        return ellipse(x, y, radius, radius)
    if kind in ("rectangle", "mask") and len(pairs) == 2:
        (x, y), (u, v) = pairs
        return corners((min(x, u), min(y, v), max(x, u), max(y, v)))
    if kind in ("rectangle", "rotation", "polygon", "oriented_rectangle") and len(pairs) > 2:
        return pairs
    raise DataError(f"is a {escape(kind)} of {len(pairs)} points, which is not read")


def _joined(one: ShapeAnnotation, other: ShapeAnnotation) -> ShapeAnnotation:
    left, top, right, bottom = zip(one.box, other.box, strict=True)
    outline: Outline | None = None
    if isinstance(one.outline, list) and isinstance(other.outline, list):
        outline = one.outline + other.outline
    return ShapeAnnotation(one.where, one.label, (min(left), min(top), max(right), max(bottom)), outline)
