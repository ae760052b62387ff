"""Pascal VOC's XML files: parsing, and from which number their coordinates count.

The devkit counts pixels from 1, and xmax and ymax are the last pixels of a box: left = xmin - 1, right = xmax. Many
writers count from 0 instead, with continuous coordinates (left = xmin, right = xmax) or with the last pixel
(right = xmax + 1). The files do not say which, so it is found from all boxes of a set.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from saccade.data.files import escape
from saccade.data.objects.annotations import Box, to_float
from saccade.errors import DataError, in_one_line

SLIPS = 4  # times as many boxes that begin at 1 as at 0: those at 0 are slips


@dataclass(frozen=True)
class ParsedXml:
    """One XML file. objects: (place, class, coordinates as written, difficult). filename: of the picture, "" if
    missing."""

    size: tuple[int, int] | None
    objects: list[tuple[str, str, Box, bool]]
    filename: str = ""


@dataclass(frozen=True)
class CoordinateOrigin:
    """How coordinates count: left = xmin - start, right = xmax + end. note: why, "" where the boxes show it to be as
    the devkit defines it."""

    start: float
    end: float
    note: str = ""

    def to_continuous(self, written: Box) -> Box:
        """Continuous coordinates. A box of equal coordinates, a click without a drag in labelling tools, is empty."""
        xmin, ymin, xmax, ymax = written
        x, y = xmin != xmax, ymin != ymax
        return xmin - x * self.start, ymin - y * self.start, xmax + x * self.end, ymax + y * self.end

    def from_continuous(self, box: Box) -> Box:
        """The inverse of `box`."""
        left, top, right, bottom = box
        return left + self.start, top + self.start, right - self.end, bottom - self.end


def parse_xml(data: bytes) -> Element:
    """Raises DataError (without the name of the file) for what is not XML."""
    try:
        return fromstring(data)
    except DefusedXmlException as error:
        raise DataError("declares entities, with which a file can attack its reader; refused") from error
    except (ParseError, ValueError, LookupError) as error:  # including encoding errors
        raise DataError(f"is not valid XML ({in_one_line(error)})") from error


def parse_annotation(data: bytes) -> ParsedXml:
    """Parse an XML file. Raises DataError (without the name of the file) if it is not a VOC annotation."""
    root = parse_xml(data)
    if root.tag != "annotation":
        raise DataError(f"holds <{escape(root.tag)}>; <annotation> expected")
    objects = []
    for i, each in enumerate(root.findall("object"), start=1):
        name = (each.findtext("name") or "").strip()
        if not name:
            raise DataError(f"has an object (object {i}) without a <name>")
        if each.find("bndbox") is None:
            tags = ", ".join(dict.fromkeys(f"<{escape(part.tag)}>" for part in each))
            raise DataError(
                f"has an object (object {i}) without a <bndbox> (it has {tags}); xmin, ymin, xmax, ymax of an upright "
                "box expected"
            )
        difficult = (each.findtext("difficult") or "0").strip() not in ("", "0", "false", "False")
        corners = [to_float(each.findtext(f"bndbox/{key}")) for key in ("xmin", "ymin", "xmax", "ymax")]
        objects.append((f"object {i}", name, (corners[0], corners[1], corners[2], corners[3]), difficult))
    return ParsedXml(_size(root), objects, (root.findtext("filename") or "").strip())


def find_origin(files: Iterable[ParsedXml]) -> CoordinateOrigin:
    """From which number a set counts, by its boxes at the edges of pictures and by fractions."""
    total = fractions = zeros = ones = at_side = before_side = 0
    for each in files:
        for _, _, (xmin, ymin, xmax, ymax), _ in each.objects:
            if not all(map(math.isfinite, (xmin, ymin, xmax, ymax))):
                continue
            total += 1
            fractions += any(value != round(value) for value in (xmin, ymin, xmax, ymax))
            zeros += min(xmin, ymin) == 0
            ones += xmin == 1 or ymin == 1
            if each.size is not None:
                height, width = each.size
                at_side += xmax == width or ymax == height
                before_side += xmax == width - 1 or ymax == height - 1
    from_zero = zeros > 0 and SLIPS * zeros >= ones
    if from_zero or 2 * fractions > total:
        start = f"{zeros} boxes begin at 0" if from_zero else f"{fractions} of {total} boxes have fractions"
        last = not fractions and before_side > at_side
        ends = "their ends are the last pixels" if last else "their ends are the edges"
        return CoordinateOrigin(0, float(last), f"coordinates were taken to count from 0, as {start}; {ends}")
    note = ""
    if total and not ones and not at_side:
        note = "no box touches an edge, by which counts from 0 could be told: pixels were taken to count from 1, as "
        note += "VOC defines; if they count from 0, boxes are a pixel too large at the left and the top"
    return CoordinateOrigin(1, 0, note)


def _size(root: Element) -> tuple[int, int] | None:
    height, width = (to_float(root.findtext(f"size/{key}")) for key in ("height", "width"))
    if not (math.isfinite(height) and math.isfinite(width)) or min(height, width) < 1:
        return None  # some tools write 0 for unknown
    return int(height), int(width)
