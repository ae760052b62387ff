"""Rendering of an object: its stencil (which pixels it covers) and its painting (what they look like)."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from saccade.data.scenes import shapes
from saccade.data.scenes.colours import Colour
from saccade.data.scenes.random_stream import Turn
from saccade.data.scenes.sprites import Sprite
from saccade.data.scenes.textures import Texture, clip_unit, texture_blend

Window = tuple[slice, slice]  # rows, columns


@dataclass(frozen=True)
class Item:
    """The random parameters of one object of a scene.

    x, y, radius: centre and radius in pixels. turn: clockwise rotation. tones: the colour and the second colour of the
    texture. colour: name of the colour. sprite: the picture shown in place of a shape.
    """

    name: str
    colour: str
    x: float
    y: float
    radius: float
    turn: Turn
    tones: tuple[Colour, Colour]
    texture: Texture
    sprite: Sprite | None = None

    @property
    def has_hole(self) -> bool:
        """Whether the shape has a hole: a ring or a frame."""
        return self.sprite is None and self.name in shapes.HOLES

    @property
    def enclosing_radius(self) -> float:
        """Radius of the enclosing circle, in pixels."""
        return self.radius * (self.sprite.enclosing_radius if self.sprite else shapes.REACH.get(self.name, 1.01))


@dataclass(frozen=True)
class Light:
    """across, down: unit vector towards the light. strength: of the shading, 0 to 1. shadow: darkness of shadows, 0 to
    1. fall: offset of shadows, in radii. brightness: factor for the whole picture."""

    across: float
    down: float
    strength: float
    shadow: float
    fall: float
    brightness: float


@dataclass(frozen=True)
class Stencil:
    """The pixels of an object, without occlusion, in a window of the picture.

    u, v: coordinates in the object's frame, in radii. distance: signed distance to the outline in pixels, negative
    inside. alpha: coverage of each pixel, 0 to 1. mask: alpha of at least one half. colours: of a sprite (3 y x).
    """

    window: Window
    u: np.ndarray
    v: np.ndarray
    distance: np.ndarray
    alpha: np.ndarray
    mask: np.ndarray
    colours: np.ndarray | None = None


@lru_cache(maxsize=8)
def _centres(count: int) -> np.ndarray:
    """Centres of pixels: 0.5, 1.5, ..."""
    return np.arange(count, dtype=np.float32) + 0.5


def stencil(item: Item, height: int, width: int, light: Light) -> Stencil:
    """The stencil of an object, in a window that contains its shadow."""
    room = item.enclosing_radius + item.radius * light.fall + 3
    top, bottom = max(0, int(item.y - room)), min(height, int(item.y + room) + 1)
    left, right = max(0, int(item.x - room)), min(width, int(item.x + room) + 1)
    scale = 1 / item.radius
    x = (_centres(width)[left:right] - item.x) * scale
    y = ((_centres(height)[top:bottom] - item.y) * scale)[:, None]
    cosine, sine = item.turn
    u, v = cosine * x + sine * y, cosine * y - sine * x
    window = (slice(top, bottom), slice(left, right))
    if item.sprite:
        alpha, colours = item.sprite.sample(u, v, item.radius)
        blurred, _ = item.sprite.sample(u, v, item.radius / 6)  # of a few pixels: an approximate distance
        return Stencil(window, u, v, (1 - 2 * blurred) * _softness(item), alpha, alpha >= 0.5, colours)
    distance = shapes.SHAPES[item.name](u, v) * item.radius
    return Stencil(window, u, v, distance, clip_unit(0.5 - distance), distance <= 0)


def hole_mask(item: Item, drawn: Stencil) -> np.ndarray:
    """Mask of the pixels of the window in the hole of a ring or frame."""
    return shapes.hole_distance(item.name, drawn.u, drawn.v) <= 0


def paint(canvas: np.ndarray, item: Item, drawn: Stencil, light: Light) -> None:
    """Composite the object and its shadow onto the canvas, float32 (3 y x)."""
    under = canvas[:, drawn.window[0], drawn.window[1]]
    under *= 1 - light.shadow * _shadow(item, drawn.distance, light)
    blend(under, unshaded_colours(item, drawn) * _shading(item, drawn, light), drawn.alpha)


def unshaded_colours(item: Item, drawn: Stencil) -> np.ndarray:
    """The object's colours without shading, (3 y x), or (3 1 1) for a plain texture."""
    if drawn.colours is not None:
        return drawn.colours
    first, second = (np.array(tone, np.float32)[:, None, None] for tone in item.tones)
    woven = texture_blend(item.texture, drawn.u, drawn.v, item.radius)
    return first if woven is None else first + woven * (second - first)


def blend(under: np.ndarray, colour: np.ndarray, alpha: np.ndarray) -> None:
    """Composite a colour, broadcastable to (3 y x), over `under` in place; alpha: (y x), 0 to 1."""
    change = colour - under
    change *= alpha
    under += change


def _shading(item: Item, drawn: Stencil, light: Light) -> np.ndarray:
    """Brightness of each pixel of the object: higher towards the light, lower near the outline."""
    cosine, sine = item.turn
    across, down = light.across * cosine + light.down * sine, light.down * cosine - light.across * sine
    lit = drawn.u * (light.strength * across) + drawn.v * (light.strength * down)
    if item.sprite:
        return 1 + lit * 0.5
    rim = max(1.0, item.radius * 0.075)
    edge = clip_unit(drawn.distance * (1 / rim) + 1)
    return 1 + lit - 0.4 * min(1.0, item.radius / 14) * edge * edge  # less for small objects


def _shadow(item: Item, distance: np.ndarray, light: Light) -> np.ndarray:
    """The shadow, 0 to 1: the outline, offset away from the light and blurred."""
    height, width = distance.shape
    fall = item.radius * light.fall
    dx, dy = (int(abs(part) * fall + 0.5) * (1 if part > 0 else -1) for part in (-light.across, -light.down))
    moved = np.full_like(distance, 1e6)
    rows, columns = _overlap(dy, height), _overlap(dx, width)
    moved[rows[0], columns[0]] = distance[rows[1], columns[1]]
    return clip_unit(0.5 - moved * (0.5 / _softness(item)))


def _softness(item: Item) -> float:
    """Half-width of the edge of a shadow, in pixels."""
    return max(2.0, item.radius * 0.16)


def _overlap(shift: int, length: int) -> tuple[slice, slice]:
    """Target and source slices of an array of `length` that is moved by `shift`."""
    if shift >= 0:
        return slice(shift, length), slice(0, length - shift)
    return slice(0, length + shift), slice(-shift, length)
