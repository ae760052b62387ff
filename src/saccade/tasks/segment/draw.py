"""Segmentations and their confusion matrices as pictures."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int, UInt8
from PIL import Image, ImageDraw
from torch import Tensor

from saccade.data.segments import IGNORE_INDEX
from saccade.errors import DataError
from saccade.tasks.confusion import draw_confusion
from saccade.tasks.drawing import FAINT, INK, PAPER, Colour, enlarged, font, truncate_text
from saccade.tasks.segment.boundaries import Mask, filter_3x3
from saccade.tasks.segment.colours import GREY, resolve_colours

MAX_LEGEND = 24  # classes in a legend
MAX_CONFUSION = 32  # classes in a matrix whose numbers can be read
NO_CLASS = -1  # a line of a legend without a colour
_LINE = (20, 22, 30)


def draw_segmentation(
    picture: Image.Image,
    mask: UInt8[Tensor, "y x"],
    classes: Sequence[str],
    colours: Sequence[Colour] | None = None,
    opacity: float = 0.55,
    legend: bool = True,
) -> Image.Image:
    """The picture overlaid with the colours of its classes, lines along their boundaries, and a legend.

    colours: of the classes; default: `class_colours`, and none for a class named "background". opacity: of the colours,
    0 to 1. legend: whether the classes that occur are listed below, with their fraction of the pixels, the largest
    first. Ignored pixels are striped grey. A small picture is enlarged.

    Raises DataError for a mask of another size than the picture, for values that are no class, and if there is not one
    colour for each class.
    """
    given = validate_mask(mask, len(classes), picture.size)
    colours, bare = resolve_colours(classes, colours), transparent_classes(classes, colours)
    canvas, times = enlarged(picture)
    indices = given.repeat(int(times), axis=0).repeat(int(times), axis=1) if times > 1 else given
    out = overlay_classes(canvas, indices, colours, bare, opacity, max(1, round(0.6 * max(canvas.size) / 640)))
    if not legend:
        return out
    counts = Image.fromarray(given).histogram()
    lines = [(i, f"{truncate_text(name, 24)}  {percent(share)}") for i, name, share in class_shares(counts, classes)]
    if rest := sum(share for *_, share in class_shares(counts, classes)[MAX_LEGEND:]):
        lines[MAX_LEGEND:] = [(NO_CLASS, f"{len(lines) - MAX_LEGEND} more  {percent(rest)}")]
    below = draw_legend(lines, colours, bare, out.width, max(canvas.size) / 640)
    sheet = Image.new("RGB", (max(out.width, below.width), out.height + below.height), PAPER)
    sheet.paste(out, (0, 0))
    sheet.paste(below, (0, out.height))
    return sheet


def draw_segment_confusion(
    matrix: Int[Tensor, "classes classes"], classes: Sequence[str], most: int = MAX_CONFUSION
) -> Image.Image:
    """True class (row) against predicted class (column), in percent of the pixels of the true class.

    Of more than `most` classes only the most confused ones.
    """
    share = matrix.float() / matrix.sum(dim=1, keepdim=True).clamp(min=1)
    note = "rows: true class   columns: predicted class\n% of the row's pixels"
    if len(classes) <= most:
        return draw_confusion(matrix, list(classes), share=share, note=note)
    wrong = share.clone().fill_diagonal_(0).flatten()
    selected: dict[int, None] = {}
    for place in wrong.argsort(descending=True, stable=True).tolist():  # the worst confusions first
        pair = dict.fromkeys(divmod(place, len(classes)))
        if wrong[place] == 0 or len(selected | pair) > most:
            break
        selected |= pair
    if selected:
        note += f", some of them predicted as a class not shown\nthe {len(selected)} most confused"
    else:
        note += f"; no class is confused with another\nthe first {most}"
    chosen, note = sorted(selected) or list(range(most)), f"{note} of {len(classes)} classes"
    part = matrix[chosen][:, chosen]
    return draw_confusion(part, [classes[i] for i in chosen], share=share[chosen][:, chosen], note=note)


def validate_mask(mask: UInt8[Tensor, "y x"], classes: int, size: tuple[int, int]) -> Mask:
    """As an array. Raises DataError for another size (width, height) than expected and for values that are no class."""
    indices = np.ascontiguousarray(mask.cpu().numpy())
    if indices.dtype != np.uint8 or indices.shape != size[::-1]:
        found = f"{' x '.join(map(str, indices.shape[::-1]))} {indices.dtype}"
        raise DataError(f"the mask is {found}; expected {size[0]} x {size[1]} uint8, as the picture is")
    wrong = (indices >= classes) & (indices != IGNORE_INDEX)
    if wrong.any():
        raise DataError(f"the mask holds {indices[wrong][0]}; expected classes 0 to {classes - 1}, or {IGNORE_INDEX}")
    return indices


def transparent_classes(classes: Sequence[str], colours: Sequence[Colour] | None) -> set[int]:
    """Classes without a colour: "background", unless colours are given."""
    return set() if colours is not None else {i for i, name in enumerate(classes) if name.casefold() == "background"}


def overlay_classes(
    picture: Image.Image, indices: Mask, colours: Sequence[Colour], bare: set[int], opacity: float, width: int
) -> Image.Image:
    """Class colours over an RGB picture of the mask's size; along boundaries a dark line of `width` pixels on each
    side, and beside it one of the opaque class colour, for contrast on any picture."""
    table = [*colours, *[(0, 0, 0)] * (IGNORE_INDEX - len(colours)), GREY]
    layer = Image.fromarray(indices)
    layer.putpalette([part for colour in table for part in colour])
    layer = layer.convert("RGB")
    alpha = Image.fromarray(indices).point([0 if i in bare else round(255 * opacity) for i in range(256)])
    if (ignored := indices == IGNORE_INDEX).any():
        y, x = (np.arange(side, dtype=np.int32) for side in indices.shape)
        stripes = ignored & ((y[:, None] + x) // (5 * width) % 2 == 0)
        layer.paste((70, 70, 70), mask=Image.fromarray(stripes))
    low = high = indices
    for ring in range(2 * width):
        low, high = filter_3x3(low, np.minimum), filter_3x3(high, np.maximum)
        if ring == width - 1:
            line = low != high
    colour = (low != high) & ~np.isin(indices, [*bare, IGNORE_INDEX])
    alpha.paste(255, mask=Image.fromarray(colour))
    layer.paste(_LINE, mask=Image.fromarray(line))
    alpha.paste(200, mask=Image.fromarray(line))
    return Image.composite(layer, picture, alpha)


def class_shares(counts: Sequence[int], classes: Sequence[str]) -> list[tuple[int, str, float]]:
    """Index, name and fraction of the pixels of each class that occurs, from the histogram of a mask; largest first,
    ignored pixels last."""
    total = max(1, sum(counts))
    there = sorted((i for i in range(len(classes)) if counts[i]), key=lambda i: -counts[i])
    out = [(i, classes[i], counts[i] / total) for i in there]
    return out + [(IGNORE_INDEX, "(ignored)", counts[IGNORE_INDEX] / total)] * bool(counts[IGNORE_INDEX])


def draw_legend(
    lines: Sequence[tuple[int, str]], colours: Sequence[Colour], bare: set[int], width: int, unit: float
) -> Image.Image:
    """Class names (index or NO_CLASS, text) beside their colours, in columns; at least as wide as the longest name."""
    size, pad = 15 * unit, round(10 * unit)
    swatch, row = round(14 * unit), round(24 * unit)
    column = swatch + 2 * pad + max(int(font(size, text).getlength(text)) for _, text in lines)
    columns = max(1, min(len(lines), (width - pad) // column))
    rows = -(-len(lines) // columns)
    out = Image.new("RGB", (max(width, pad + columns * column), rows * row + 2 * pad), PAPER)
    draw = ImageDraw.Draw(out)
    for place, (i, text) in enumerate(lines):
        x, y = pad + place // rows * column, pad + place % rows * row
        middle = y + row // 2
        if i != NO_CLASS:
            box = (x, middle - swatch // 2, x + swatch, middle - swatch // 2 + swatch)
            draw_swatch(
                draw, box, None if i in bare else GREY if i == IGNORE_INDEX else colours[i], max(1, round(unit))
            )
        draw.text((x + swatch + 0.6 * pad, middle), text, INK, font(size, text), anchor="lm")
    return out


def draw_swatch(
    draw: ImageDraw.ImageDraw, box: tuple[float, float, float, float], colour: Colour | None, line: int
) -> None:
    """A square in the colour of a class; empty without one."""
    draw.rectangle(box, fill=colour or PAPER, outline=_LINE if colour else FAINT, width=line)


def percent(share: float) -> str:
    """A fraction of pixels; a class that occurs is never 0 %."""
    return f"{share:.1%}" if share >= 0.0005 else "<0.1%"
