"""A sheet of what was read of a data set: some of its pictures, with their annotations drawn on them.

What is read wrongly is seen at a glance: boxes beside their objects, masks of other pictures, classes in another order.
"""

import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageOps

from saccade.data.files import escape
from saccade.data.output import write_png
from saccade.errors import DataError
from saccade.lazy import resolve_name
from saccade.tasks.commands import TaskCommands
from saccade.tasks.drawing import FAINT, INK, PAPER, WRONG, Colour, font, truncate_text

SIDE = 300  # pixels of the longer side of a picture on the sheet
MOST = 24  # pictures
_GAP, _COLUMNS, _LINE, _LINES = 14, 6, 17, 4


@dataclass(frozen=True)
class Example:
    """picture: with its annotations drawn on it, about SIDE pixels. lines: what is written below. wrong: whether it
    holds nothing to learn from, or could not be read."""

    picture: Image.Image | None
    lines: list[str] = field(default_factory=list)
    wrong: bool = False


DrawExample = Callable[[Any, int], Example]  # of a data set, and the index of a picture in it


def write_sample_sheet(out: Path, sets: Mapping[str, Any], task: TaskCommands, title: str = "") -> bool:
    """Write the sheet as a PNG; returns False for a task that draws none. title: default: the label of the first set.
    Raises DataError if it cannot be written."""
    if task.example is None:
        return False
    title = title or next((dataset.title for dataset in sets.values()), "")
    write_png(out, draw_sample_sheet(sets, resolve_name(task.example), title))
    return True


def draw_sample_sheet(sets: Mapping[str, Any], draw_example: DrawExample, title: str) -> Image.Image:
    """A sheet of at most MOST pictures of all sets, evenly spread over each, half of them or more from the first.

    sets: name of a split -> its data set. Pictures that cannot be read are there with the reason."""
    sets = {name: dataset for name, dataset in sets.items() if len(dataset)}
    parts = [(name, dataset, _quota(place, len(sets))) for place, (name, dataset) in enumerate(sets.items())]
    rows = [(f"{name}: {len(dataset)}", _examples(dataset, draw_example, most)) for name, dataset, most in parts]
    width = _GAP + _COLUMNS * (SIDE + _GAP)
    sheets = [_heading(title, width, 20)]
    for heading, examples in rows:
        sheets.append(_heading(heading, width, 16))
        for first in range(0, len(examples), _COLUMNS):
            sheets.append(_row(examples[first : first + _COLUMNS], width))
    sheet = Image.new("RGB", (width, sum(each.height for each in sheets) + _GAP), PAPER)
    top = 0
    for each in sheets:
        sheet.paste(each, (0, top))
        top += each.height
    return sheet


def thumbnail(picture: Image.Image) -> tuple[Image.Image, float]:
    """An RGB copy whose longer side has about SIDE pixels, and the scale factor; a small picture by an integer, so that
    each of its pixels becomes a square."""
    picture = picture.convert("RGB")
    scale = SIDE / max(picture.size)
    if scale >= 2:
        scale = int(scale)
        return picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.NEAREST), float(scale)
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    return picture.resize(size, Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.BICUBIC), scale


def _quota(place: int, sets: int) -> int:
    """Pictures of a set: half of all for the first of several."""
    return MOST if sets == 1 else MOST // 2 if place == 0 else max(1, MOST // 2 // (sets - 1))


def _examples(dataset: Any, draw_example: DrawExample, most: int) -> list[Example]:
    count = min(len(dataset), most)
    return [_example(dataset, draw_example, (2 * i + 1) * len(dataset) // (2 * count)) for i in range(count)]


def _example(dataset: Any, draw_example: DrawExample, index: int) -> Example:
    try:
        return draw_example(dataset, index)
    except DataError as error:
        return Example(None, [str(error)], wrong=True)


def _heading(text: str, width: int, size: int) -> Image.Image:
    heading = Image.new("RGB", (width, size + 2 * _GAP), PAPER)
    text = truncate_text(escape(text), 2 * width // size)
    ImageDraw.Draw(heading).text((_GAP, heading.height / 2), text, INK, font(size, text), anchor="lm")
    return heading


def _row(examples: list[Example], width: int) -> Image.Image:
    """Pictures side by side, the text of each below it."""
    pictures = [ImageOps.contain(each.picture, (SIDE, 2 * SIDE)) if each.picture else None for each in examples]
    height = max((picture.height for picture in pictures if picture is not None), default=_LINE)
    row = Image.new("RGB", (width, height + _LINES * _LINE + 2 * _GAP), PAPER)
    draw = ImageDraw.Draw(row)
    for place, (each, picture) in enumerate(zip(examples, pictures, strict=True)):
        left = _GAP + place * (SIDE + _GAP)
        if picture is not None:
            row.paste(picture, (left, 0))
            draw.rectangle((left - 1, -1, left + picture.width, picture.height), outline=FAINT)
        ink: Colour = WRONG if each.wrong else INK
        for number, line in enumerate(_wrapped(each.lines)):
            draw.text((left, height + (number + 0.8) * _LINE), line, ink, font(13, line), anchor="lm")
    return row


def _wrapped(lines: list[str]) -> list[str]:
    """At most _LINES lines that fit below a picture; a longer text is cut."""
    letters = SIDE // 7
    wrapped = [part for line in lines for part in textwrap.wrap(escape(line), letters) or [""]]
    if len(wrapped) > _LINES:
        wrapped[_LINES - 1 :] = [truncate_text(wrapped[_LINES - 1], letters - 1) + "…"]
    return wrapped
