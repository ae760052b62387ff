"""Confusion matrices as pictures."""

from collections.abc import Sequence

from jaxtyping import Float, Int
from PIL import Image, ImageDraw
from torch import Tensor

from saccade.tasks.drawing import ACCENT, FAINT, INK, PAPER, WRONG, font, truncate_text

_MAX_NAMED = 40  # classes: above it rows and columns have no names
_NOTE = "rows: true class   columns: predicted class   % of the row"


def draw_confusion(
    matrix: Int[Tensor, "n n"],
    labels: Sequence[str],
    columns: Sequence[str] | None = None,
    share: Float[Tensor, "n n"] | None = None,
    note: str = _NOTE,
) -> Image.Image:
    """A row for each true class, a column for each predicted class; cells are percentages of the row.

    Args:
        matrix: counts.
        labels: names of the rows.
        columns: names of the columns; default: `labels`.
        share: values of the cells, 0 to 1; default: the counts as fractions of their row.
        note: caption below the matrix; it may have several lines.
    """
    n, columns = len(labels), labels if columns is None else columns
    cell = max(6, min(56, 900 // n))
    size = max(9, min(15, cell // 3))
    small = font(size)
    named = n <= _MAX_NAMED
    names = [truncate_text(label) for label in (*labels, *columns)] if named else []
    left = 24 + max((int(font(size, name).getlength(name)) for name in names), default=0)
    lines = note.split("\n")
    wide = max(left + n * cell, *(left + int(font(13).getlength(line)) for line in lines))
    picture = Image.new("RGB", (wide + 20, left + n * cell + 22 + 18 * len(lines)), PAPER)
    draw = ImageDraw.Draw(picture)
    if share is None:
        share = matrix.float() / matrix.sum(dim=1, keepdim=True).clamp(min=1)
    for row in range(n):
        for column in range(n):
            correct = row == column and labels[row] == columns[column]
            _cell(draw, left + column * cell, left + row * cell, cell, share[row, column].item(), correct, small)
        if named:
            name = truncate_text(labels[row])
            draw.text((left - 8, left + (row + 0.5) * cell), name, INK, font(size, name), anchor="rm")
            _vertical_text(picture, truncate_text(columns[row]), left + int((row + 0.5) * cell), left - 8, size)
    for i, line in enumerate(lines):
        draw.text((left, left + n * cell + 12 + 18 * i), line, INK, font(13))
    return picture


def _cell(draw: ImageDraw.ImageDraw, x: int, y: int, side: int, share: float, correct: bool, font) -> None:
    colour = ACCENT if correct else WRONG
    strength = min(1.0, share if correct else share * 3)  # errors are rarer, and must be seen
    fill = tuple(round(p + (c - p) * strength) for p, c in zip(PAPER, colour, strict=True))
    draw.rectangle((x, y, x + side - 1, y + side - 1), fill=fill, outline=FAINT)
    if side >= 24 and share >= 0.005:
        ink = PAPER if strength > 0.55 else INK
        draw.text((x + side / 2, y + side / 2), f"{100 * share:.0f}", ink, font, anchor="mm")


def _vertical_text(picture: Image.Image, text: str, x: int, bottom: int, size: int) -> None:
    letters = font(size, text)
    width = max(1, int(letters.getlength(text)) + 2)
    line = Image.new("RGB", (width, 20), PAPER)
    ImageDraw.Draw(line).text((0, 10), text, INK, letters, anchor="lm")
    picture.paste(line.rotate(90, expand=True), (x - 10, bottom - width))
