"""Detections, precision-recall curves and confusion matrices as pictures."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Int
from PIL import Image, ImageDraw
from torch import Tensor

from saccade.data.objects.run_lengths import RunLengths, decode_instance_map, rle_to_polygons
from saccade.tasks.confusion import draw_confusion
from saccade.tasks.detect.result import Detections
from saccade.tasks.detect.scores import Curve
from saccade.tasks.drawing import (
    FAINT,
    INK,
    PALETTE,
    PAPER,
    Colour,
    Overlay,
    colour,
    contrasting_ink,
    curve_between,
    enlarged,
    font,
    label_positions,
    truncate_text,
)

_CROWDED = 12  # objects, beyond which lines and labels are smaller, and masks have no labels, which would hide them
_TINT = 0.3  # share of the colour inside a mask


def draw_detections(
    picture: Image.Image,
    found: Detections,
    classes: Sequence[str],
    relations: Sequence[str] | None = None,
    threshold: float = 0.5,
    arrows: int = 6,
) -> Image.Image:
    """The picture with the box, class and score in percent of each object with a score of at least `threshold`.

    Objects with a mask are tinted and have its outline in place of the box; where there is one class, neighbours differ
    in colour. relations: their names; if given, an arrow from subject to object joins the `arrows` pairs of highest
    score, with the names of their relations. A small picture is enlarged.
    """
    canvas, times = enlarged(picture)
    shown = [i for i in found.scores.argsort().tolist() if float(found.scores[i]) >= threshold]
    colours = {i: colour(i if found.masks is not None and len(classes) == 1 else int(found.labels[i])) for i in shown}
    overlay = Overlay(canvas if found.masks is None else _tinted(canvas, found.masks, colours))
    boxes = {i: tuple(v * times for v in found.boxes[i].tolist()) for i in shown}
    size = 15 if len(shown) <= _CROWDED else 11
    for i in shown:  # the highest score last, on top
        if found.masks is None:
            overlay.box(boxes[i], colours[i], 2.5 if len(shown) <= _CROWDED else 2)
            continue
        for ring in rle_to_polygons(found.masks[i]):
            overlay.closed_polyline(
                [(x * times, y * times) for x, y in ring], colours[i], 2 if len(shown) <= _CROWDED else 1.2
            )
    links = _links(found, set(shown), relations, threshold, arrows) if relations else {}
    curves = {pair: curve_between(boxes[pair[0]], boxes[pair[1]], overlay.unit) for pair in links}
    for curve in curves.values():
        overlay.arrow(curve, PAPER)
    for i in reversed(shown) if found.masks is None or len(shown) <= _CROWDED else ():
        text = f"{truncate_text(classes[int(found.labels[i])])} {100 * float(found.scores[i]):.0f}%"
        overlay.label(text, label_positions(boxes[i]), colours[i], size)
    for pair, names in links.items():
        curve = curves[pair]
        places = [(*curve[round(t * (len(curve) - 1))], "mm") for t in (0.5, 0.4, 0.6, 0.3, 0.7)]
        overlay.label(", ".join(names), places, PAPER, size - 2)
    return overlay.result()


def _tinted(canvas: Image.Image, masks: Sequence[RunLengths], colours: Mapping[int, Colour]) -> Image.Image:
    """The picture, enlarged or not, with the pixels of masks in their colours."""
    if not masks:
        return canvas
    height, width = masks[0]["size"]
    numbers = decode_instance_map([masks[i] for i in colours], (height, width)).numpy()
    table = np.array([(0, 0, 0), *colours.values()], np.uint8)[numbers]
    tint = Image.fromarray(table).resize(canvas.size, Image.Resampling.NEAREST)
    inside = Image.fromarray(np.uint8(numbers > 0) * round(255 * _TINT)).resize(canvas.size, Image.Resampling.NEAREST)
    return Image.composite(tint, canvas, inside)


def draw_pr_curves(curves: Mapping[str, Curve | None], iou: float = 0.5) -> Image.Image:
    """Precision-recall curves of the classes with their AP, the best first.

    Of many classes only the best and the worst have a colour and a name. iou: that of `curves`, for the caption.
    """
    known = sorted(((name, curve) for name, curve in curves.items() if curve), key=lambda each: -each[1].ap)
    side, edge, fine, half = 460, 64, 2, len(PALETTE) // 2
    named = known if len(known) <= 2 * half else [*known[:half], *known[-half:]]
    lines = [f"{curve.ap:.3f}  {truncate_text(name, 24)}" for name, curve in named]
    wide = max([150, *(int(font(14, line).getlength(line)) for line in lines)])
    canvas = Image.new("RGB", ((side + 2 * edge + wide + 30) * fine, (side + 2 * edge) * fine), PAPER)
    draw = ImageDraw.Draw(canvas)
    for tick in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
        x, y = edge + tick * side, edge + (1 - tick) * side
        draw.line([x * fine, edge * fine, x * fine, (edge + side) * fine], FAINT, fine)
        draw.line([edge * fine, y * fine, (edge + side) * fine, y * fine], FAINT, fine)
        draw.text((x * fine, (edge + side + 8) * fine), f"{tick:g}", INK, font(13 * fine), anchor="mt")
        draw.text(((edge - 8) * fine, y * fine), f"{tick:g}", INK, font(13 * fine), anchor="rm")
    ranks = {name: rank for rank, (name, _) in enumerate(named)}
    for name, curve in sorted(known, key=lambda each: -ranks.get(each[0], len(known))):  # the best on top
        points = [
            ((edge + r * side) * fine, (edge + (1 - p) * side) * fine)
            for r, p in zip(curve.recall, curve.precision, strict=True)
        ]
        draw.line(points, _dark(ranks[name]) if name in ranks else (190, 194, 204), 2 * fine, joint="curve")
    if not known:
        middle = ((edge + side / 2) * fine, (edge + side / 2) * fine)
        draw.text(middle, "no objects", INK, font(15 * fine), anchor="mm")
    draw.text(((edge + side / 2) * fine, (edge + side + 32) * fine), "recall", INK, font(14 * fine), anchor="mt")
    draw.text((edge * fine, (edge - 12) * fine), f"precision, at an IoU of {iou:g}", INK, font(14 * fine), anchor="lb")
    x, heading = edge + side + 28, "AP     class" if known else ""
    draw.text((x * fine, (edge - 12) * fine), heading, INK, font(14 * fine), anchor="lb")
    for row, line in enumerate(lines):
        y = edge + 12 + row * 24 + (24 if len(known) > len(named) and row >= half else 0)
        draw.rounded_rectangle([v * fine for v in (x, y - 5, x + 14, y + 5)], 2 * fine, _dark(row))
        draw.text(((x + 22) * fine, y * fine), line, INK, font(14 * fine, line), anchor="lm")
    if rest := len(known) - len(named):
        draw.text(
            ((x + 22) * fine, (edge + 12 + half * 24) * fine), f"{rest} more, grey", INK, font(13 * fine), anchor="lm"
        )
    return canvas.reduce(fine)


def draw_detection_confusion(
    matrix: Int[Tensor, "classes+1 classes+1"], classes: Sequence[str], threshold: float = 0.5
) -> Image.Image:
    """`detection_confusion` at `threshold`, in percent of the true objects of the row's class; the last row, the false
    positives, in percent of the true objects of the column's class."""
    counts = matrix.float()
    share = counts / counts.sum(dim=1, keepdim=True).clamp(min=1)
    share[-1, :-1] = counts[-1, :-1] / counts[:-1].sum(dim=1).clamp(min=1)
    note = "rows: true class   columns: predicted class\n% of the row's objects;\nlast row: of the column's objects\n"
    note += f"detections with a score of at least {threshold:.3g}"
    return draw_confusion(matrix, [*classes, "(background)"], [*classes, "(missed)"], share, note)


def _links(
    found: Detections, shown: set[int], relations: Sequence[str], threshold: float, most: int
) -> dict[tuple[int, int], list[str]]:
    """Names of the relations of each pair of shown objects, by descending score."""
    links: dict[tuple[int, int], list[str]] = {}
    triplets = [] if found.relations is None else found.relations.tolist()
    scores = [1.0] * len(triplets) if found.relation_scores is None else found.relation_scores.tolist()
    for score, (subject, relation, target) in sorted(zip(scores, triplets, strict=True), key=lambda each: -each[0]):
        pair = (subject, target)
        if score < threshold or not {subject, target} <= shown or subject == target:
            continue
        if pair in links or len(links) < most:
            links.setdefault(pair, []).append(relations[relation])
    return links


def _dark(rank: int) -> tuple[int, int, int]:
    """A colour of the palette that is seen on white too."""
    red, green, blue = colour(rank)
    strength = 0.62 if contrasting_ink((red, green, blue)) == INK else 0.85
    return round(red * strength), round(green * strength), round(blue * strength)
