"""Scores as pictures: the confusion matrix and the calibration curve."""

from collections.abc import Sequence

from jaxtyping import Float, Int
from PIL import Image, ImageDraw
from torch import Tensor

from saccade.tasks.drawing import ACCENT, FAINT, INK, PAPER, WRONG, font, short

_MOST = 40  # classes named beside the matrix
_NOTE = "rows: true class   columns: what it was called   % of the row"


def draw_confusion(
    matrix: Int[Tensor, "n n"],
    labels: Sequence[str],
    columns: Sequence[str] | None = None,
    share: Float[Tensor, "n n"] | None = None,
    note: str = _NOTE,
) -> Image.Image:
    """Each row is a true class, each column what its pictures were called; numbers are percent of the row.

    columns: names of the columns where they are not those of the rows. share: the numbers (1 is 100 %) where they
    are not shares of the row. note: what stands below.
    """
    n, columns = len(labels), labels if columns is None else columns
    cell = max(6, min(56, 900 // n))
    size = max(9, min(15, cell // 3))
    small = font(size)
    named = n <= _MOST
    names = [short(label) for label in (*labels, *columns)] if named else []
    left = 24 + max((int(font(size, name).getlength(name)) for name in names), default=0)
    lines = note.split("\n")
    wide = max(left + n * cell, *(left + int(font(13).getlength(line)) for line in lines))
    picture = Image.new("RGB", (wide + 20, left + n * cell + 22 + 18 * len(lines)), PAPER)
    draw = ImageDraw.Draw(picture)
    if share is None:
        share = matrix.float() / matrix.sum(dim=1, keepdim=True).clamp(min=1)
    for row in range(n):
        for column in range(n):
            right = row == column and labels[row] == columns[column]
            _cell(draw, left + column * cell, left + row * cell, cell, share[row, column].item(), right, small)
        if named:
            name = short(labels[row])
            draw.text((left - 8, left + (row + 0.5) * cell), name, INK, font(size, name), anchor="rm")
            _upright(picture, short(columns[row]), left + int((row + 0.5) * cell), left - 8, size)
    for i, line in enumerate(lines):
        draw.text((left, left + n * cell + 12 + 18 * i), line, INK, font(13))
    return picture


def draw_calibration(said: Float[Tensor, "n classes"], truth: Int[Tensor, "n"], bins: int = 10) -> Image.Image:
    """How often the model is right when it is so sure; on the diagonal it is as right as it says."""
    sure, named = said.max(dim=1)
    right = (named == truth).float()
    side, edge = 420, 64
    picture = Image.new("RGB", (side + 2 * edge, side + 2 * edge), PAPER)
    draw, small = ImageDraw.Draw(picture), font(13)
    draw.rectangle((edge, edge, edge + side, edge + side), outline=FAINT)
    draw.line((edge, edge + side, edge + side, edge), fill=FAINT, width=2)
    for i in range(bins):
        low, high = i / bins, (i + 1) / bins
        members = (sure > low) & (sure <= high)
        if not members.any():
            continue
        height = right[members].mean().item()
        box = (edge + low * side + 3, edge + (1 - height) * side, edge + high * side - 3, edge + side)
        draw.rectangle(box, fill=ACCENT)
        draw.text(((box[0] + box[2]) / 2, box[1] - 4), str(int(members.sum())), INK, small, anchor="mb")
    for tick in (0.0, 0.5, 1.0):
        draw.text((edge + tick * side, edge + side + 8), f"{tick:.0%}", INK, small, anchor="mt")
        draw.text((edge - 8, edge + (1 - tick) * side), f"{tick:.0%}", INK, small, anchor="rm")
    draw.text((edge + side / 2, edge + side + 30), "how sure the model is", INK, small, anchor="mt")
    draw.text((edge, edge - 12), "how often it is right (number of pictures above each bar)", INK, small, anchor="lb")
    return picture


def _cell(draw: ImageDraw.ImageDraw, x: int, y: int, side: int, share: float, right: bool, font) -> None:
    colour = ACCENT if right else WRONG
    strength = min(1.0, share if right else share * 3)  # mistakes are rarer, and are what one looks for
    fill = tuple(round(p + (c - p) * strength) for p, c in zip(PAPER, colour, strict=True))
    draw.rectangle((x, y, x + side - 1, y + side - 1), fill=fill, outline=FAINT)
    if side >= 24 and share >= 0.005:
        ink = PAPER if strength > 0.55 else INK
        draw.text((x + side / 2, y + side / 2), f"{100 * share:.0f}", ink, font, anchor="mm")


def _upright(picture: Image.Image, text: str, x: int, bottom: int, size: int) -> None:
    letters = font(size, text)
    width = max(1, int(letters.getlength(text)) + 2)
    line = Image.new("RGB", (width, 20), PAPER)
    ImageDraw.Draw(line).text((0, 10), text, INK, letters, anchor="lm")
    picture.paste(line.rotate(90, expand=True), (x - 10, bottom - width))
