"""A picture of our own, for whoever has none at hand."""

import math

import torch
from PIL import Image, ImageDraw, ImageFilter

_SIDE = 480
_FINER = 2  # drawn larger and reduced, which smooths the edges


def sample_picture() -> Image.Image:
    """A sailing ship on the sea, drawn, 480 x 480 pixels; the same on any machine."""
    side = _SIDE * _FINER
    picture = Image.new("RGB", (side, side))
    draw = ImageDraw.Draw(picture)
    horizon = int(side * 0.58)
    for y in range(side):
        draw.line(
            [(0, y), (side, y)], fill=_sky(y / horizon) if y < horizon else _sea((y - horizon) / (side - horizon))
        )
    _waves(draw, side, horizon)
    _ship(draw, side)
    picture = picture.filter(ImageFilter.GaussianBlur(1.5)).resize((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    noise = torch.randn(_SIDE, _SIDE, 1, generator=torch.Generator().manual_seed(0)) * 5
    pixels = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8).view(_SIDE, _SIDE, 3)
    return Image.fromarray((pixels + noise).clamp(0, 255).byte().numpy())


def _sky(t: float) -> tuple[int, int, int]:
    return int(96 + 110 * t), int(150 + 65 * t), int(208 + 20 * t)


def _sea(t: float) -> tuple[int, int, int]:
    return int(62 - 34 * t), int(112 - 50 * t), int(146 - 50 * t)


def _waves(draw: ImageDraw.ImageDraw, side: int, horizon: int) -> None:
    for row in range(26):
        depth = row / 26
        y = horizon + (side - horizon) * depth**1.5
        length = side * (0.02 + 0.09 * depth)
        for column in range(12):
            x = side * ((column * 0.618 + row * 0.382) % 1.0)
            tone = int(20 * math.sin(row * 2.4 + column))
            colour = (120 + tone, 160 + tone, 185 + tone)
            draw.line([(x, y), (x + length, y + side * 0.003)], fill=colour, width=max(1, int(side * 0.004 * depth)))


def _ship(draw: ImageDraw.ImageDraw, side: int) -> None:
    def at(*points: tuple[float, float]) -> list[tuple[float, float]]:
        return [(x * side, y * side) for x, y in points]

    draw.polygon(at((0.16, 0.60), (0.84, 0.58), (0.76, 0.71), (0.26, 0.71)), fill=(84, 50, 38))
    draw.polygon(at((0.16, 0.60), (0.84, 0.58), (0.83, 0.605), (0.18, 0.625)), fill=(206, 190, 160))
    draw.polygon(at((0.265, 0.705), (0.762, 0.705), (0.745, 0.73), (0.29, 0.73)), fill=(140, 44, 40))
    for x, top in ((0.36, 0.20), (0.52, 0.13), (0.67, 0.22)):
        draw.line(at((x, 0.60), (x, top)), fill=(60, 42, 34), width=int(side * 0.012))
        for row in range(3):
            y = top + 0.03 + row * (0.56 - top) / 3
            deep = (0.52 - top) / 3.4
            wide = 0.060 + 0.014 * row
            draw.polygon(
                at(
                    (x - wide, y),
                    (x + wide, y),
                    (x + wide * 1.1, y + deep),
                    (x + 0.01, y + deep * 1.08),
                    (x - wide * 1.1, y + deep),
                ),
                fill=(236 - 8 * row, 230 - 8 * row, 214 - 8 * row),
            )
    draw.line(at((0.82, 0.59), (0.93, 0.53)), fill=(60, 42, 34), width=int(side * 0.01))
    draw.polygon(at((0.69, 0.25), (0.91, 0.54), (0.70, 0.55)), fill=(226, 220, 204))
