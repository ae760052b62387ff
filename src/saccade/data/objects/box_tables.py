"""Tables with a box a row: TensorFlow's CSV (filename, width, height, class, xmin, ymin, xmax, ymax in any order),
RetinaNet's (path, x1, y1, x2, y2, class without a header) and that of the global wheat heads (image_id, width, height,
bbox with left, top, width and height in pixels; one class).

A row without a box is of a picture without objects.
"""

from collections.abc import Sequence

from saccade.data.class_columns import split_column
from saccade.data.dataset import Problem
from saccade.data.files import escape
from saccade.data.objects.annotations import to_float
from saccade.data.objects.picture_names import path_split_role
from saccade.data.objects.shape_annotations import (
    ParsedShapes,
    PictureShapes,
    ShapeAnnotation,
    ShapeDataset,
    label_name,
    size_of,
)
from saccade.data.recognise_formats import recognise_formats
from saccade.data.store import FileStore, parent_folder
from saccade.data.tabular import PictureIndex, Table, load_table
from saccade.errors import DataError, shorten_list

FORMATS = ("CSV of boxes (TensorFlow)", "CSV of boxes (RetinaNet)", "CSV of boxes (global wheat)")
FILE = ("filename", "image", "imagename", "imageid", "imagepath", "path")
LABEL = ("class", "classname", "label")
CORNERS = ("xmin", "ymin", "xmax", "ymax")
NO_CLASS = -1  # the place of the class in a table of one class
BOX_CLASS = "object"  # that class


def find_dataset(store: FileStore) -> ShapeDataset | None:
    """Detect the set in a store; None if there is none."""
    found = [(each.format, each.files) for each in recognise_formats(store) if each.format in FORMATS]
    if not found:
        return None
    format, files = found[0]
    return ShapeDataset(store, parent_folder(files[0]) if len(files) == 1 else "", format, files, load)


def load(store: FileStore, files: list[str]) -> ParsedShapes:
    """Parse the files of a set. Raises DataError for one that is no table, or that does not have each column once."""
    result, index = ParsedShapes(), PictureIndex(store)
    for file in files:
        table, role = load_table(store, file), path_split_role(file)
        places = _columns(table, escape(store.full_name(file)))
        if places[1] == NO_CLASS:
            result.notes.append(f"{escape(file)} names no classes: each box is {BOX_CLASS}")
        splits = split_column(table, set(places))
        known = {*places, *(splits.columns if splits else ())}
        unread = [column for i, column in enumerate(table.columns) if column and i not in known]
        if unread:
            result.notes.append(f"columns of {escape(file)} that are not read: {shorten_list(map(escape, unread), 8)}")
        pictures: dict[tuple[str, str], PictureShapes] = {}
        for line, values in table.rows:
            place, kind = f"{escape(file)}, line {line}", "annotation broken"
            try:
                if len(values) != len(table.columns):
                    raise DataError(f"has {len(values)} fields; {len(table.columns)} expected")
                split, shape = splits.of(values) if splits else role or "", _shape(values, places, line)
                kind = "picture missing"
                name = index.only(values[places[0]], parent_folder(file), role)
            except DataError as error:
                result.problems.append(Problem(kind, place, f"{place} {error}"))
                continue
            size = size_of(values[places[7]], values[places[6]]) if len(places) > 6 else None
            picture = pictures.setdefault((split, name), PictureShapes(name, file, size, []))
            picture.shapes += [shape] if shape else []
        for (split, _), picture in pictures.items():
            result.add(split, picture, escape(file))
    if "" in result.parts and len(result.parts) > 1:
        result.parts["default"] = result.parts.pop("")
    return result


def _columns(table: Table, display: str) -> list[int]:
    """Places of the picture, the class, the corners, and of width and height if both are there; four times that of the
    bbox where a column has all four numbers."""
    if not any(table.columns):
        if len(table.columns) != 6:
            raise DataError(f"{display} has {len(table.columns)} columns; path, x1, y1, x2, y2, class expected")
        return [0, 5, 1, 2, 3, 4]
    plain = ["".join(c for c in column.casefold() if c.isalpha()) for column in table.columns]
    if "bbox" in plain:
        picture, bbox, *sides = (_place(plain, name, display) for name in ("imageid", "bbox", "width", "height"))
        return [picture, NO_CLASS, *[bbox] * 4, *sides]
    found = []
    for names in (FILE, LABEL, *((each,) for each in CORNERS)):
        places = [i for i, each in enumerate(plain) if each in names]
        if len(places) != 1:
            several = f"{len(places)} of the columns" if places else "no column of"
            raise DataError(f"{display} has {several} {', '.join(names)}; one expected: rename or remove the others")
        found += places
    sides = [plain.index(each) for each in ("width", "height") if plain.count(each) == 1]
    return found + (sides if len(sides) == 2 else [])


def _place(plain: Sequence[str], name: str, display: str) -> int:
    if plain.count(name) != 1:
        raise DataError(f"{display} has {plain.count(name)} columns {name} beside bbox; one expected")
    return plain.index(name)


def _shape(values: Sequence[object], places: Sequence[int], line: int) -> ShapeAnnotation | None:
    """The box of a row; None where its corners are blank."""
    corners = [values[i] for i in places[2:6]]
    if all(str(each).strip() in ("", "nan", "NaN") for each in corners):
        return None
    if places[1] == NO_CLASS:
        numbers = [to_float(each) for each in str(corners[0]).strip(" []()").split(",")]
        if len(numbers) != 4:
            raise DataError(f"has the bbox {escape(corners[0])}; left, top, width and height expected")
        left, top, width, height = numbers
        return ShapeAnnotation(f"line {line}", BOX_CLASS, (left, top, left + width, top + height))
    left, top, right, bottom = map(to_float, corners)
    return ShapeAnnotation(f"line {line}", label_name(values[places[1]]), (left, top, right, bottom))
