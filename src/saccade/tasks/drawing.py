"""Drawing of results: colours, fonts, boxes with readable labels, arrows."""

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

from PIL import Image, ImageDraw, ImageFont

INK, PAPER, FAINT, ACCENT, WRONG = (28, 30, 38), (255, 255, 255), (214, 218, 226), (33, 92, 168), (190, 60, 40)
Colour = tuple[int, int, int]
Box = tuple[float, float, float, float]

# Neighbours in this order are easy to tell apart, and all stand out from most pictures.
PALETTE: tuple[Colour, ...] = (
    (255, 96, 80), (64, 160, 255), (255, 208, 48), (72, 208, 112), (214, 112, 255), (255, 150, 40),
    (64, 224, 224), (255, 128, 190), (170, 230, 60), (150, 140, 255), (224, 176, 140), (200, 200, 210),
)  # fmt: skip

# Pillow's default font is Latin only. These common system fonts cover Korean, and mostly more scripts.
_WIDE = (
    "NotoSansCJK-Regular.ttc", "NotoSansKR-Regular.otf", "NotoSansKR-Regular.ttf", "NotoSansCJKkr-Regular.otf",
    "NanumGothic.ttf", "malgun.ttf", "AppleSDGothicNeo.ttc", "AppleGothic.ttf", "UnDotum.ttf",
    "DroidSansFallbackFull.ttf", "DroidSansFallback.ttf",
)  # fmt: skip


def colour(index: int) -> Colour:
    """Colour of a class index."""
    return PALETTE[index % len(PALETTE)]


def contrasting_ink(background: Colour) -> Colour:
    """Black or white, whichever has the higher contrast."""
    red, green, blue = background
    return INK if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else PAPER


def font(size: float, text: str = "") -> Any:
    """A font of `size` pixels that covers `text`; Pillow's default if the system has none."""
    wide = any(ord(letter) > 0x24F and letter not in "–—…→−" for letter in text)
    return _font(max(6, round(size)), wide)


@lru_cache(maxsize=256)
def _font(size: int, wide: bool) -> Any:
    for name in _WIDE if wide else ():
        try:
            return ImageFont.truetype(name, size)
        except OSError:  # not on this system
            continue
    return ImageFont.load_default(size)


def truncate_text(text: str, most: int = 18) -> str:
    """On one line, truncated to `most` characters."""
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 1] + "…"


def enlarged(picture: Image.Image, least: int = 640) -> tuple[Image.Image, float]:
    """An RGB copy enlarged to about `least` pixels on the longer side, and the scale factor.

    The factor is an integer, so that each pixel of a small picture becomes a square.
    """
    times = max(1, round(least / max(picture.size)))
    picture = picture.convert("RGB")
    if times == 1:
        return picture, 1.0
    way = Image.Resampling.NEAREST if times > 8 else Image.Resampling.BICUBIC
    return picture.resize((picture.width * times, picture.height * times), way), float(times)


