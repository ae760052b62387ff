"""Random numbers of a scene, identical on every machine and with every version of numpy.

Code in this folder that determines a pixel or a box uses only operations that IEEE 754 rounds exactly: + - * /, square
root, comparison, floor. The last digits of numpy's sin, cos, exp and power, and the order of its sums of floats, depend
on the processor; so angles are pairs (cosine, sine) from the rational parametrisation of the circle, and only integers
are summed. Of numpy's generators only the raw 64-bit stream is used, which is guaranteed not to change.
"""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")
Turn = tuple[float, float]  # cosine and sine of an angle; y grows downwards, so a positive angle turns clockwise
_BLOCK = 192


class RandomStream:
    """Draws from the stream that belongs to `seed` and `key`."""

    def __init__(self, seed: int, *key: int):
        self._source = np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key))
        self._ready: list[float] = []

    def unit_uniform(self) -> float:
        """Uniform in [0, 1)."""
        if not self._ready:
            self._ready = ((self._source.random_raw(_BLOCK) >> np.uint64(11)) * 2.0**-53).tolist()
        return self._ready.pop()

    def uniform(self, low: float, high: float) -> float:
        return low + (high - low) * self.unit_uniform()

    def integer(self, count: int) -> int:
        """An integer from 0 to count - 1."""
        return int(self.unit_uniform() * count)

    def bernoulli(self, share: float) -> bool:
        return self.unit_uniform() < share

    def choice(self, values: Sequence[T]) -> T:
        return values[self.integer(len(values))]

    def half_circle_angle(self, widest: float = 1.0) -> Turn:
        """An angle between -90 and 90 degrees times `widest`, approximately uniform."""
        return angle_from_tangent(self.uniform(-widest, widest))

    def full_circle_angle(self) -> Turn:
        """An angle between -180 and 180 degrees."""
        cosine, sine = self.half_circle_angle()
        return (cosine, sine) if self.bernoulli(0.5) else (-cosine, -sine)


def angle_from_tangent(tangent: float) -> Turn:
    """The angle of which `tangent` is the tangent of the half."""
    square = tangent * tangent
    return (1 - square) / (1 + square), 2 * tangent / (1 + square)


def uniform_array(seed: int, *shape: int) -> np.ndarray:
    """Uniform in [-1, 1), float32 of `shape`."""
    count = int(np.prod(shape))
    raw = np.random.PCG64(np.random.SeedSequence(seed)).random_raw(count) >> np.uint64(40)
    return (raw.astype(np.float32) * np.float32(2.0**-23) - np.float32(1)).reshape(shape)
