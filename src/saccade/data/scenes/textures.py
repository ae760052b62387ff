"""Textures, as the fraction of a second tone at each pixel, 0 to 1; tables of noise; and backgrounds: a gradient with
soft blobs, lines, a pattern and noise on it."""

from dataclasses import dataclass
from functools import cache

import numpy as np

from saccade.data.scenes.random_stream import RandomStream, uniform_array

TEXTURES = ("plain", "stripes", "checks", "dots", "noise")
TILE = 512  # period of the tables in pixels
LIGHT, DARK = 0.62, 0.46  # minimum and maximum mean brightness of the gradient's ends of a light and a dark background
PATTERNS = {"stripes": "striped", "checks": "checked", "dots": "dotted"}
BACKGROUNDS = (*PATTERNS.values(), "light", "dark")


@dataclass(frozen=True)
class Texture:
    """kind: one of TEXTURES. pitch: periods in a radius. shift: offset, in periods (for noise, in tiles)."""

    kind: str = "plain"
    pitch: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)


def sample_texture(stream: RandomStream, radius: float) -> Texture:
    """A random texture that is visible on an object of `radius` pixels: its period is at least five pixels."""
    kind = stream.choice(TEXTURES)
    finest = radius / 5
    pitch = min(stream.uniform(1.1, 2.6), finest)
    if pitch < 0.9 and kind != "noise":
        kind = "plain"
    return Texture(kind, pitch, (stream.unit_uniform(), stream.unit_uniform()))


def texture_blend(texture: Texture, u: np.ndarray, v: np.ndarray, radius: float) -> np.ndarray | None:
    """The fraction of the second tone, float32 (y x), 0 to 1; None for a plain texture.

    u, v: coordinates in radii. radius: in pixels, to antialias edges over about one pixel.
    """
    if texture.kind == "plain":
        return None
    if texture.kind == "noise":
        height, width = u.shape
        soft = noise(height, width, texture.shift)
        return _edge(soft * 1.6) * 0.75
    step = radius / texture.pitch  # pixels of a period
    across = _wave(u * texture.pitch + texture.shift[0])
    if texture.kind == "stripes":
        return _edge((across - 0.25) * step)
    down = _wave(v * texture.pitch + texture.shift[1])
    if texture.kind == "checks":
        a, b = _edge((across - 0.25) * step), _edge((down - 0.25) * step)
        return a + b - 2 * a * b
    return _edge((0.31 - np.sqrt(across * across + down * down)) * step)


def _wave(x: np.ndarray) -> np.ndarray:
    """Distance to the nearest centre of a period, 0 to 0.5."""
    return np.abs(x - np.floor(x) - 0.5)


def _edge(pixels: np.ndarray) -> np.ndarray:
    return clip_unit(pixels + 0.5)


def clip_unit(plane: np.ndarray) -> np.ndarray:
    """Clipped to 0 to 1."""
    return np.minimum(np.maximum(plane, 0), 1)


def noise(height: int, width: int, shift: tuple[float, float], fine: bool = False) -> np.ndarray:
    """Noise between -1 and 1, float32 (y x): soft clouds, or grain of single pixels."""
    table = _grain() if fine else _clouds()
    y, x = int(shift[0] * TILE), int(shift[1] * TILE)
    if height <= TILE and width <= TILE:
        return table[y : y + height, x : x + width]
    rows, columns = (np.arange(height) + y) % TILE, (np.arange(width) + x) % TILE
    return table[rows[:, None], columns]


@cache
def _grain() -> np.ndarray:
    """(2 TILE, 2 TILE): the tile repeated along both axes, so that every window is a slice."""
    return np.tile(uniform_array(1, TILE, TILE), (2, 2))


