"""Outlines of objects, as COCO's `segmentation` and its relatives write them, and the masks that they enclose.

Parsed to one form: a list of polygons, each [x, y, x, y, ...] or with holes, or run lengths {"size": [rows, columns],
"counts": list or text}. Read are also a polygon without its list, corners as pairs, kwcoco's {"exterior", "interiors"},
and run lengths whose text was printed as Python's bytes.
"""

import ast
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int64, UInt8

from saccade.data.files import escape
from saccade.data.objects.annotations import AnnotatedObject, Box, Outline, PolygonWithHoles, to_float
from saccade.errors import DataError, in_one_line

MAX_PIXELS = 1 << 31  # of a mask
MAX_GROUPS = 12  # of 5 bits, of a run length

Point = tuple[float, float]  # x, y


def parse_outline(value: object, size: tuple[int, int] | None) -> tuple[Outline | None, str]:
    """The valid part of a segmentation, None without any; and what is wrong with the rest, "" for nothing.

    size: (height, width) of the annotated picture, if known."""
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict) and "counts" in value[0]:
        value = value[0]
    if not value:
        return None, ""
    if isinstance(value, dict) and "exterior" not in value:
        return _parse_runs(value, size)
    if not isinstance(value, list | dict):
        return None, f"its segmentation is {escape(value)}; polygons or run lengths expected"
    whole = isinstance(value, dict) or not isinstance(value[0], list | dict) or _is_pairs(value)
    rows = [value] if whole else value
    parts = [_parse_polygon(row) for row in rows]
    sound = [part for part in parts if not isinstance(part, str)]
    wrong = next(((i, part) for i, part in enumerate(parts, start=1) if isinstance(part, str)), None)
    if wrong is None:
        return sound, ""
    more = f" and {len(parts) - len(sound) - 1} more" if len(parts) - len(sound) > 1 else ""
    return sound or None, f"polygon {wrong[0]}{more} of its segmentation {wrong[1]}"


def outline_box(outline: Outline) -> Box | None:
    """Left, top, right, bottom around an outline; None for run lengths without a pixel."""
    if isinstance(outline, dict):
        return _box_of_runs(_run_lengths(outline["counts"]), outline["size"][0])
    edges = [part.exterior if isinstance(part, PolygonWithHoles) else part for part in outline]
    xs, ys = ([value for edge in edges for value in edge[axis::2]] for axis in (0, 1))
    return (min(xs), min(ys), max(xs), max(ys))


def scale_outline(outline: Outline, x: float, y: float) -> Outline:
    """An outline whose coordinates are multiplied by `x` and `y`. Run lengths are in pixels, and stay."""
    if isinstance(outline, dict):
        return outline

    def scaled(edge: list[float]) -> list[float]:
        return [value * (y if i % 2 else x) for i, value in enumerate(edge)]

    return [
        PolygonWithHoles(scaled(part.exterior), [scaled(each) for each in part.interiors])
        if isinstance(part, PolygonWithHoles)
        else scaled(part)
        for part in outline
    ]


def draw_masks(objects: Sequence[AnnotatedObject], size: tuple[int, int]) -> UInt8[np.ndarray, "n y x"] | None:
    """The pixels inside the outline of each object; None unless every object has one.

    Raises DataError (without the name of the picture) for run lengths of another size than the picture."""
    if not objects or any(each.shape is None for each in objects):
        return None
    drawn = np.zeros((len(objects), *size), dtype=np.uint8)
    for i, mask in enumerate(iter_masks(objects, size)):
        drawn[i] = mask
    return drawn


def iter_masks(objects: Sequence[AnnotatedObject], size: tuple[int, int]) -> Iterator[UInt8[np.ndarray, "y x"]]:
    """The pixels inside the outline of each object, one after another. All have one. Raises as `draw_masks`."""
    for each in objects:
        try:
            assert each.shape is not None
            yield draw_outline(each.shape, size)
        except DataError as error:
            raise DataError(f"{each.where} {error}") from error


