"""Generated pictures with their prompts on one sheet."""

import math
import textwrap
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageOps

from saccade.errors import printable
from saccade.tasks.drawing import INK, PAPER, WRONG, font
from saccade.tasks.generate.result import GeneratedPicture
from saccade.tasks.judge.draw import RIGHT
from saccade.tasks.judge.result import Judgement

_SIDE, _GAP, _LINE, _LINES, _LETTERS = 192, 14, 15, 6, 32
_COLUMNS = 6


def prompt_sheet(pictures: Sequence[GeneratedPicture], judgements: Sequence[Judgement]) -> Image.Image:
    """The pictures row by row, each with its prompt, in a green frame where every atom is right; else in a red one,
    with what is wrong."""
    columns = max(1, min(_COLUMNS, len(pictures)))
    rows = math.ceil(len(pictures) / columns)
    cell = _SIDE + _LINES * _LINE + _GAP
    sheet = Image.new("RGB", (_GAP + columns * (_SIDE + _GAP), _GAP + rows * cell), PAPER)
    draw = ImageDraw.Draw(sheet)
    for i, (picture, judgement) in enumerate(zip(pictures, judgements, strict=True)):
        left, top = _GAP + i % columns * (_SIDE + _GAP), _GAP + i // columns * cell
        inner = ImageOps.contain(picture.image, (_SIDE - 6, _SIDE - 6), Image.Resampling.NEAREST)
        colour = RIGHT if judgement.all_right else WRONG
        draw.rectangle((left, top, left + inner.width + 5, top + inner.height + 5), colour)
        sheet.paste(inner, (left + 3, top + 3))
        for row, (line, ink) in enumerate(_lines(picture, judgement)):
            draw.text((left, top + _SIDE + (row + 0.5) * _LINE), line, ink, font(11, line), anchor="lm")
    return sheet


def _lines(picture: GeneratedPicture, judgement: Judgement) -> list[tuple[str, tuple[int, int, int]]]:
    wrong = "; ".join(f"{atom.text}: {atom.reason}" for atom in judgement.wrong)
    reasons = [(line, WRONG) for line in _wrapped(wrong, 2)]
    return [(line, INK) for line in _wrapped(printable(picture.settings.prompt), _LINES - len(reasons))] + reasons


def _wrapped(text: str, lines: int) -> list[str]:
    return textwrap.wrap(text, _LETTERS, max_lines=lines, placeholder=" …")