@cache
def _clouds() -> np.ndarray:
    """Value noise of four octaves, repeated along both axes."""
    total = np.zeros((TILE, TILE), np.float32)
    for octave, (cell, weight) in enumerate(((64, 0.4), (32, 0.3), (16, 0.25), (8, 0.2))):
        knots = uniform_array(2 + octave, TILE // cell, TILE // cell)
        total += weight * _stretch(_stretch(knots, cell).T, cell).T
    return np.tile(np.clip(total, -1, 1), (2, 2))


def _stretch(knots: np.ndarray, cell: int) -> np.ndarray:
    """Interpolate between rows of knots, `cell` rows each, by smoothstep (3t² - 2t³); periodic."""
    t = (np.arange(cell, dtype=np.float32) / cell)[None, :, None]
    eased = t * t * (3 - 2 * t)
    rows = knots[:, None, :] + eased * (np.roll(knots, -1, axis=0) - knots)[:, None, :]
    return rows.reshape(-1, knots.shape[1])


def background(stream: RandomStream, height: int, width: int) -> tuple[np.ndarray, str | None]:
    """A muted background, float32 (3 y x), 0 to 1, and its name: one of BACKGROUNDS, or None."""
    side = min(height, width)
    x = (np.arange(width, dtype=np.float32) + 0.5 - width / 2) * (1 / side)
    y = ((np.arange(height, dtype=np.float32) + 0.5 - height / 2) * (1 / side))[:, None]
    near, far = muted(stream), muted(stream)
    across, down = stream.full_circle_angle()
    brightness = (float(near[1, 0, 0]) + float(far[1, 0, 0])) / 2  # green, which contributes most to luminance
    name = "light" if brightness >= LIGHT else "dark" if brightness <= DARK else None
    canvas = near + clip_unit(x * across + y * down + 0.5) * (far - near)
    if stream.bernoulli(0.5):
        for _ in range(1 + stream.integer(4)):
            _blob(canvas, stream, side)
    if stream.bernoulli(0.3):
        name = _pattern(canvas, stream, x, y, side)
    if stream.bernoulli(0.35):
        for _ in range(1 + stream.integer(4)):
            _line(canvas, stream, x, y, side)
    strength = stream.uniform(0.0, 0.35)
    canvas *= 1 + strength * noise(height, width, (stream.unit_uniform(), stream.unit_uniform()))
    return canvas, name


def muted(stream: RandomStream) -> np.ndarray:
    """A greyish colour, (3 1 1)."""
    light = stream.uniform(0.34, 0.76)
    tint = [light + stream.uniform(-0.09, 0.09) for _ in range(3)]
    return np.array(tint, np.float32)[:, None, None]


def _blob(canvas: np.ndarray, stream: RandomStream, side: int) -> None:
    """Draw a soft round patch of another colour."""
    _, height, width = canvas.shape
    radius = side * stream.uniform(0.12, 0.4)
    x, y = stream.unit_uniform() * width, stream.unit_uniform() * height
    top, bottom = max(0, int(y - radius)), min(height, int(y + radius) + 1)
    left, right = max(0, int(x - radius)), min(width, int(x + radius) + 1)
    across = (np.arange(left, right, dtype=np.float32) + 0.5 - x) * (1 / radius)
    down = (np.arange(top, bottom, dtype=np.float32) + 0.5 - y) * (1 / radius)
    inner = np.maximum(1 - (across * across + (down * down)[:, None]), 0)
    under = canvas[:, top:bottom, left:right]
    under += (inner * inner * stream.uniform(0.4, 0.9)) * (muted(stream) - under)


def _line(canvas: np.ndarray, stream: RandomStream, x: np.ndarray, y: np.ndarray, side: int) -> None:
    """Draw a thin, faint straight line across the canvas."""
    across, down = stream.full_circle_angle()
    distance = np.abs(x * across + y * down - stream.uniform(-0.45, 0.45)) * side
    drawn = clip_unit(stream.uniform(0.4, 1.2) * (side / 128) + 0.5 - distance)
    canvas *= 1 + drawn * (stream.uniform(0.1, 0.25) * (1 if stream.bernoulli(0.5) else -1))


def _pattern(canvas: np.ndarray, stream: RandomStream, x: np.ndarray, y: np.ndarray, side: int) -> str:
    """Draw stripes, checks or dots of low contrast. Returns the name of the background."""
    cosine, sine = stream.half_circle_angle(0.5)
    pitch = stream.uniform(4, 9) * min(1.0, side / 64)
    texture = Texture(stream.choice(tuple(PATTERNS)), pitch, (stream.unit_uniform(), stream.unit_uniform()))
    woven = texture_blend(texture, x * cosine + y * sine, y * cosine - x * sine, side)
    assert woven is not None  # none of the three is plain
    canvas *= 1 + woven * (stream.uniform(0.06, 0.16) * (1 if stream.bernoulli(0.5) else -1))
    return PATTERNS[texture.kind]