def draw_outline(outline: Outline, size: tuple[int, int]) -> UInt8[np.ndarray, "y x"]:
    """The mask of an outline. Raises DataError (without a name) for one that cannot be drawn."""
    from faster_coco_eval.core import mask as coder

    def drawn(shape: Any) -> np.ndarray:
        try:
            return coder.decode(coder.segmToRle(shape, size[1], size[0]))
        except (ValueError, TypeError, RuntimeError, KeyError, IndexError, OverflowError) as error:
            raise DataError(f"has a segmentation that cannot be drawn ({in_one_line(error)})") from error

    if isinstance(outline, dict):
        if list(outline["size"]) != list(size):
            raise DataError(f"has a mask of {escape(outline['size'])} (rows, columns); {list(size)} expected")
        return drawn(outline)

    def filled(edges: Sequence[list[float]]) -> np.ndarray:
        near = [each for each in (_clipped(edge, size) for edge in edges) if each]
        return drawn(near) if near else np.zeros(size, np.uint8)

    mask = filled([part for part in outline if not isinstance(part, PolygonWithHoles)])
    for part in outline:
        if isinstance(part, PolygonWithHoles):
            inside = filled([part.exterior])
            for hole in part.interiors:
                inside &= 1 - filled([hole])
            mask |= inside
    return mask


def decode_counts(text: str) -> Int64[np.ndarray, "n"] | None:
    """Decode COCO's compressed run lengths; None if invalid.

    Numbers are groups of 5 bits, least significant first, in characters from 48 on; bit 6 is set if more groups follow,
    and the highest bit of the last group is the sign. From the fourth number on, values are differences to the number
    two before (COCO API, maskApi.c, rleFrString)."""
    codes = np.frombuffer(text.encode("ascii", "ignore"), np.uint8).astype(np.int64) - 48
    if len(codes) != len(text) or not len(codes) or codes.min() < 0 or codes.max() > 63 or codes[-1] & 32:
        return None
    ends = np.flatnonzero(codes & 32 == 0)
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts + 1
    if lengths.max() > MAX_GROUPS:
        return None
    shifts = 5 * (np.arange(len(codes)) - np.repeat(starts, lengths))
    values = np.add.reduceat((codes & 31) << shifts, starts)
    values -= np.where(codes[ends] & 16, 1 << (5 * lengths), 0)
    values[1::2] = np.cumsum(values[1::2])
    values[2::2] = np.cumsum(values[2::2])
    return values


def _is_pairs(value: Any) -> bool:
    """Whether a list holds corners as [x, y]."""
    return len(value) > 2 and all(isinstance(each, list) and len(each) == 2 for each in value)


def _parse_polygon(part: object) -> list[float] | PolygonWithHoles | str:
    """A polygon, or what is wrong with it."""
    if isinstance(part, dict):
        exterior = _parse_edge(part.get("exterior"))
        holes = part.get("interiors") or []
        interiors = [_parse_edge(each) for each in holes] if isinstance(holes, list) else [f"has holes {escape(holes)}"]
        wrong = next((each for each in (exterior, *interiors) if isinstance(each, str)), None)
        return wrong or PolygonWithHoles(exterior, interiors)  # type: ignore[arg-type]
    return _parse_edge(part)


def _parse_edge(part: object) -> list[float] | str:
    if not isinstance(part, list):
        return f"is {escape(part)}; [x, y, x, y, ...] expected"
    if _is_pairs(part):
        part = [value for pair in part for value in pair]
    values = [value if type(value) is float else to_float(value) for value in part]
    if len(values) < 6 or len(values) % 2:
        return f"has {len(values)} numbers; two each of three corners or more expected"
    if not all(map(math.isfinite, values)):
        return "has a corner that is not a finite number"
    if any(min(values[axis::2]) == max(values[axis::2]) for axis in (0, 1)):
        return "has no area"
    return values


