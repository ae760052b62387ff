"""Colours of a whole picture: the palette part of a style.

`keeps_colours` says whether the colour names of objects stay true. `NaturalPalette` and `Temperature` keep them;
`Pastel` makes red resemble pink; `Night`, `Sepia`, `Duotone` and `HueRotation` replace hues.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from saccade.data.scenes.colours import Colour
from saccade.data.scenes.random_stream import RandomStream, angle_from_tangent
from saccade.data.scenes.textures import clip_unit


@dataclass(frozen=True)
class NaturalPalette:
    """The colours as they are, and the interface of the others. apply: changes a picture, float32 (3 y x), 0 to 255, in
    place; values may exceed the range."""

    name: ClassVar[str] = "natural"
    keeps_colours: ClassVar[bool] = True
    ranges: ClassVar[Sequence[tuple[float, float]]] = ()  # of the parameters

    @classmethod
    def draw(cls, stream: RandomStream) -> Self:
        """One with random parameters."""
        return cls(*(stream.uniform(low, high) for low, high in cls.ranges))

    def apply(self, canvas: np.ndarray) -> None: ...


@dataclass(frozen=True)
class Temperature(NaturalPalette):
    """Coloured light. warmth: -1 (bluish) to 1 (reddish)."""

    name: ClassVar[str] = "temperature"
    warmth: float

    @classmethod
    def draw(cls, stream: RandomStream) -> Self:
        warmth = stream.uniform(0.5, 1)
        return cls(warmth if stream.bernoulli(0.5) else -warmth)

    def apply(self, canvas: np.ndarray) -> None:
        canvas *= _column((1 + 0.16 * self.warmth, 1 - 0.02 * abs(self.warmth), 1 - 0.24 * self.warmth))


@dataclass(frozen=True)
class Pastel(NaturalPalette):
    """Pale colours. amount: of white, 0.35 to 0.6."""

    name: ClassVar[str] = "pastel"
    keeps_colours: ClassVar[bool] = False
    ranges: ClassVar[Sequence[tuple[float, float]]] = ((0.35, 0.6),)
    amount: float

    def apply(self, canvas: np.ndarray) -> None:
        canvas += self.amount * (255 - canvas)


@dataclass(frozen=True)
class Night(NaturalPalette):
    """Dark and bluish. light: what is left of it, 0.45 to 0.7. moon: how much hues give way to blue, 0.3 to 0.7."""

    name: ClassVar[str] = "night"
    keeps_colours: ClassVar[bool] = False
    ranges: ClassVar[Sequence[tuple[float, float]]] = ((0.45, 0.7), (0.3, 0.7))
    light: float
    moon: float

    def apply(self, canvas: np.ndarray) -> None:
        moonlit = _luma(canvas) * _column((0.55, 0.75, 1.35))
        canvas += self.moon * (moonlit - canvas)
        canvas *= self.light


@dataclass(frozen=True)
class Sepia(NaturalPalette):
    """Brown tones. warmth: saturation of the brown, 0.5 to 1.1. contrast: 1 to 1.5."""

    name: ClassVar[str] = "sepia"
    keeps_colours: ClassVar[bool] = False
    ranges: ClassVar[Sequence[tuple[float, float]]] = ((0.5, 1.1), (1, 1.5))
    warmth: float
    contrast: float

    def apply(self, canvas: np.ndarray) -> None:
        grey = (_luma(canvas) - 128) * self.contrast + 128
        canvas[...] = grey * _column((1.06, 1 - 0.14 * self.warmth, 1 - 0.42 * self.warmth))


@dataclass(frozen=True)
class Duotone(NaturalPalette):
    """Two colours: dark tones of one hue, light tones of another. Hues: 0 to 1 around the circle from red.

    depth: brightness of the darkest tone, 0 to 0.35.
    """

    name: ClassVar[str] = "duotone"
    keeps_colours: ClassVar[bool] = False
    dark_hue: float
    light_hue: float
    depth: float

    @classmethod
    def draw(cls, stream: RandomStream) -> Self:
        dark = stream.unit_uniform()
        light = dark + stream.uniform(0.25, 0.75)  # apart from one another
        return cls(dark, light - (light >= 1), stream.uniform(0.0, 0.35))

    def apply(self, canvas: np.ndarray) -> None:
        share = clip_unit((_luma(canvas) - 128) * (1.4 / 255) + 0.5)
        dark = _column(_hue(self.dark_hue)) * (255 * self.depth)
        light = 255 - (255 - _column(_hue(self.light_hue)) * 255) * 0.55
        canvas[...] = dark + share * (light - dark)


@dataclass(frozen=True)
class HueRotation(NaturalPalette):
    """Every hue turned around the axis of greys. tangent: tangent of half the angle, 0.45 to 2.2, which is 48 to 131
    degrees, or its negative."""

    name: ClassVar[str] = "rotation"
    keeps_colours: ClassVar[bool] = False
    tangent: float

    @classmethod
    def draw(cls, stream: RandomStream) -> Self:
        tangent = stream.uniform(0.45, 2.2)
        return cls(tangent if stream.bernoulli(0.5) else -tangent)

    def apply(self, canvas: np.ndarray) -> None:
        cosine, sine = angle_from_tangent(self.tangent)
        same, third = cosine + (1 - cosine) / 3, 0.5773502691896258 * sine  # Rodrigues around (1, 1, 1) / sqrt(3)
        after, before = (1 - cosine) / 3 - third, (1 - cosine) / 3 + third
        red, green, blue = (plane.copy() for plane in canvas)
        canvas[0] = same * red + after * green + before * blue
        canvas[1] = before * red + same * green + after * blue
        canvas[2] = after * red + before * green + same * blue


PALETTES: tuple[type[NaturalPalette], ...] = (NaturalPalette, Temperature, Pastel, Night, Sepia, Duotone, HueRotation)


def _column(colour: Colour) -> np.ndarray:
    return np.array(colour, np.float32)[:, None, None]


def _luma(canvas: np.ndarray) -> np.ndarray:
    """Brightness, (y x)."""
    return 0.3 * canvas[0] + 0.59 * canvas[1] + 0.11 * canvas[2]


def _hue(hue: float) -> Colour:
    """The fully saturated colour of a hue, piecewise linear between the primaries."""
    red, green, blue = (min(1.0, max(0.0, abs((hue * 6 + offset) % 6 - 3) - 1)) for offset in (0, 4, 2))
    return red, green, blue
