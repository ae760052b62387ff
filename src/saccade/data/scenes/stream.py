"""Random numbers of a scene: the same on any machine and with any numpy.

Everything in this folder that decides a pixel or a box uses only operations that IEEE 754 rounds in one way: + - * /,
square root, comparison, floor. numpy's sin, cos, exp and power have other last digits on other processors, sums of
floats another order; so angles are pairs (cosine, sine) from the rational parametrisation of the circle, and only
integers are summed. Of numpy's generators only the raw 64-bit stream is used: that one is promised not to change.
"""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")
Turn = tuple[float, float]  # cosine and sine of an angle; y grows downwards, so a positive angle turns clockwise
_BLOCK = 192


class Stream:
    """Draws from the stream that belongs to `seed` and `key`."""

    def __init__(self, seed: int, *key: int):
        self._source = np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key))
        self._ready: list[float] = []

    def unit(self) -> float:
        """A number from 0 to below 1."""
        if not self._ready:
            self._ready = ((self._source.random_raw(_BLOCK) >> np.uint64(11)) * 2.0**-53).tolist()
        return self._ready.pop()

    def uniform(self, low: float, high: float) -> float:
        return low + (high - low) * self.unit()

    def integer(self, count: int) -> int:
        """An integer from 0 to count - 1."""
        return int(self.unit() * count)

    def bernoulli(self, share: float) -> bool:
        return self.unit() < share

    def choice(self, values: Sequence[T]) -> T:
        return values[self.integer(len(values))]

    def turn(self, widest: float = 1.0) -> Turn:
        """An angle between -90 and 90 degrees times `widest`, about evenly."""
        return turn(self.uniform(-widest, widest))

    def any_turn(self) -> Turn:
        """An angle of the whole circle."""
        cosine, sine = self.turn()
        return (cosine, sine) if self.bernoulli(0.5) else (-cosine, -sine)


def turn(tangent: float) -> Turn:
    """The angle whose half has this tangent."""
    square = tangent * tangent
    return (1 - square) / (1 + square), 2 * tangent / (1 + square)


def uniform_array(seed: int, *shape: int) -> np.ndarray:
    """float32 (shape), from -1 to below 1."""
    count = int(np.prod(shape))
    raw = np.random.PCG64(np.random.SeedSequence(seed)).random_raw(count) >> np.uint64(40)
    return (raw.astype(np.float32) * np.float32(2.0**-23) - np.float32(1)).reshape(shape)