class Overlay:
    """A transparent layer over a picture, supersampled for smooth edges where its size allows.

    Coordinates are in pixels of the picture; `unit` scales lengths with it: 1 if its longer side has 640 pixels.
    """

    def __init__(self, picture: Image.Image) -> None:
        self.picture = picture
        self.unit = max(picture.size) / 640
        self.fine = 2 if max(picture.size) <= 2000 else 1
        self._sheet = Image.new("RGBA", (picture.width * self.fine, picture.height * self.fine), (0, 0, 0, 0))
        self._draw = ImageDraw.Draw(self._sheet)
        self._taken: list[Box] = []

    def result(self) -> Image.Image:
        """The picture with the layer composited on it."""
        sheet = self._sheet.reduce(self.fine) if self.fine > 1 else self._sheet
        return Image.alpha_composite(self.picture.convert("RGBA"), sheet).convert("RGB")

    def box(self, box: Box, colour: Colour, width: float = 2.0, dashed: bool = False) -> None:
        """A rectangle with a dark outline for contrast."""
        left, top, right, bottom = box
        corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
        for ink, wide in (((0, 0, 0, 150), width + 1.6), ((*colour, 255), width)):
            for start, end in pairwise(corners):
                for a, b in _dashes(start, end, 8 * self.unit) if dashed else [(start, end)]:
                    self._bar(a, b, ink, wide)

    def closed_polyline(self, corners: Sequence[tuple[float, float]], colour: Colour, width: float = 2.0) -> None:
        """A closed line with a dark outline for contrast."""
        for ink, wide in (((0, 0, 0, 150), width + 1.2), ((*colour, 255), width)):
            self._line([*corners, *corners[:2]], ink, wide)

    def arrow(self, points: Sequence[tuple[float, float]], colour: Colour, width: float = 2.5) -> None:
        """A polyline with an arrowhead at its last point."""
        (x0, y0), (x1, y1) = points[-2:]
        angle = math.atan2(y1 - y0, x1 - x0)
        size = (5 + 2.5 * width) * self.unit
        self._taken.append((x1 - size, y1 - size, x1 + size, y1 + size))  # labels must not cover the arrowhead
        tip = [(x1 - size * math.cos(angle + t), y1 - size * math.sin(angle + t)) for t in (-0.45, 0.45)]
        for ink, wide, grow in (((0, 0, 0, 170), width + 2.5, 1.5), ((*colour, 255), width, 0)):
            self._line([*points[:-1], (x1 - size / 2 * math.cos(angle), y1 - size / 2 * math.sin(angle))], ink, wide)
            head = self._scaled([(x1, y1), *tip])
            self._draw.polygon(head, fill=ink)
            if grow:
                self._draw.line([*head, head[0]], fill=ink, width=round(grow * 2 * self.unit * self.fine))
        x, y = points[0]
        dot = (2 + width) * self.unit
        self._draw.ellipse(self._scaled([(x - dot, y - dot), (x + dot, y + dot)]), (*colour, 255), (0, 0, 0, 170))

    def label(self, text: str, places: Sequence[tuple[float, float, str]], colour: Colour, size: float) -> None:
        """Text on a tag at the first of the places (x, y, Pillow anchor) where it overlaps no other tag; else where it
        overlaps least."""
        letters = font(size * self.unit * self.fine, text)
        pad = 3 * self.unit
        wide, high = letters.getlength(text) / self.fine + 2 * pad, 1.25 * size * self.unit + pad
        tags = [self._inside(_anchored(x, y, wide, high, anchor)) for x, y, anchor in places]
        tag = min(tags, key=lambda one: round(sum(_shared(one, other) for other in self._taken)))  # the first of equals
        self._taken.append(tag)
        self._draw.rounded_rectangle(self._scaled([tag[:2], tag[2:]]), round(2 * self.unit * self.fine), (*colour, 235))
        middle = self._scaled([((tag[0] + tag[2]) / 2, (tag[1] + tag[3]) / 2)])[0]
        self._draw.text(middle, text, (*contrasting_ink(colour), 255), letters, anchor="mm")

    def _inside(self, tag: Box) -> Box:
        """Moved into the picture where it fits."""
        right = max(0.0, min(self.picture.width - (tag[2] - tag[0]), tag[0]))
        down = max(0.0, min(self.picture.height - (tag[3] - tag[1]), tag[1]))
        return right, down, right + tag[2] - tag[0], down + tag[3] - tag[1]

    def _line(self, points: Sequence[tuple[float, float]], ink: tuple[int, ...], width: float) -> None:
        wide = max(1, round(width * self.unit * self.fine))
        self._draw.line(self._scaled(points), fill=ink, width=wide, joint="curve")

    def _bar(self, a: tuple[float, float], b: tuple[float, float], ink: tuple[int, ...], width: float) -> None:
        """A horizontal or vertical line with square ends."""
        half = max(1, round(width * self.unit * self.fine)) / 2
        (x0, y0), (x1, y1) = self._scaled(sorted([a, b]))
        self._draw.rectangle([round(v) for v in (x0 - half, y0 - half, x1 + half - 1, y1 + half - 1)], ink)

    def _scaled(self, points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
        return [(x * self.fine, y * self.fine) for x, y in points]


def curve_between(a: Sequence[float], b: Sequence[float], unit: float) -> list[tuple[float, float]]:
    """From the centre of one box to just before the other's, curved to the left: opposite arrows do not overlap."""
    (x0, y0), (x1, y1) = (((box[0] + box[2]) / 2, (box[1] + box[3]) / 2) for box in (a, b))
    length = math.hypot(x1 - x0, y1 - y0)
    if length < 1e-6:  # concentric boxes: a loop out of the centre
        x1, length = x0 + 24 * unit, 24 * unit
    bend = min(0.16 * length, 60 * unit)
    middle = ((x0 + x1) / 2 + bend * (y1 - y0) / length, (y0 + y1) / 2 - bend * (x1 - x0) / length)
    end = 1 - min(0.2, 10 * unit / length)
    points = []
    for i in range(25):
        t = end * i / 24
        weights = ((1 - t) ** 2, 2 * t * (1 - t), t**2)
        points.append(
            (
                weights[0] * x0 + weights[1] * middle[0] + weights[2] * x1,
                weights[0] * y0 + weights[1] * middle[1] + weights[2] * y1,
            )
        )
    return points


def label_positions(box: Sequence[float]) -> list[tuple[float, float, str]]:
    """Positions of a label: above the box first, then inside, below and beside it."""
    left, top, right, bottom = box
    return [
        (left, top, "lb"), (right, top, "rb"), (left, top, "lt"), (left, bottom, "lt"), (right, bottom, "rt"),
        (right, top, "rt"), (left, bottom, "lb"), (right, bottom, "rb"), (right, top, "lt"), (left, top, "rt"),
    ]  # fmt: skip


def _anchored(x: float, y: float, wide: float, high: float, anchor: str) -> Box:
    left = {"l": x, "m": x - wide / 2, "r": x - wide}[anchor[0]]
    top = {"t": y, "m": y - high / 2, "b": y - high}[anchor[1]]
    return left, top, left + wide, top + high


def _shared(a: Box, b: Box) -> float:
    """Intersection area of two boxes."""
    return max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))


def _dashes(start: tuple[float, float], end: tuple[float, float], length: float) -> Iterator[tuple]:
    """Segments of a dashed line, with one at each end."""
    (x0, y0), (x1, y1) = start, end
    pieces = 2 * max(1, round(math.hypot(x1 - x0, y1 - y0) / length / 2)) + 1
    for i in range(0, pieces, 2):
        a, b = i / pieces, (i + 1) / pieces
        yield (x0 + a * (x1 - x0), y0 + a * (y1 - y0)), (x0 + b * (x1 - x0), y0 + b * (y1 - y0))