def _parse_runs(value: dict[str, Any], size: tuple[int, int] | None) -> tuple[Outline | None, str]:
    rows, columns = (_whole(each) for each in _pair(value.get("size")))
    if rows is None or columns is None or not 0 < rows * columns < MAX_PIXELS:
        return None, f"its run lengths are of size {escape(value.get('size'))}; [rows, columns] expected"
    if size is not None and (rows, columns) != size:
        return None, f"its run lengths are of {columns} x {rows} pixels, its picture has {size[1]} x {size[0]}"
    counts = value.get("counts")
    if isinstance(counts, str) and counts.startswith(("b'", 'b"')):  # Python's bytes, printed
        counts = _printed_bytes(counts)
    if isinstance(counts, list):
        counts = [_whole(each) for each in counts]
    runs = _run_lengths(counts)
    if runs is None or (runs < 0).any() or (runs >= MAX_PIXELS).any():
        return None, "its run lengths cannot be read"
    if runs.sum() != rows * columns:
        return None, f"its run lengths are of {runs.sum()} pixels in all; {columns} x {rows} expected"
    if not runs[1::2].any():
        return None, "its run lengths mark no pixel"
    return {"size": [rows, columns], "counts": counts}, ""


def _run_lengths(counts: Any) -> Int64[np.ndarray, "n"] | None:
    if isinstance(counts, str):
        return decode_counts(counts)
    if not isinstance(counts, list) or not all(each is not None and abs(each) < MAX_PIXELS for each in counts):
        return None
    return np.array(counts, dtype=np.int64)


def _box_of_runs(runs: Any, rows: int) -> Box | None:
    """The box around the runs of ones, which go down the columns."""
    ends = np.cumsum(runs)
    first, last = (ends - runs)[1::2], ends[1::2] - 1
    there = last >= first
    first, last = first[there], last[there]
    if not len(first):
        return None
    whole = first // rows != last // rows  # goes on in the next column
    top, bottom = np.where(whole, 0, first % rows).min(), np.where(whole, rows - 1, last % rows).max()
    return (float(first[0] // rows), float(top), float(last[-1] // rows + 1), float(bottom + 1))


def _clipped(edge: list[float], size: tuple[int, int]) -> list[float]:
    """Clip a polygon to three times the picture's width and height, around it: the time to draw it depends on the
    coordinates. Sutherland & Hodgman (1974) join what a side of the window cuts apart, along that side, which is not in
    the picture. Empty if nothing is left."""
    points = list(zip(edge[::2], edge[1::2], strict=True))
    for axis, length in enumerate((size[1], size[0])):
        for limit, sign in ((-float(length), 1), (2.0 * length, -1)):
            points = _on_one_side(points, axis, limit, sign)
    return [value for point in points for value in point] if len(points) > 2 else []


def _on_one_side(points: list[Point], axis: int, limit: float, sign: int) -> list[Point]:
    """The part of a polygon with coordinates above (sign 1) or below (-1) a limit on one axis."""
    kept: list[Point] = []
    for before, after in zip([*points[-1:], *points[:-1]], points, strict=True):
        a, b = sign * (before[axis] - limit), sign * (after[axis] - limit)
        if (a >= 0) != (b >= 0):
            other = before[1 - axis] + a / (a - b) * (after[1 - axis] - before[1 - axis])
            kept.append((limit, other) if axis == 0 else (other, limit))
        if b >= 0:
            kept.append(after)
    return kept


def _pair(value: object) -> tuple[object, object]:
    return (value[0], value[1]) if isinstance(value, list) and len(value) == 2 else (None, None)


def _whole(value: object) -> int | None:
    """A whole number, which may be written as a float or text."""
    found = float(value) if type(value) is int and abs(value) < MAX_PIXELS else to_float(value)
    return int(found) if math.isfinite(found) and found.is_integer() else None


def _printed_bytes(text: str) -> str | None:
    try:
        found = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    return found.decode("latin-1") if isinstance(found, bytes) else None
