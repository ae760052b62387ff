"""Textures, as the fraction of a second tone at each pixel, 0 to 1; and tables of noise."""

from dataclasses import dataclass
from functools import cache

import numpy as np

from saccade.data.scenes.stream import Stream, uniform_array

TEXTURES = ("plain", "stripes", "checks", "dots", "noise")
TILE = 512  # period of the tables in pixels


@dataclass(frozen=True)
class Texture:
    """kind: one of TEXTURES. pitch: periods in a radius. shift: offset, in periods (for noise, in tiles)."""

    kind: str = "plain"
    pitch: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)


def draw_texture(stream: Stream, radius: float) -> Texture:
    """A random texture that is visible on an object of `radius` pixels: its period is at least five pixels."""
    kind = stream.choice(TEXTURES)
    finest = radius / 5
    pitch = min(stream.uniform(1.1, 2.6), finest)
    if pitch < 0.9 and kind != "noise":
        kind = "plain"
    return Texture(kind, pitch, (stream.unit(), stream.unit()))


def weave(texture: Texture, u: np.ndarray, v: np.ndarray, radius: float) -> np.ndarray | None:
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
    return np.minimum(np.maximum(pixels + 0.5, 0), 1)


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
