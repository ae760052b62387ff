"""Scores as pictures: the confusion matrix and the calibration curve."""

from jaxtyping import Float, Int
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

_INK, _PAPER, _FAINT, _ACCENT = (28, 30, 38), (255, 255, 255), (214, 218, 226), (33, 92, 168)
_MOST = 40  # classes named beside the matrix


def draw_confusion(matrix: Int[Tensor, "classes classes"], labels: list[str]) -> Image.Image:
    """Each row is a true class, each column what its pictures were called; numbers are percent of the row."""
    n = len(labels)
    cell = max(6, min(56, 900 // n))
    font = ImageFont.load_default(max(9, min(15, cell // 3)))
    named = n <= _MOST
    left = 24 + (max(int(font.getlength(_short(label))) for label in labels) if named else 0)
    picture = Image.new("RGB", (left + n * cell + 20, left + n * cell + 40), _PAPER)
    draw = ImageDraw.Draw(picture)
    share = matrix.float() / matrix.sum(dim=1, keepdim=True).clamp(min=1)
    for row in range(n):
        for column in range(n):
            _cell(draw, left + column * cell, left + row * cell, cell, share[row, column].item(), row == column, font)
        if named:
            draw.text((left - 8, left + (row + 0.5) * cell), _short(labels[row]), _INK, font, anchor="rm")
            _upright(picture, _short(labels[row]), left + int((row + 0.5) * cell), left - 8, font)
    note = "rows: true class   columns: what it was called   % of the row"
    draw.text((left, left + n * cell + 12), note, _INK, ImageFont.load_default(13))
    return picture


def draw_calibration(said: Float[Tensor, "n classes"], truth: Int[Tensor, "n"], bins: int = 10) -> Image.Image:
    """How often the model is right when it is so sure; on the diagonal it is as right as it says."""
    sure, named = said.max(dim=1)
    right = (named == truth).float()
    side, edge = 420, 64
    picture = Image.new("RGB", (side + 2 * edge, side + 2 * edge), _PAPER)
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(13)
    draw.rectangle((edge, edge, edge + side, edge + side), outline=_FAINT)
    draw.line((edge, edge + side, edge + side, edge), fill=_FAINT, width=2)
    for i in range(bins):
        low, high = i / bins, (i + 1) / bins
        members = (sure > low) & (sure <= high)
        if not members.any():
            continue
        height = right[members].mean().item()
        box = (edge + low * side + 3, edge + (1 - height) * side, edge + high * side - 3, edge + side)
        draw.rectangle(box, fill=_ACCENT)
        draw.text(((box[0] + box[2]) / 2, box[1] - 4), str(int(members.sum())), _INK, font, anchor="mb")
    for tick in (0.0, 0.5, 1.0):
        draw.text((edge + tick * side, edge + side + 8), f"{tick:.0%}", _INK, font, anchor="mt")
        draw.text((edge - 8, edge + (1 - tick) * side), f"{tick:.0%}", _INK, font, anchor="rm")
    draw.text((edge + side / 2, edge + side + 30), "how sure the model is", _INK, font, anchor="mt")
    draw.text((edge, edge - 12), "how often it is right (number of pictures above each bar)", _INK, font, anchor="lb")
    return picture


def _cell(draw: ImageDraw.ImageDraw, x: int, y: int, side: int, share: float, right: bool, font) -> None:
    colour = _ACCENT if right else (190, 60, 40)
    strength = min(1.0, share if right else share * 3)  # mistakes are rarer, and are what one looks for
    fill = tuple(round(p + (c - p) * strength) for p, c in zip(_PAPER, colour, strict=True))
    draw.rectangle((x, y, x + side - 1, y + side - 1), fill=fill, outline=_FAINT)
    if side >= 24 and share >= 0.005:
        ink = _PAPER if strength > 0.55 else _INK
        draw.text((x + side / 2, y + side / 2), f"{100 * share:.0f}", ink, font, anchor="mm")


def _upright(picture: Image.Image, text: str, x: int, bottom: int, font) -> None:
    width = max(1, int(font.getlength(text)) + 2)
    line = Image.new("RGB", (width, 20), _PAPER)
    ImageDraw.Draw(line).text((0, 10), text, _INK, font, anchor="lm")
    picture.paste(line.rotate(90, expand=True), (x - 10, bottom - width))


def _short(label: str) -> str:
    return label if len(label) <= 18 else label[:17] + "…"
