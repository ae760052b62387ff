"""The lines of YOLO's label files: what their columns mean.

A line holds the class and a box (centre x, centre y, width, height, normalized to 0..1), or the class and the corners
of a polygon. Tools add columns to a box: a confidence, a track number, keypoints. The files do not say which, so it is
found from all lines of a set together; lines that can be read in two ways are refused.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from saccade.data.files import escape
from saccade.data.objects.annotations import Box, to_float

INSIDE = 0.1  # keypoints lie inside their box, up to this share of its sides
NEAR = 1.0  # a corner lies in the box around the other corners, up to this share of its sides
DECIMAL_COMMA = re.compile(r"[-+]?[0-9]+,[0-9]+$")


@dataclass
class _Counts:
    """Of the lines with one number of values: how many there are, and how many agree with each meaning."""

    lines: int = 0
    fits: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class YoloColumns:
    """The meaning of lines by their number of values.

    Attributes:
        box_at: number of values -> column of the box's centre.
        polygon: numbers of values of which the corners of a polygon follow the class.
        refused: number of values -> why these lines cannot be read.
        notes: what was assumed, one sentence each.
    """

    box_at: dict[int, int]
    polygon: set[int]
    refused: dict[int, str]
    notes: list[str]

    def read(self, values: list[float]) -> tuple[Box, list[list[float]] | None] | str:
        """The box of a line and its polygon, if it has one; a text that says why it cannot be read."""
        count = len(values)
        if count in self.polygon:
            if not all(map(math.isfinite, values)):
                return (math.nan,) * 4, None
            return (min(values[1::2]), min(values[2::2]), max(values[1::2]), max(values[2::2])), [values[1:]]
        if count not in self.box_at:
            return self.refused.get(count, _expected(count))
        x, y, width, height = values[self.box_at[count] : self.box_at[count] + 4]
        return (x - width / 2, y - height / 2, x + width / 2, y + height / 2), None


def parse_line(line: str, numbers: Mapping[str, int]) -> list[float] | str:
    """The values of a line, or a text that says why it has none. numbers: class name -> its number, for the few tools
    that write names."""
    words = line.split()
    odd = next((word for word in words[1:] or words if "," in word or ";" in word), None)
    if odd is not None:
        what = "a decimal comma" if DECIMAL_COMMA.match(odd) else "separators"
        return f"has '{escape(odd)}' with {what}; numbers with a decimal point, separated by spaces, expected"
    values = [to_float(word) for word in words]
    if values and math.isnan(values[0]) and len(values) == 5 and words[0] in numbers:
        values[0] = numbers[words[0]]
    return values


def looks_like_labels(text: str) -> bool | None:
    """Whether the first line is a label, rather than words or another format; None for a file without lines."""
    words = next((line.split() for line in text.splitlines() if line.strip()), None)
    if words is None:
        return None
    numeric = [
        bool(DECIMAL_COMMA.match(word)) or not math.isnan(to_float(word)) or word.lower() == "nan" for word in words
    ]
    return (all(numeric) and len(words) > 1) or (len(words) == 5 and all(numeric[1:]))


def find_columns(lines: Iterable[list[float]], keypoints: tuple[int, int] | None, task: str = "") -> YoloColumns:
    """The meaning of the columns, from all lines of a set.

    keypoints: data.yaml's `kpt_shape`, number of keypoints and values of each. task: data.yaml's `task`, if it says
    "pose", "segment" or "obb"."""
    counts: dict[int, _Counts] = {}
    for values in lines:
        if len(values) > 5 and all(map(math.isfinite, values)):
            each = counts.setdefault(len(values), _Counts())
            each.lines += 1
            each.fits.update(_fits(values))
    result = YoloColumns({5: 1}, set(), {}, [])
    wide = [count for count in counts if count > 6]
    for count, each in sorted(counts.items()):
        if keypoints is not None and task in ("", "pose"):
            _with_shape(result, count, keypoints)
        elif count == 6:
            _with_sixth(result, each)
        elif count == 7 and each.fits["score and id"] == each.lines:
            result.box_at[count] = 1
            result.notes.append(
                "labels have 7 columns: a confidence and a track number follow the box and are not used"
            )
        elif task in ("segment", "obb") or (task == "" and len(wide) > 1 and all(each % 2 for each in wide)):
            _as_polygon(result, count)  # keypoints are equally many in all lines, corners are not
        else:
            _one_width(result, count, each, task)
    return result


def _with_shape(result: YoloColumns, count: int, keypoints: tuple[int, int]) -> None:
    points, values = keypoints
    if count == 5 + points * values:
        result.box_at[count] = 1
        result.notes.append(f"labels have {points} keypoints of {values} values (kpt_shape); their boxes were read")
    else:
        right = 5 + points * values
        result.refused[count] = (
            f"has {count} values; {right} (class, box, and the keypoints of kpt_shape: [{points}, {values}]) expected"
        )


def _with_sixth(result: YoloColumns, found: _Counts) -> None:
    """6 values: a confidence or a track number, behind the box or before it."""
    if found.fits["id first"] == found.lines:
        result.box_at[6] = 2
        result.notes.append("labels have a track number in the second column, which is not used")
    elif found.fits["id last"] == found.lines or found.fits["score last"] == found.lines:
        result.box_at[6] = 1
        what = "track number" if found.fits["id last"] == found.lines else "confidence"
        result.notes.append(f"labels have a {what} in the sixth column, which is not used")
    else:
        result.refused[6] = (
            "has 6 values, the last of which is neither a confidence (0 to 1) nor a track number; "
            "for a turned box give its four corners, 9 values"
        )


def _as_polygon(result: YoloColumns, count: int) -> None:
    if count % 2:
        result.polygon.add(count)
    else:
        result.refused[count] = _expected(count)


def _one_width(result: YoloColumns, count: int, found: _Counts, task: str) -> None:
    """All lines with more than 6 values have equally many: keypoints or corners."""
    fits, lines = found.fits, found.lines
    with_flags = fits["visible keypoints"] == lines
    corners = count % 2 == 1 and (fits["corners"] == lines or fits["parallelogram"] == lines)
    scored = fits["scored keypoints"] == lines
    inside = scored or (count % 2 == 1 and fits["keypoints"] == lines)
    if with_flags or (inside and (task == "pose" or not corners)):
        points, values = ((count - 5) // 3, 3) if with_flags or scored else ((count - 5) // 2, 2)
        result.box_at[count] = 1
        result.notes.append(
            f"labels have {count} columns, which were read as a box and {points} keypoints of {values} values; "
            "the boxes are used"
        )
    elif corners and (not inside or fits["parallelogram"] == lines):
        result.polygon.add(count)
    elif corners:
        points, values = ((count - 5) // 3, 3) if scored else ((count - 5) // 2, 2)
        result.refused[count] = (
            f"has {count} values, which may be {(count - 1) // 2} corners or a box and {points} keypoints; "
            f"write `task: segment`, or `kpt_shape: [{points}, {values}]`, in data.yaml"
        )
    else:
        result.refused[count] = _expected(count)


def _fits(values: list[float]) -> Iterable[str]:
    """The meanings that a line of more than 5 values agrees with."""
    count, last = len(values), values[-1]
    whole = last.is_integer()
    if count == 6:
        if values[1].is_integer() and values[1] >= -1:
            yield "id first"
        if whole and last >= -1:
            yield "id last"
        if 0 <= last <= 1:
            yield "score last"
        return
    if count == 7 and whole and last > 1 and 0 <= values[5] <= 1:
        yield "score and id"
    x, y, width, height = values[1:5]
    if (count - 5) % 3 == 0 and all(value in (0, 1, 2) for value in values[7::3]) and _in_picture(x, y, width, height):
        yield "visible keypoints"
    scored = (count - 5) % 3 == 0 and all(0 <= value <= 1 for value in values[7::3])
    if scored and _all_in_box(zip(values[5::3], values[6::3], strict=True), (x, y, width, height)):
        yield "scored keypoints"
    if count % 2:
        points = list(zip(values[1::2], values[2::2], strict=True))
        if _all_in_box(points[2:], (x, y, width, height)):
            yield "keypoints"
        if _near(points[1], [points[0], *points[2:]]):
            yield "corners"
        if count == 9 and all(abs(points[0][i] + points[2][i] - points[1][i] - points[3][i]) < 2e-3 for i in (0, 1)):
            yield "parallelogram"


def _in_picture(x: float, y: float, width: float, height: float) -> bool:
    slack = 0.01
    return min(width, height) > 0 and all(
        -slack <= a - b / 2 and a + b / 2 <= 1 + slack for a, b in ((x, width), (y, height))
    )


def _all_in_box(points: Iterable[tuple[float, float]], box: tuple[float, float, float, float]) -> bool:
    """Whether a box lies in the picture and all points, but those at 0, 0, lie in it."""
    x, y, width, height = box
    return _in_picture(*box) and all(
        abs(u - x) <= width * (0.5 + INSIDE) and abs(v - y) <= height * (0.5 + INSIDE) for u, v in points if u or v
    )


def _near(point: tuple[float, float], others: list[tuple[float, float]]) -> bool:
    """Whether a point lies in the box around others, enlarged by NEAR of its sides."""
    for value, around in zip(point, zip(*others, strict=True), strict=True):
        low, high = min(around), max(around)
        slack = NEAR * (high - low)
        if not low - slack <= value <= high + slack:
            return False
    return True


def _expected(count: int) -> str:
    return f"has {count} values; a class and a box's 4, or a polygon's corners, expected"
