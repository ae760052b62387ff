"""Regions of a picture to paint anew, for inpainting and outpainting."""

import numpy as np

from saccade.data.scenes.scenes import Scene
from saccade.data.scenes.stream import Stream
from saccade.data.scenes.textures import noise
from saccade.errors import DataError


def draw_hole(size: tuple[int, int], stream: Stream, scene: Scene | None = None) -> np.ndarray:
    """A random region, bool (y x), true where the picture is painted anew. It is neither empty nor everything.

    It is a rectangle, a blob, a strip along one border or all four (outpainting), or, with a scene, the bounding box of
    one of its objects with a margin.

    Args:
        size: (height, width) in pixels.
        scene: a scene of that size.

    Raises:
        DataError: a side under 2 pixels, or a scene of another size.
    """
    if min(size) < 2:
        raise DataError(f"a hole in {size[1]} x {size[0]} pixels was requested; sides of 2 or more pixels expected")
    if scene is not None and scene.objects.size != tuple(size):
        height, width = scene.objects.size
        raise DataError(
            f"the scene has {width} x {height} pixels; {size[1]} x {size[0]}, the size of the hole, expected"
        )
    while True:
        hole = _draw(size, stream, scene)
        if hole.any() and not hole.all():
            return hole


def _draw(size: tuple[int, int], stream: Stream, scene: Scene | None) -> np.ndarray:
    if scene is not None and len(scene.objects.boxes) and stream.bernoulli(0.4):
        return _object(size, stream, scene)
    return stream.choice((_rectangle, _blob, _strip))(size, stream)


def _rectangle(size: tuple[int, int], stream: Stream) -> np.ndarray:
    hole = np.zeros(size, bool)
    rows, columns = (_span(length, stream) for length in size)
    hole[rows, columns] = True
    return hole


def _span(length: int, stream: Stream) -> slice:
    """From a fifth to four fifths of a side, anywhere."""
    covered = max(1, int(length * stream.uniform(0.2, 0.8)))
    start = stream.integer(length - covered + 1)
    return slice(start, start + covered)


def _blob(size: tuple[int, int], stream: Stream) -> np.ndarray:
    """Discs with a ragged outline, one to four of them, that overlap or not."""
    height, width = size
    side = min(size)
    y, x = np.arange(height, dtype=np.float32)[:, None], np.arange(width, dtype=np.float32)
    ragged = noise(height, width, (stream.unit(), stream.unit()))
    hole = np.zeros(size, bool)
    for _ in range(1 + stream.integer(4)):
        across, down = x - width * stream.unit(), y - height * stream.unit()
        radius = side * stream.uniform(0.1, 0.32)
        hole |= across * across + down * down < (radius * radius) * (1 + 1.5 * ragged)
    return hole


def _strip(size: tuple[int, int], stream: Stream) -> np.ndarray:
    """All that is beyond a line near one border, or a margin along all four."""
    if stream.bernoulli(0.3):
        top, left, bottom, right = (max(1, int(length * stream.uniform(0.05, 0.3))) for length in (*size, *size))
        hole = np.ones(size, bool)
        hole[top : size[0] - bottom, left : size[1] - right] = False
        return hole
    hole = np.zeros(size, bool)
    turned = hole.T if stream.bernoulli(0.5) else hole
    depth = max(1, int(len(turned) * stream.uniform(0.15, 0.7)))
    turned[slice(None, depth) if stream.bernoulli(0.5) else slice(-depth, None)] = True
    return hole


def _object(size: tuple[int, int], stream: Stream, scene: Scene) -> np.ndarray:
    """The bounding box of one object, a tenth to a half larger at each side, by at least two pixels."""
    left, top, right, bottom = stream.choice(scene.objects.boxes.int().tolist())
    wide, tall = (max(2, int(side * stream.uniform(0.1, 0.5))) for side in (right - left, bottom - top))
    hole = np.zeros(size, bool)
    hole[max(0, top - tall) : bottom + tall, max(0, left - wide) : right + wide] = True
    return hole
