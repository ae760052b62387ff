"""The shapes as signed distance functions: the distance of a point to the outline, negative inside.

Points are (u, v), u to the right and v downwards, in units of the radius of the upright shape. Distances are exact near
straight and round outlines; at corners they are distances to the line of the nearer edge, which keeps corners sharp.
"""

import math
from collections.abc import Callable

import numpy as np

Distance = Callable[[np.ndarray, np.ndarray], np.ndarray]

# cosines and sines of 36 and 108 degrees, between which the star is mirrored
C36, S36, C108, S108 = 0.8090169943749475, 0.5877852522924731, -0.30901699437494734, 0.9510565162951536
STAR_INNER = 0.46
RING_HOLE, FRAME_HOLE, FRAME = 0.66, 0.60, 0.92


def disc(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return _round(u, v) - 1


def square(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return np.maximum(np.abs(u), np.abs(v)) - 0.86


def triangle(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Three half-planes: the base, and both sides at 60 degrees."""
    return np.maximum(v, np.abs(u) * 0.8660254037844386 - v * 0.5) - 0.56


def star(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Five points. Reflections at 108 and 36 degrees map every point to one tenth, where the outline is one line."""
    x, y = np.abs(u), -v
    for c, s in ((C108, S108), (C36, S36)):
        beyond = 2 * np.maximum(x * c - y * s, 0)
        x, y = x - beyond * c, y + beyond * s
    x = np.abs(x)
    across, down = STAR_INNER * S36, 1 - STAR_INNER * C36  # from the tip (0, 1) to the inner corner
    length = math.sqrt(across * across + down * down)
    return (x * down + (y - 1) * across) / length


def ring(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return np.abs(_round(u, v) - (1 + RING_HOLE) / 2) - (1 - RING_HOLE) / 2


def square_frame(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    far = np.maximum(np.abs(u), np.abs(v))
    return np.abs(far - (FRAME + FRAME_HOLE) / 2) - (FRAME - FRAME_HOLE) / 2


def cross(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    x, y = np.abs(u), np.abs(v)
    return np.maximum(np.minimum(x, y) - 0.3, np.maximum(x, y) - 0.95)


def heart(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """A square on its tip, and a disc on each of its upper edges."""
    half, middle = 0.58, 0.58 * 0.7071067811865476
    x, y = np.abs(u), v - 0.08
    lobe = _round(x - middle, y + middle) - half
    return np.minimum((x + np.abs(y)) * 0.7071067811865476 - half, lobe)


def crescent(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """A disc minus another disc."""
    x = u - 0.22
    return np.maximum(_round(x, v) - 1, 0.82 - _round(x - 0.5, v))


def arrow(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Points up: a triangle of height 1 and half-width 0.8 above a shaft."""
    x = np.abs(u)
    head = np.maximum(x * 0.7808688094430304 - (v + 1) * 0.6246950475544243, v)
    return np.minimum(head, np.maximum(x - 0.28, np.abs(v - 0.42) - 0.53))


SHAPES: dict[str, Distance] = {
    "disc": disc,
    "square": square,
    "triangle": triangle,
    "star": star,
    "ring": ring,
    "frame": square_frame,
    "cross": cross,
    "heart": heart,
    "crescent": crescent,
    "arrow": arrow,
}
# Radius of the enclosing circle of a shape, in radii.
REACH = {"square": 1.22, "triangle": 1.13, "frame": 1.31, "heart": 1.12, "crescent": 1.22}
# Radius of the disc that fits into the hole.
HOLES = {"ring": RING_HOLE, "frame": FRAME_HOLE}
ROUND = ("disc", "ring")  # rotation does not change these


def hole_distance(name: str, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Signed distance to the outline of the hole of a ring or frame."""
    if name == "ring":
        return _round(u, v) - RING_HOLE
    return np.maximum(np.abs(u), np.abs(v)) - FRAME_HOLE


def _round(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return np.sqrt(u * u + v * v)
