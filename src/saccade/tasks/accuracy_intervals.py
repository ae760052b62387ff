"""Shares of right decisions: their intervals, and charts of them."""

import math
from collections.abc import Mapping
from typing import Any

from PIL import Image, ImageDraw

from saccade.tasks.drawing import ACCENT, FAINT, INK, PAPER, WRONG, font

_ROW, _BAR, _EDGE, _FINE = 26, 480, 28, 2  # pixels; _FINE is the supersampling
_NOTE = "bar: share of right decisions   line: its 95 % interval   red: by chance   n: decisions"


def wilson_interval(correct: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927)."""
    if n == 0:
        return 0.0, 1.0
    share = correct / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def draw_accuracy_bars(details: Mapping[str, Mapping[str, Any]]) -> Image.Image:
    """A bar for each share with its 95 % interval, and a mark where chance is known. details: name -> "value", "low",
    "high" (0 to 1), "n" and, where it is known, "chance"."""
    letters = font(13 * _FINE)
    left = _EDGE + max((letters.getlength(name) for name in details), default=0) / _FINE + 10
    size = (round(left + _BAR + 110 + _EDGE), 2 * _EDGE + 40 + _ROW * len(details))
    picture = Image.new("RGB", (size[0] * _FINE, size[1] * _FINE), PAPER)
    draw = ImageDraw.Draw(picture)

    def box(x0: float, y0: float, x1: float, y1: float, ink: tuple[int, int, int]) -> None:
        draw.rectangle([round(v * _FINE) for v in (left + x0 * _BAR, y0, left + x1 * _BAR, y1)], ink)

    bottom = _EDGE + _ROW * len(details)
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        box(tick, _EDGE, tick, bottom, FAINT)
        at = ((left + tick * _BAR) * _FINE, (bottom + 6) * _FINE)
        draw.text(at, f"{tick:g}", INK, letters, anchor="mt")
    for row, (name, one) in enumerate(details.items()):
        middle = _EDGE + (row + 0.5) * _ROW
        box(0, middle - 7, one["value"], middle + 7, ACCENT)
        box(one["low"], middle - 1, one["high"], middle + 1, INK)
        if "chance" in one:
            box(one["chance"], middle - 10, one["chance"] + 2 / _BAR, middle + 10, WRONG)
        draw.text(((left - 8) * _FINE, middle * _FINE), name, INK, letters, anchor="rm")
        value = f"{one['value']:.3f}  n {one['n']}"
        draw.text(((left + _BAR + 10) * _FINE, middle * _FINE), value, INK, letters, anchor="lm")
    draw.text((left * _FINE, (bottom + 30) * _FINE), _NOTE, INK, letters, anchor="lt")
    return picture.reduce(_FINE)
