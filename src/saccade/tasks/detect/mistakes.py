"""The worst errors of a detector as a contact sheet."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw

from saccade.data.objects import ObjectAnnotations
from saccade.tasks.detect.matches import Kind, Match, check_comparable, match
from saccade.tasks.detect.result import Detections
from saccade.tasks.drawing import FAINT, INK, PAPER, Overlay, font, truncate_text

TRUTH, FOUND = (40, 220, 90), (255, 110, 30)
_GREY = (96, 102, 116)
_SIDE, _GAP, _LEFT, _HEAD = 168, 12, 190, 56
_EXPLANATIONS: dict[Kind, str] = {
    "missed": "objects without a detection, largest first",
    "background": "detections without an object, highest score first",
    "classification": "correct box, wrong class, highest score first",
    "localization": "correct class, low IoU, lowest first",
    "duplicate": "second detection of an object, highest score first",
}


@dataclass(frozen=True)
class Mistake:
    """One error: the index of its picture, the match, and its severity, comparable within a kind."""

    picture: int
    match: Match
    severity: float


def worst_mistakes(
    found: list[Detections],
    truth: list[ObjectAnnotations],
    classes: Sequence[str],
    threshold: float = 0.5,
    iou: float = 0.5,
    tight_iou: float = 0.7,
) -> dict[Kind, list[Mistake]]:
    """All errors by kind, the worst first: by score; missed objects by their fraction of the picture; localization
    errors by IoU.

    Kinds are those of `match`; correct detections with an IoU below `tight_iou` are listed under "localization" too.
    Raises DataError for lists that do not belong together.
    """
    check_comparable(found, truth, len(classes))
    mistakes: dict[Kind, list[Mistake]] = {kind: [] for kind in _EXPLANATIONS}
    for i, (one, objects) in enumerate(zip(found, truth, strict=True)):
        for each in match(one, objects, threshold, iou):
            if each.kind in ("correct", "localization"):
                if each.kind == "localization" or each.iou < tight_iou:
                    mistakes["localization"].append(Mistake(i, each, 1 - each.iou))
            elif each.found is None:
                assert each.truth is not None
                left, top, right, bottom = objects.boxes[each.truth].tolist()
                share = (right - left) * (bottom - top) / (objects.size[0] * objects.size[1])
                mistakes["missed"].append(Mistake(i, each, share))
            else:
                mistakes[each.kind].append(Mistake(i, each, float(one.scores[each.found])))
    return {kind: sorted(some, key=lambda m: -m.severity) for kind, some in mistakes.items()}


def draw_mistakes(
    picture: Callable[[int], Image.Image],
    found: list[Detections],
    truth: list[ObjectAnnotations],
    classes: Sequence[str],
    threshold: float = 0.5,
    names: Sequence[str] | None = None,
    each: int = 6,
) -> Image.Image:
    """A row for each kind of error with its worst `each`: the true box dashed in green, the predicted one in orange.

    picture: index -> picture; called for those shown only. names: of the pictures, for captions; default: their
    indices. Raises as `worst_mistakes` does.
    """
    mistakes = worst_mistakes(found, truth, classes, threshold)
    rows = [(kind, some) for kind, some in mistakes.items() if some]
    width, height = _LEFT + each * (_SIDE + _GAP) + _GAP, _HEAD + max(1, len(rows)) * (_SIDE + 52) + _GAP
    sheet = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(sheet)
    _heading(draw, len(found), threshold)
    if not rows:
        draw.text((_GAP + 4, _HEAD + 20), "no errors", INK, font(16), anchor="lm")
    for row, (kind, some) in enumerate(rows):
        top = _HEAD + row * (_SIDE + 52)
        draw.line((_GAP, top - 6, width - _GAP, top - 6), FAINT)
        _aside(draw, top, kind, len(some))
        for column, mistake in enumerate(some[:each]):
            left, i = _LEFT + column * (_SIDE + _GAP), mistake.picture
            sheet.paste(_crop(picture(i), mistake.match, found[i], truth[i]), (left, top))
            caption = _caption(mistake.match, found[i], truth[i], classes)
            _line(draw, (left, top + _SIDE + 6), caption, INK, 13)
            _line(draw, (left, top + _SIDE + 24), names[i] if names else f"picture {i}", _GREY, 11)
    return sheet


def _heading(draw: ImageDraw.ImageDraw, pictures: int, threshold: float) -> None:
    title = f"errors in {pictures} pictures, detections with a score of at least {threshold:g}"
    draw.text((_GAP + 4, 24), title, INK, font(16), anchor="lm")
    x = _GAP + 24 + font(16).getlength(title) + 16
    for text, colour, dashed in (("true", TRUTH, True), ("predicted", FOUND, False)):
        for start in range(0, 30, 10) if dashed else [0]:
            draw.line((x + start, 24, x + start + (5 if dashed else 28), 24), colour, 3)
        draw.text((x + 36, 24), text, INK, font(13), anchor="lm")
        x += 96


def _aside(draw: ImageDraw.ImageDraw, top: int, kind: Kind, count: int) -> None:
    draw.text((_GAP + 4, top + 10), kind, INK, font(17), anchor="lm")
    draw.text((_GAP + 4, top + 34), f"{count:,}", _GREY, font(15), anchor="lm")
    for i, line in enumerate(_EXPLANATIONS[kind].split(", ")):
        draw.text((_GAP + 4, top + 62 + 17 * i), line, _GREY, font(12), anchor="lm")


def _crop(picture: Image.Image, one: Match, found: Detections, truth: ObjectAnnotations) -> Image.Image:
    """A square around the boxes, with context of about their size."""
    boxes = [] if one.found is None else [found.boxes[one.found].tolist()]
    boxes += [] if one.truth is None else [truth.boxes[one.truth].tolist()]
    left, top, right, bottom = (pick(b[i] for b in boxes) for i, pick in enumerate((min, min, max, max)))
    width, height = picture.size
    side = min(max(1.9 * max(right - left, bottom - top), max(width, height) / 12, 16), max(width, height))
    x, y = ((a + b) / 2 - side / 2 for a, b in ((left, right), (top, bottom)))
    x, y = (
        max(0.0, min(v, most - side)) if side <= most else (most - side) / 2 for v, most in ((x, width), (y, height))
    )
    times = _SIDE / side
    around = picture.convert("RGB").transform(
        (_SIDE, _SIDE), Image.Transform.EXTENT, (x, y, x + side, y + side), Image.Resampling.BICUBIC, fillcolor=FAINT
    )
    overlay = Overlay(around)
    overlay.unit = 1.0
    drawn = [] if one.truth is None else [(truth.boxes[one.truth], TRUTH, True)]
    drawn += [] if one.found is None else [(found.boxes[one.found], FOUND, False)]
    for box, colour, dashed in drawn:
        a, b, c, d = box.tolist()
        overlay.box(((a - x) * times, (b - y) * times, (c - x) * times, (d - y) * times), colour, 2, dashed)
    return overlay.result()


def _caption(one: Match, found: Detections, truth: ObjectAnnotations, classes: Sequence[str]) -> str:
    true = "" if one.truth is None else truncate_text(classes[int(truth.labels[one.truth])], 14)
    if one.found is None:
        return true
    predicted = truncate_text(classes[int(found.labels[one.found])], 14)
    score = f"{predicted} {100 * float(found.scores[one.found]):.0f}%"
    if one.kind == "classification":
        return f"{score}, is {true}"
    return score if one.kind == "background" else f"{score}, IoU {one.iou:.2f}"


def _line(
    draw: ImageDraw.ImageDraw, place: tuple[float, float], text: str, ink: tuple[int, int, int], size: int
) -> None:
    """Text on one line, cut to the width of a tile."""
    most = 60
    while most > 1 and font(size, text).getlength(truncate_text(text, most)) > _SIDE:
        most -= 1
    draw.text(place, truncate_text(text, most), ink, font(size, text), anchor="lt")
