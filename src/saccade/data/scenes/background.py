"""Backgrounds: a gradient with soft blobs, lines, a pattern and noise on it."""

import numpy as np

from saccade.data.scenes.render import clip_unit
from saccade.data.scenes.stream import Stream
from saccade.data.scenes.textures import Texture, noise, weave

LIGHT, DARK = 0.62, 0.46  # minimum and maximum mean brightness of the gradient's ends of a light and a dark background
PATTERNS = {"stripes": "striped", "checks": "checked", "dots": "dotted"}
BACKGROUNDS = (*PATTERNS.values(), "light", "dark")


def background(stream: Stream, height: int, width: int) -> tuple[np.ndarray, str | None]:
    """A muted background, float32 (3 y x), 0 to 1, and its name: one of BACKGROUNDS, or None."""
    side = min(height, width)
    x = (np.arange(width, dtype=np.float32) + 0.5 - width / 2) * (1 / side)
    y = ((np.arange(height, dtype=np.float32) + 0.5 - height / 2) * (1 / side))[:, None]
    near, far = muted(stream), muted(stream)
    across, down = stream.any_turn()
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
    canvas *= 1 + strength * noise(height, width, (stream.unit(), stream.unit()))
    return canvas, name


def muted(stream: Stream) -> np.ndarray:
    """A greyish colour, (3 1 1)."""
    light = stream.uniform(0.34, 0.76)
    tint = [light + stream.uniform(-0.09, 0.09) for _ in range(3)]
    return np.array(tint, np.float32)[:, None, None]


def _blob(canvas: np.ndarray, stream: Stream, side: int) -> None:
    """Draw a soft round patch of another colour."""
    _, height, width = canvas.shape
    radius = side * stream.uniform(0.12, 0.4)
    x, y = stream.unit() * width, stream.unit() * height
    top, bottom = max(0, int(y - radius)), min(height, int(y + radius) + 1)
    left, right = max(0, int(x - radius)), min(width, int(x + radius) + 1)
    across = (np.arange(left, right, dtype=np.float32) + 0.5 - x) * (1 / radius)
    down = (np.arange(top, bottom, dtype=np.float32) + 0.5 - y) * (1 / radius)
    inner = np.maximum(1 - (across * across + (down * down)[:, None]), 0)
    under = canvas[:, top:bottom, left:right]
    under += (inner * inner * stream.uniform(0.4, 0.9)) * (muted(stream) - under)


def _line(canvas: np.ndarray, stream: Stream, x: np.ndarray, y: np.ndarray, side: int) -> None:
    """Draw a thin, faint straight line across the canvas."""
    across, down = stream.any_turn()
    distance = np.abs(x * across + y * down - stream.uniform(-0.45, 0.45)) * side
    drawn = clip_unit(stream.uniform(0.4, 1.2) * (side / 128) + 0.5 - distance)
    canvas *= 1 + drawn * (stream.uniform(0.1, 0.25) * (1 if stream.bernoulli(0.5) else -1))


def _pattern(canvas: np.ndarray, stream: Stream, x: np.ndarray, y: np.ndarray, side: int) -> str:
    """Draw stripes, checks or dots of low contrast. Returns the name of the background."""
    cosine, sine = stream.turn(0.5)
    pitch = stream.uniform(4, 9) * min(1.0, side / 64)
    texture = Texture(stream.choice(tuple(PATTERNS)), pitch, (stream.unit(), stream.unit()))
    woven = weave(texture, x * cosine + y * sine, y * cosine - x * sine, side)
    assert woven is not None  # none of the three is plain
    canvas *= 1 + woven * (stream.uniform(0.06, 0.16) * (1 if stream.bernoulli(0.5) else -1))
    return PATTERNS[texture.kind]
