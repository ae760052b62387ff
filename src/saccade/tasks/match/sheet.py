"""The pictures that a search finds, as a contact sheet."""

import math
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageOps

from saccade.data.files import escape
from saccade.data.images import read_image
from saccade.errors import DataError
from saccade.tasks.drawing import ACCENT, FAINT, INK, PAPER, font, truncate_text
from saccade.tasks.match.search import Hit

_SIDE, _GAP, _HEAD, _CAPTION = 160, 12, 48, 44
_COLUMNS = 5
LARGEST = 200  # pictures on a sheet


def contact_sheet(folder: Path, hits: Sequence[Hit], text: str) -> Image.Image:
    """The first `LARGEST` hits, best first, row by row, each with its rank, score and name."""
    hits = hits[:LARGEST]
    columns = max(1, min(_COLUMNS, len(hits)))
    rows = math.ceil(len(hits) / columns)
    width = max(_GAP + columns * (_SIDE + _GAP), 360)
    sheet = Image.new("RGB", (width, _HEAD + rows * (_SIDE + _CAPTION + _GAP)), PAPER)
    draw = ImageDraw.Draw(sheet)
    title = truncate_text(escape(text), width // 10)
    draw.text((_GAP, _HEAD / 2), title, INK, font(18, title), anchor="lm")
    for i, hit in enumerate(hits):
        row, column = divmod(i, columns)
        left, top = _GAP + column * (_SIDE + _GAP), _HEAD + row * (_SIDE + _CAPTION + _GAP)
        draw.rectangle((left, top, left + _SIDE - 1, top + _SIDE - 1), outline=FAINT)
        picture = _thumbnail(folder / hit.path)
        if picture is not None:
            sheet.paste(picture, (left + (_SIDE - picture.width) // 2, top + (_SIDE - picture.height) // 2))
        draw.text((left, top + _SIDE + 12), f"{i + 1}.  {hit.score:.3f}", ACCENT, font(14), anchor="lm")
        name = escape(hit.path)
        name = name if len(name) <= 24 else f"…{name[-23:]}"  # the end tells files of one name apart
        draw.text((left, top + _SIDE + 30), name, INK, font(12, name), anchor="lm")
    return sheet


def _thumbnail(path: Path) -> Image.Image | None:
    """None for a picture that can no longer be read."""
    try:
        picture = read_image(path, at_least=(_SIDE, _SIDE)).image
    except DataError:
        return None
    return ImageOps.contain(picture, (_SIDE, _SIDE))
