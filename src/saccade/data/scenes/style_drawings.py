"""Ways to draw the objects of a scene: the drawing part of a style.

A drawing changes how a layout is painted, never the layout: outlines, positions and the hues of objects stay. Lengths
are in pixels of a picture with a shorter side of 64, and grow with the picture (`unit` pixels each). Only exactly
rounded operations are used, as in the rest of the folder.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np

from saccade.data.scenes.random_stream import RandomStream, angle_from_tangent
from saccade.data.scenes.render import Item, Light, Stencil, blend, paint, unshaded_colours
from saccade.data.scenes.textures import Texture, clip_unit, noise

PAPER = np.array((0.97, 0.95, 0.90), np.float32)[:, None, None]
_PLAIN = Texture()


@dataclass(frozen=True)
class Drawing:
    """The plain drawing, and the interface of the others.

    prepare: changes the background, float32 (3 y x), 0 to 1, in place. paint: draws one object over the canvas.
    finish: changes the whole picture, float32 (3 y x), 0 to 255, in place.
    """

    name: ClassVar[str] = "plain"
    ranges: ClassVar[Sequence[tuple[float, float]]] = ()  # of the parameters

    @classmethod
    def draw(cls, stream: RandomStream) -> Self:
        """One with random parameters."""
        return cls(*(stream.uniform(low, high) for low, high in cls.ranges))

    def prepare(self, canvas: np.ndarray, unit: float) -> None: ...

    def paint(self, canvas: np.ndarray, item: Item, drawn: Stencil, light: Light, unit: float) -> None:
        paint(canvas, item, drawn, light)

    def finish(self, canvas: np.ndarray, unit: float) -> None: ...


@dataclass(frozen=True)
class Outline(Drawing):
    """Flat colours with a contour, as in a cartoon.

    ink: brightness of the contour, 0 to 1. thickness: 1 to 2.4. textured: the texture of objects stays.
    """

    name: ClassVar[str] = "outline"
    ink: float
    thickness: float
    textured: bool

    @classmethod
    def draw(cls, stream: RandomStream) -> Self:
        ink = stream.uniform(0.0, 0.22) if stream.bernoulli(0.7) else stream.uniform(0.9, 1.0)
        return cls(ink, stream.uniform(1.0, 2.4), stream.bernoulli(0.5))

    def paint(self, canvas: np.ndarray, item: Item, drawn: Stencil, light: Light, unit: float) -> None:
        under = canvas[:, drawn.window[0], drawn.window[1]]
        blend(under, unshaded_colours(item if self.textured else _untextured(item), drawn), drawn.alpha)
        thickness = min(self.thickness * unit, 0.3 * item.radius)
        inner = min(thickness / 2, 0.07 * item.radius)  # more would hide the colour of a ring
        outer = min(thickness - inner, 0.06 * item.radius + 2)  # the room of a stencil
        middle, half = (outer - inner) / 2, (inner + outer) / 2
        blend(under, np.array(self.ink, np.float32), clip_unit(half + 0.5 - np.abs(drawn.distance - middle)))


@dataclass(frozen=True)
class Gloss(Drawing):
    """Raised, shiny objects.

    bevel: width of the slope at the outline, in radii, 0.3 to 0.8. shading: difference of light and dark side, 0.3 to
    0.6. shine: of the highlight, 0.6 to 1. tangent: tangent of half the angle of the light, -0.8 to 0.8 around "above".
    """

    name: ClassVar[str] = "gloss"
    ranges: ClassVar[Sequence[tuple[float, float]]] = ((0.3, 0.8), (0.3, 0.6), (0.6, 1), (-0.8, 0.8))
    bevel: float
    shading: float
    shine: float
    tangent: float

    def paint(self, canvas: np.ndarray, item: Item, drawn: Stencil, light: Light, unit: float) -> None:
        up, across = angle_from_tangent(self.tangent)
        slope = _slope_to(drawn.distance, across, -up)
        deepest = max(1.0, float(-drawn.distance.min()))
        depth = clip_unit(-drawn.distance * (1 / min(deepest, max(2.0, self.bevel * item.radius))))
        lit = slope * (1 - depth * depth)
        colour = unshaded_colours(_untextured(item), drawn) * (1.05 + self.shading * lit)
        bright = clip_unit((lit - 0.4) * 2.5) * clip_unit(depth * 3)
        colour = colour + (bright * self.shine) * (1 - colour)
        under = canvas[:, drawn.window[0], drawn.window[1]]
        under *= 1 - 0.45 * clip_unit(0.5 - (drawn.distance - 1) * (0.4 / max(1.0, unit)))  # a soft dark halo
        blend(under, np.minimum(colour, 1), drawn.alpha)


@dataclass(frozen=True)
class Hatching(Drawing):
    """Objects filled with parallel strokes, with a fine dark contour.

    tangent: tangent of half the angle of the strokes, -1 to 1, which is -90 to 90 degrees. spacing: of the strokes, 2.5
    to 4.5, and at least 2.5 pixels of any picture. share: of a period that a stroke covers, 0.3 to 0.5. ink: -1 to 1:
    strokes darker (negative) or lighter than the object by this factor. crossed: a second set at a right angle.
    """

    name: ClassVar[str] = "hatching"
    tangent: float
    spacing: float
    share: float
    ink: float
    crossed: bool

    @classmethod
    def draw(cls, stream: RandomStream) -> Self:
        ink = -stream.uniform(0.4, 0.65) if stream.bernoulli(0.6) else stream.uniform(0.3, 0.5)
        tangent, spacing, share = stream.uniform(-1, 1), stream.uniform(2.5, 4.5), stream.uniform(0.3, 0.5)
        return cls(tangent, spacing, share, ink, stream.bernoulli(0.3))

    def paint(self, canvas: np.ndarray, item: Item, drawn: Stencil, light: Light, unit: float) -> None:
        colour = unshaded_colours(_untextured(item), drawn)
        ink = -abs(self.ink) if self.ink > 0 and colour.min() > 0.8 else self.ink  # white on white would not be seen
        stroke = colour * (1 + ink) if ink < 0 else colour + ink * (1 - colour)
        cosine, sine = angle_from_tangent(self.tangent)
        lines = self._lines(drawn, cosine, sine, unit)
        if self.crossed:
            lines = np.maximum(lines, self._lines(drawn, -sine, cosine, unit))
        under = canvas[:, drawn.window[0], drawn.window[1]]
        hatched = colour + lines * (stroke - colour)
        contour = clip_unit(drawn.distance * (1 / max(1.0, 0.6 * unit)) + 1)
        blend(under, hatched * (1 - 0.6 * contour), drawn.alpha)

    def _lines(self, drawn: Stencil, cosine: float, sine: float, unit: float) -> np.ndarray:
        """Coverage by strokes along (cosine, sine), (y x). All objects share them, as on one sheet."""
        rows, columns = drawn.window
        spacing = max(2.5, self.spacing * unit)
        x = (np.arange(columns.start, columns.stop, dtype=np.float32) + 0.5) * (sine / spacing)
        y = ((np.arange(rows.start, rows.stop, dtype=np.float32) + 0.5) * (cosine / spacing))[:, None]
        phase = y - x
        away = np.abs(phase - np.floor(phase) - 0.5)
        return clip_unit((self.share / 2 - away) * spacing + 0.5)


@dataclass(frozen=True)
class Mosaic(Drawing):
    """A mosaic of square cells of one colour. cell: 2 to 3.4. levels: of each channel, 8 to 20."""

    name: ClassVar[str] = "pixels"
    ranges: ClassVar[Sequence[tuple[float, float]]] = ((2, 3.4), (8, 20))
    cell: float
    levels: float

    def finish(self, canvas: np.ndarray, unit: float) -> None:
        _, height, width = canvas.shape
        rows, columns = (_starts(length, max(2.0, self.cell * unit)) for length in (height, width))
        sums = np.add.reduceat(canvas.astype(np.int32), rows, axis=1)  # of integers, exact in any order
        sums = np.add.reduceat(sums, columns, axis=2)
        tall, wide = np.diff(rows, append=height), np.diff(columns, append=width)
        means = sums.astype(np.float32) / (tall[:, None] * wide).astype(np.float32)
        step = np.float32(255 / (self.levels - 1))
        means = np.minimum(np.floor(means / step + np.float32(0.5)) * step, 255)
        canvas[...] = means.repeat(tall, axis=1).repeat(wide, axis=2)


@dataclass(frozen=True)
class Watercolour(Drawing):
    """Watercolour: soft edges, thin paint with darker rims, the grain of paper.

    softness: width of edges, 1 to 2.5. paleness: how much paper shows through, 0.1 to 0.35. grain: 0.06 to 0.2.
    place: where on the sheet, 0 to 1.
    """

    name: ClassVar[str] = "wash"
    softness: float
    paleness: float
    grain: float
    place: tuple[float, float]

    @classmethod
    def draw(cls, stream: RandomStream) -> Self:
        softness, paleness = stream.uniform(1, 2.5), stream.uniform(0.1, 0.35)
        return cls(softness, paleness, stream.uniform(0.06, 0.2), (stream.unit_uniform(), stream.unit_uniform()))

    def prepare(self, canvas: np.ndarray, unit: float) -> None:
        canvas += (0.45 + self.paleness) * (PAPER - canvas)

    def paint(self, canvas: np.ndarray, item: Item, drawn: Stencil, light: Light, unit: float) -> None:
        softness = max(1.0, min(self.softness * unit, 0.3 * item.radius))
        rim = clip_unit(1 + (drawn.distance + softness * 0.3) * (1.2 / softness))
        height, width = drawn.distance.shape
        cloud = noise(height, width, self.place)
        thin = clip_unit(self.paleness * (1.2 + 1.5 * cloud) - 0.25 * rim)
        colour = unshaded_colours(_untextured(item), drawn)
        colour = (colour + thin * (PAPER - colour)) * (1 - 0.2 * rim)
        blend(canvas[:, drawn.window[0], drawn.window[1]], colour, clip_unit(0.5 - drawn.distance * (1 / softness)))

    def finish(self, canvas: np.ndarray, unit: float) -> None:
        _, height, width = canvas.shape
        fine, soft = noise(height, width, self.place, fine=True), noise(height, width, self.place)
        canvas *= np.minimum(1 - self.grain * (0.5 * fine + 0.5 * soft + 0.2), 1)


DRAWINGS: tuple[type[Drawing], ...] = (Drawing, Outline, Gloss, Hatching, Mosaic, Watercolour)


def _untextured(item: Item) -> Item:
    return item if item.texture.kind == "plain" else replace(item, texture=_PLAIN)


def _slope_to(distance: np.ndarray, across: float, down: float) -> np.ndarray:
    """How much the outline faces (across, down): the directional derivative of the distance, -1 to 1."""
    padded = np.pad(distance, 1, mode="edge")
    dx = (padded[1:-1, 2:] - padded[1:-1, :-2]) * 0.5
    dy = (padded[2:, 1:-1] - padded[:-2, 1:-1]) * 0.5
    return np.minimum(np.maximum(dx * across + dy * down, -1), 1)


def _starts(length: int, cell: float) -> np.ndarray:
    """First pixels of cells of `cell` pixels on average, each at least one pixel."""
    return np.floor(np.arange(int((length - 1) / cell) + 1) * cell).astype(np.int64)
