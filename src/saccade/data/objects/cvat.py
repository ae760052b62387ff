"""CVAT XML for images: one file lists the pictures of a task, with boxes, polygons, ellipses and masks in continuous
pixels (CVAT for images 1.1)."""

import math
from xml.etree.ElementTree import Element

import numpy as np

from saccade.data.dataset import Problem
from saccade.data.files import escape
from saccade.data.objects.annotations import Box, to_float
from saccade.data.objects.outlines import Outline, outline_box
from saccade.data.objects.picture_names import PictureFinder, path_split_role
from saccade.data.objects.shape_annotations import (
    ParsedShapes,
    PictureShapes,
    ShapeAnnotation,
    ShapeDataset,
    box_and_outline,
    corners,
    ellipse,
    label_name,
    rotate_points,
    size_of,
)
from saccade.data.objects.voc_xml import parse_xml
from saccade.data.recognise_formats import recognise_formats
from saccade.data.store import FileStore, parent_folder, read_bytes
from saccade.errors import DataError

FORMAT = "CVAT XML (images)"
MAX_PIXELS = 1 << 25  # of the box around a mask whose outline is read


def find_dataset(store: FileStore, only: str | None = None) -> ShapeDataset | None:
    """Detect the set in a store; None if there is none. only: the file to read."""
    files = next((each.files for each in recognise_formats(store) if each.format == FORMAT), [])
    files = [name for name in files if only in (None, name)]
    if not files:
        return None
    return ShapeDataset(store, parent_folder(files[0]) if len(files) == 1 else "", "CVAT XML", files, load)


def load(store: FileStore, files: list[str]) -> ParsedShapes:
    """Parse the files of a set. Raises DataError for a file that cannot be read."""
    result, names = ParsedShapes(), dict[str, None]()
    for file in files:
        where = escape(store.full_name(file))
        try:
            root = parse_xml(read_bytes(store, file))
        except DataError as error:
            raise DataError(f"{where} {error}") from error
        names |= dict.fromkeys(
            text for each in root.iterfind("meta//label/name") if (text := (each.text or "").strip())
        )
        images = root.findall("image")
        known = PictureFinder(store, file, [each.get("name", "") for each in images])
        for i, image in enumerate(images, start=1):
            name, why = known.find(image.get("name", ""))
            place = f"{escape(file)}, image {escape(image.get('id', i))}"
            if name is None:
                text = f"{place} is {escape(image.get('name', ''))}, {why}"
                result.problems.append(Problem("picture missing", place, text))
                continue
            split = image.get("subset") or path_split_role(file) or ""
            shapes = _shapes(image, place, result)
            size = size_of(image.get("height"), image.get("width"))
            result.add(split, PictureShapes(name, file, size, shapes), place)
    used = {each.label for part in result.parts.values() for picture in part for each in picture.shapes}
    result.classes = [*names, *sorted(used - set(names))] if names else None
    return result


def _shapes(image: Element, place: str, result: ParsedShapes) -> list[ShapeAnnotation]:
    found = []
    for i, each in enumerate(image, start=1):
        where = f"image {escape(image.get('id', ''))}, shape {i}"
        reader = READERS.get(each.tag)
        if reader is None:
            if each.tag not in ("attribute", "tag"):
                result.leave_out(each.tag)
            continue
        try:
            box, outline = reader(each, image)
            found.append(ShapeAnnotation(where, label_name(each.get("label")), box, outline))
        except DataError as error:
            result.problems.append(Problem("annotation broken", f"{place}, shape {i}", f"{place}, shape {i} {error}"))
    # some tools write an object twice: its box, and its mask
    outlined = {_place(each) for each in found if each.outline is not None}
    return [each for each in found if each.outline is not None or _place(each) not in outlined]


def _place(shape: ShapeAnnotation) -> tuple[str, ...]:
    """The label and the box of a shape, to the pixel."""
    return shape.label, *(f"{value:.0f}" for value in shape.box)


def _numbers(each: Element, *keys: str) -> list[float]:
    return [to_float(each.get(key)) for key in keys]


def _box(each: Element, image: Element) -> tuple[Box, Outline | None]:
    left, top, right, bottom = _numbers(each, "xtl", "ytl", "xbr", "ybr")
    box = (left, top, right, bottom)
    return _turned(each, corners(box)) if to_float(each.get("rotation", "0")) else (box, None)


def _turned(each: Element, points: list[tuple[float, float]]) -> tuple[Box, Outline | None]:
    degrees = to_float(each.get("rotation", "0"))
    if not math.isfinite(degrees):
        raise DataError(f"has the rotation {escape(each.get('rotation'))}; degrees expected")
    return box_and_outline(rotate_points(points, degrees))


def _ellipse(each: Element, image: Element) -> tuple[Box, Outline | None]:
    x, y, across, down = _numbers(each, "cx", "cy", "rx", "ry")
    return _turned(each, ellipse(x, y, across, down))


def _polygon(each: Element, image: Element) -> tuple[Box, Outline | None]:
    pairs = [pair.split(",") for pair in (each.get("points") or "").split(";") if pair.strip()]
    if not pairs or any(len(pair) != 2 for pair in pairs):
        raise DataError(f"has the points {escape(each.get('points'))}; x,y;x,y;... expected")
    return box_and_outline([(to_float(x), to_float(y)) for x, y in pairs])


def _mask(each: Element, image: Element) -> tuple[Box, Outline | None]:
    """Run lengths of zeros and ones by rows, inside the box of the mask."""
    left, top, width, height = _numbers(each, "left", "top", "width", "height")
    size, box = size_of(image.get("height"), image.get("width")), (left, top, left + width, top + height)
    runs = [to_float(text) for text in (each.get("rle") or "").split(",")]
    if not all(value >= 0 and value.is_integer() for value in (left, top, width, height, *runs)):
        raise DataError("has a mask whose place or run lengths are not whole numbers")
    if sum(runs) != width * height:
        raise DataError(f"has run lengths of {sum(runs):g} pixels; {width:g} x {height:g} expected")
    if size is None or width * height > MAX_PIXELS:
        return box, None
    if box[2] > size[1] or box[3] > size[0]:
        raise DataError(f"has a mask that reaches beyond its picture of {size[1]} x {size[0]} pixels")
    inside = np.repeat(np.arange(len(runs)) % 2 == 1, np.array(runs, dtype=np.int64)).reshape(int(height), int(width))
    columns, rows = np.nonzero(inside.T)
    outline = _run_lengths((columns + int(left)) * size[0] + rows + int(top), size)
    return (outline_box(outline) or box) if outline else box, outline  # some tools write masks of the whole picture


def _run_lengths(ones: np.ndarray, size: tuple[int, int]) -> Outline | None:
    """COCO's run lengths, zeros first. ones: indices of the pixels of a mask, down the columns, in order."""
    if not len(ones):
        return None
    gaps = np.flatnonzero(np.diff(ones) > 1)
    starts, ends = ones[np.r_[0, gaps + 1]], ones[np.r_[gaps, -1]] + 1
    edges = np.stack([starts, ends], axis=1).ravel()
    return {"size": list(size), "counts": np.diff(edges, prepend=0, append=size[0] * size[1]).tolist()}


READERS = {"box": _box, "polygon": _polygon, "ellipse": _ellipse, "mask": _mask}
