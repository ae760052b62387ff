"""The pictures with the worst predicted boundaries as a contact sheet."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw
from torch import Tensor

from saccade.errors import DataError
from saccade.tasks.drawing import FAINT, INK, PAPER, Colour, font, truncate_text
from saccade.tasks.segment.boundaries import DISTANCES, Mask, nearest_boundary
from saccade.tasks.segment.colours import resolve_colours
from saccade.tasks.segment.draw import (
    MAX_LEGEND,
    NO_CLASS,
    class_shares,
    draw_legend,
    draw_swatch,
    overlay_classes,
    transparent_classes,
)
from saccade.tasks.segment.scores import SegmentScores, boundary_f, validate_masks

MISSED, FALSE, CORRECT = (60, 190, 255), (255, 110, 30), (235, 235, 235)
_FRAME = (255, 220, 60)  # around the worst region
_GREY = (96, 102, 116)
_COLUMNS = ("picture", "true", "predicted", "boundaries", "worst region")
_SIDE, _GAP, _LEFT, _HEAD, _WORST = 224, 12, 200, 92, 3


@dataclass(frozen=True)
class PictureBoundaries:
    """A picture by its index, its boundary F, and both masks, with the same ignored pixels."""

    index: int
    score: float
    per_class: dict[str, float]
    predicted: Mask
    truth: Mask


class WorstBoundaries:
    """Keeps the `most` pictures with the lowest boundary F at `distance` pixels.

    The score of a picture is the mean over the classes with a boundary in either mask; pictures without any boundary
    are skipped. Of equal scores the first is kept.

    Attributes:
        seen: number of pictures added.
        worst: those kept, the worst first.
    """

    def __init__(self, classes: Sequence[str], most: int = 6, distance: int = 2) -> None:
        """Raises DataError as SegmentScores does, and for a distance that it does not score."""
        if distance not in DISTANCES:
            raise DataError(f"boundaries at a distance of {distance} pixels; expected one of {list(DISTANCES)}")
        self.classes = SegmentScores(classes).classes
        self.most, self.distance, self.seen = most, distance, 0
        self.worst: list[PictureBoundaries] = []

    def add(
        self, index: int, predicted: UInt8[Tensor, "y x"], truth: UInt8[Tensor, "y x"], name: str = "a picture"
    ) -> None:
        """Score the masks of one picture. Raises DataError as `SegmentScores.add` does."""
        mine, true = validate_masks(predicted, truth, len(self.classes), name)
        self.seen += 1
        scores = zip(self.classes, boundary_f(mine, true, len(self.classes), self.distance), strict=True)
        per_class = {label: value for label, value in scores if value is not None}
        score = sum(per_class.values()) / max(1, len(per_class))
        if not per_class or (len(self.worst) == self.most and score >= self.worst[-1].score):
            return
        self.worst.append(PictureBoundaries(index, score, per_class, mine.copy(), true.copy()))
        self.worst = sorted(self.worst, key=lambda each: each.score)[: self.most]


def draw_worst_boundaries(
    worst: WorstBoundaries,
    picture: Callable[[int], Image.Image],
    names: Sequence[str] | None = None,
    colours: Sequence[Colour] | None = None,
) -> Image.Image:
    """A row for each picture, the worst first: the picture, the true and the predicted mask, the boundaries, and an
    enlarged crop with most boundary errors. Missed boundaries are blue, false ones orange, correct ones white.

    picture: index -> picture; called for those shown only. names: of the pictures, for captions; default: their
    indices. colours: of the classes, as for `draw_segmentation`. Raises DataError if there is not one colour for each
    class, and for a picture of another size than its masks.
    """
    table, bare = resolve_colours(worst.classes, colours), transparent_classes(worst.classes, colours)
    heights = [max(_fitted(one.truth)[1], 124) + 2 * _GAP for one in worst.worst]
    width, top = _LEFT + len(_COLUMNS) * (_SIDE + _GAP), _HEAD
    legend = _legend(worst, table, bare, width)
    sheet = Image.new("RGB", (width, _HEAD + (sum(heights) or 60) + legend.height), PAPER)
    draw = ImageDraw.Draw(sheet)
    _heading(draw, worst)
    if not worst.worst:
        draw.text((_GAP, _HEAD + 30), "no boundaries", INK, font(16), anchor="lm")
    for one, height in zip(worst.worst, heights, strict=True):
        draw.line((_GAP, top, width - _GAP, top), FAINT)
        _aside(draw, top + _GAP, one, truncate_text(names[one.index], 200) if names else f"picture {one.index}")
        for column, tile in enumerate(_tiles(one, picture(one.index), table, bare, worst.distance)):
            left = _LEFT + column * (_SIDE + _GAP) + (_SIDE - tile.width) // 2
            sheet.paste(tile, (left, top + _GAP))
        top += height
    sheet.paste(legend, (0, sheet.height - legend.height))
    return sheet


def boundary_errors(predicted: Mask, truth: Mask, distance: int) -> UInt8[np.ndarray, "y x"]:
    """0 without a boundary, 1 for a true boundary that is predicted, 2 for one that is missed, 3 for a false boundary;
    matched within `distance` pixels, as in boundary F."""
    out = np.zeros(truth.shape, np.uint8)
    y, x, squared = nearest_boundary(truth, predicted, distance)
    out[y, x] = np.where(squared <= distance * distance, 1, 2)
    y, x, squared = nearest_boundary(predicted, truth, distance)
    far = squared > distance * distance
    out[y[far], x[far]] = 3
    return out


def _tiles(
    one: PictureBoundaries, picture: Image.Image, colours: Sequence[Colour], bare: set[int], distance: int
) -> list[Image.Image]:
    if picture.size != one.truth.shape[::-1]:
        wide, high = one.truth.shape[::-1]
        found = f"{picture.width} x {picture.height} pixels, and its mask {wide} x {high}"
        raise DataError(f"picture {one.index} has {found}; expected the same size")
    size, picture = _fitted(one.truth), picture.convert("RGB")
    small = picture.resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0)
    masks = [
        np.asarray(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST)) for mask in (one.truth, one.predicted)
    ]
    kinds = boundary_errors(one.predicted, one.truth, distance)
    left, top, right, bottom = box = worst_region(kinds)
    all_boundaries = _lines(small, _shrunk(kinds, size))
    times = size[0] / kinds.shape[1]
    frame = [round(v * times) for v in (left, top, right - 1 / times, bottom - 1 / times)]
    ImageDraw.Draw(all_boundaries).rectangle(frame, outline=_FRAME)
    near = picture.resize(size, Image.Resampling.BICUBIC, box)
    near = _lines(near, _shrunk(np.ascontiguousarray(kinds[top:bottom, left:right]), size))
    return [small, *(overlay_classes(small, mask, colours, bare, 0.65, 1) for mask in masks), all_boundaries, near]


def _lines(picture: Image.Image, kinds: UInt8[np.ndarray, "y x"]) -> Image.Image:
    """Correct, missed and false boundaries over the darkened picture."""
    out = Image.blend(picture.convert("L").convert("RGB"), Image.new("RGB", picture.size, INK), 0.55)
    for kind, colour in ((1, CORRECT), (2, MISSED), (3, FALSE)):
        out.paste(colour, mask=Image.fromarray(kinds == kind))
    return out


def worst_region(kinds: UInt8[np.ndarray, "y x"]) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of the window with most errors. It has the aspect ratio of the picture, and its longer
    side is a third of the picture's, between 24 and 112 pixels."""
    longest = max(kinds.shape)
    side = min(longest, max(24, min(112, longest // 3)))
    high, wide = (max(1, round(each * side / longest)) for each in kinds.shape)
    sums = np.pad((kinds > 1).cumsum(axis=0, dtype=np.int32).cumsum(axis=1, dtype=np.int32), ((1, 0), (1, 0)))
    y, x = (
        np.unique(np.append(np.arange(0, each - own, max(1, side // 8)), each - own))
        for each, own in zip(kinds.shape, (high, wide), strict=True)
    )
    there = sums[np.ix_(y + high, x + wide)] - sums[np.ix_(y, x + wide)]
    there += sums[np.ix_(y, x)] - sums[np.ix_(y + high, x)]
    row, column = np.unravel_index(there.argmax(), there.shape)
    return int(x[column]), int(y[row]), int(x[column]) + wide, int(y[row]) + high


def _shrunk(kinds: UInt8[np.ndarray, "y x"], size: tuple[int, int]) -> UInt8[np.ndarray, "y x"]:
    """Resized to (width, height); when shrunk, no boundary is lost, and errors take precedence."""
    if size[0] >= kinds.shape[1]:
        return np.asarray(Image.fromarray(kinds).resize(size, Image.Resampling.NEAREST))
    out = np.zeros(size[::-1], np.uint8)
    y, x = np.nonzero(kinds)
    np.maximum.at(out, (y * size[1] // kinds.shape[0], x * size[0] // kinds.shape[1]), kinds[y, x])
    return out


def _fitted(mask: Mask) -> tuple[int, int]:
    """(width, height) of a tile."""
    times = _SIDE / max(mask.shape)
    return max(1, round(mask.shape[1] * times)), max(1, round(mask.shape[0] * times))


def _heading(draw: ImageDraw.ImageDraw, worst: WorstBoundaries) -> None:
    of = f"the {len(worst.worst)} worst of {worst.seen:,} pictures" if worst.worst else f"of {worst.seen:,} pictures"
    away = "1 pixel" if worst.distance == 1 else f"{worst.distance} pixels"
    draw.text((_GAP, 24), f"boundaries, {of}, by boundary F within {away}", INK, font(16), anchor="lm")
    x = _GAP
    for text, colour in (("missed boundary", MISSED), ("false boundary", FALSE), ("correct", CORRECT)):
        draw_swatch(draw, (x, 43, x + 14, 57), colour, 1)
        draw.text((x + 20, 50), text, INK, font(13), anchor="lm")
        x += 44 + int(font(13).getlength(text))
    for column, text in enumerate(_COLUMNS):
        middle = _LEFT + column * (_SIDE + _GAP) + _SIDE / 2
        draw.text((middle, _HEAD - 12), text, _GREY, font(13), anchor="mm")


def _aside(draw: ImageDraw.ImageDraw, top: int, one: PictureBoundaries, name: str) -> None:
    """Name, score, and the classes with the lowest scores."""
    draw.text((_GAP, top + 2), _cut(name, 12, start=True), INK, font(12, name), anchor="lt")
    draw.text((_GAP, top + 24), f"{one.score:.3f}", INK, font(20), anchor="lt")
    draw.text((_GAP, top + 54), "lowest classes" if len(one.per_class) > _WORST else "", _GREY, font(11), anchor="lt")
    for row, (label, score) in enumerate(sorted(one.per_class.items(), key=lambda each: each[1])[:_WORST]):
        text = f"{score:.2f}  {truncate_text(label, 40)}"
        draw.text((_GAP, top + 72 + 17 * row), _cut(text, 12), INK, font(12, text), anchor="lt")


def _cut(text: str, size: int, start: bool = False) -> str:
    """Cut to the width of the column; at the start if its end is more informative, as in a path."""
    cut = text
    while len(text) > 1 and font(size, text).getlength(cut) > _LEFT - 2 * _GAP:
        text = text[1:] if start else text[:-1]
        cut = f"…{text}" if start else f"{text}…"
    return cut


def _legend(worst: WorstBoundaries, colours: Sequence[Colour], bare: set[int], width: int) -> Image.Image:
    """The classes in the masks shown, the largest first."""
    counts = np.zeros(256, np.int64)
    for one in worst.worst:
        counts += sum(np.array(Image.fromarray(mask).histogram()) for mask in (one.truth, one.predicted))
    lines = [(i, truncate_text(name, 24)) for i, name, _ in class_shares(counts.tolist(), worst.classes)]
    if len(lines) > MAX_LEGEND:
        lines[MAX_LEGEND:] = [(NO_CLASS, f"{len(lines) - MAX_LEGEND} more")]
    return draw_legend(lines, colours, bare, width, 1.0) if lines else Image.new("RGB", (width, _GAP), PAPER)
