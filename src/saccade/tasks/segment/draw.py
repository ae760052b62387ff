"""Pictures of what a segmenter says and of how good it is."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int, UInt8
from PIL import Image, ImageDraw
from torch import Tensor

from saccade.data.segments import IGNORE_INDEX
from saccade.errors import DataError
from saccade.tasks.confusion import draw_confusion
from saccade.tasks.drawing import FAINT, INK, PAPER, Colour, enlarged, font, short
from saccade.tasks.segment.borders import Mask, spread
from saccade.tasks.segment.colours import GREY, colours_of

MOST_NAMED = 24  # classes in a legend
MOST_CONFUSED = 32  # classes in a matrix whose numbers can be read
NO_CLASS = -1  # what is written in a legend without a colour
_LINE = (20, 22, 30)


def draw_segmentation(
    picture: Image.Image,
    mask: UInt8[Tensor, "y x"],
    classes: Sequence[str],
    colours: Sequence[Colour] | None = None,
    opacity: float = 0.55,
    legend: bool = True,
) -> Image.Image:
    """The picture under the colours of its classes, with a line along their borders; below it, what they are.

    colours: of the classes; by default `class_colours`, and none on a class named "background". opacity: of the
    colours, 0 to 1. legend: add below the picture the names of the classes that are there, with their shares of its
    pixels, the largest first. Ignored pixels are striped grey. A small picture is drawn larger.

    Raises DataError for a mask of another size than the picture, for values that are no class, and for colours that
    are not one a class.
    """
    given = checked_mask(mask, len(classes), picture.size)
    colours, bare = colours_of(classes, colours), unpainted(classes, colours)
    canvas, times = enlarged(picture)
    indices = given.repeat(int(times), axis=0).repeat(int(times), axis=1) if times > 1 else given
    out = painted(canvas, indices, colours, bare, opacity, max(1, round(0.6 * max(canvas.size) / 640)))
    if not legend:
        return out
    counts = Image.fromarray(given).histogram()
    there = [(i, f"{short(name, 24)}  {percent(share)}") for i, name, share in shares(counts, classes)]
    if rest := sum(share for *_, share in shares(counts, classes)[MOST_NAMED:]):
        there[MOST_NAMED:] = [(NO_CLASS, f"{len(there) - MOST_NAMED} more  {percent(rest)}")]
    below = legend_of(there, colours, bare, out.width, max(canvas.size) / 640)
    sheet = Image.new("RGB", (max(out.width, below.width), out.height + below.height), PAPER)
    sheet.paste(out, (0, 0))
    sheet.paste(below, (0, out.height))
    return sheet


def draw_segment_confusion(
    matrix: Int[Tensor, "classes classes"], classes: Sequence[str], most: int = MOST_CONFUSED
) -> Image.Image:
    """True classes against what their pixels are said to be, in percent of each true class's pixels.

    Of more than `most` classes only those that are confused most, and what they are confused with.
    """
    share = matrix.float() / matrix.sum(dim=1, keepdim=True).clamp(min=1)
    note = "rows: true class   columns: said to be\n% of the row's pixels"
    if len(classes) <= most:
        return draw_confusion(matrix, list(classes), share=share, note=note)
    wrong = share.clone().fill_diagonal_(0).flatten()
    kept: dict[int, None] = {}
    for place in wrong.argsort(descending=True, stable=True).tolist():  # the worst confusions first
        pair = dict.fromkeys(divmod(place, len(classes)))
        if wrong[place] == 0 or len(kept | pair) > most:
            break
        kept |= pair
    if kept:
        note += f", of which some are said to be of a class not shown\nthe {len(kept)} most confused"
    else:
        note += f"; none is said to be of another class\nthe first {most}"
    chosen, note = sorted(kept) or list(range(most)), f"{note} of {len(classes)} classes"
    part = matrix[chosen][:, chosen]
    return draw_confusion(part, [classes[i] for i in chosen], share=share[chosen][:, chosen], note=note)


def checked_mask(mask: UInt8[Tensor, "y x"], classes: int, size: tuple[int, int]) -> Mask:
    """As an array. Raises DataError for another size (width, height) than expected and for values that are no class."""
    indices = np.ascontiguousarray(mask.cpu().numpy())
    if indices.dtype != np.uint8 or indices.shape != size[::-1]:
        found = f"{' x '.join(map(str, indices.shape[::-1]))} {indices.dtype}"
        raise DataError(f"the mask is {found}; expected {size[0]} x {size[1]} uint8, as the picture is")
    wrong = (indices >= classes) & (indices != IGNORE_INDEX)
    if wrong.any():
        raise DataError(f"the mask holds {indices[wrong][0]}; expected classes 0 to {classes - 1}, or {IGNORE_INDEX}")
    return indices


def unpainted(classes: Sequence[str], colours: Sequence[Colour] | None) -> set[int]:
    """Classes that are not coloured: "background", unless colours were given."""
    return set() if colours is not None else {i for i, name in enumerate(classes) if name.casefold() == "background"}


def painted(
    picture: Image.Image, indices: Mask, colours: Sequence[Colour], bare: set[int], opacity: float, width: int
) -> Image.Image:
    """Class colours over an RGB picture of the mask's size; a dark line of `width` pixels on each side of a border,
    and beside it one of the class's full colour, so that it is seen on any picture."""
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
        low, high = spread(low, np.minimum), spread(high, np.maximum)
        if ring == width - 1:
            line = low != high
    colour = (low != high) & ~np.isin(indices, [*bare, IGNORE_INDEX])
    alpha.paste(255, mask=Image.fromarray(colour))
    layer.paste(_LINE, mask=Image.fromarray(line))
    alpha.paste(200, mask=Image.fromarray(line))
    return Image.composite(layer, picture, alpha)


def shares(counts: Sequence[int], classes: Sequence[str]) -> list[tuple[int, str, float]]:
    """Of a histogram of a mask: index, name and share of the pixels of each class that is there, the largest first;
    ignored pixels last."""
    total = max(1, sum(counts))
    there = sorted((i for i in range(len(classes)) if counts[i]), key=lambda i: -counts[i])
    out = [(i, classes[i], counts[i] / total) for i in there]
    return out + [(IGNORE_INDEX, "(ignored)", counts[IGNORE_INDEX] / total)] * bool(counts[IGNORE_INDEX])


def legend_of(
    lines: Sequence[tuple[int, str]], colours: Sequence[Colour], bare: set[int], width: int, unit: float
) -> Image.Image:
    """Names beside the colours of their classes (index, or NO_CLASS), in columns; at least as wide as the longest."""
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
            swatch_of(draw, box, None if i in bare else GREY if i == IGNORE_INDEX else colours[i], max(1, round(unit)))
        draw.text((x + swatch + 0.6 * pad, middle), text, INK, font(size, text), anchor="lm")
    return out


def swatch_of(
    draw: ImageDraw.ImageDraw, box: tuple[float, float, float, float], colour: Colour | None, line: int
) -> None:
    """A square of a class's colour; without one, empty."""
    draw.rectangle(box, fill=colour or PAPER, outline=_LINE if colour else FAINT, width=line)


def percent(share: float) -> str:
    """A share of pixels; what is there is never 0."""
    return f"{share:.1%}" if share >= 0.0005 else "<0.1%"
