"""The whole outline of an object of which only a part may be seen, fitted to the pixels of that part."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy.optimize import least_squares

from saccade.data.scenes import shapes
from saccade.tasks.judge.find import FoundObject

ANGLES = 8  # starts over a full turn
WIDE, NARROW = 4.0, 1.0  # pixels over which an outline is softened, at first and at last
ROOM = 4  # pixels around the mask that are compared too


@dataclass(frozen=True)
class Outline:
    """A shape with its centre and radius in pixels and its turn from upright in radians, clockwise."""

    shape: str
    x: float
    y: float
    radius: float
    angle: float

    def mask(self, size: tuple[int, int]) -> Bool[np.ndarray, "y x"]:
        """The pixels of a picture of size (height, width) that it covers, as if nothing were in front of it."""
        return shapes.SHAPES[self.shape](*self._places(*np.indices(size))) <= 0

    def hole(self, size: tuple[int, int]) -> Bool[np.ndarray, "y x"]:
        """The pixels in the hole of a ring or frame; none for other shapes."""
        if self.shape not in shapes.HOLES:
            return np.zeros(size, bool)
        return shapes.hole_distance(self.shape, *self._places(*np.indices(size))) <= 0

    def cover(self, rows: np.ndarray, columns: np.ndarray, softness: float) -> Float[np.ndarray, "n"]:
        """How much of each pixel it covers, from 0 to 1 over `softness` pixels."""
        distance = shapes.SHAPES[self.shape](*self._places(rows, columns)) * self.radius
        return np.clip(0.5 - distance / softness, 0, 1)

    def _places(self, rows: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pixel centres along the shape's own axes, in radii."""
        x, y = (columns + 0.5 - self.x) / self.radius, (rows + 0.5 - self.y) / self.radius
        cosine, sine = np.cos(self.angle), np.sin(self.angle)
        return cosine * x + sine * y, cosine * y - sine * x


def fit_outline(found: FoundObject, others: Bool[np.ndarray, "y x"], angle: float | None = None) -> Outline:
    """The outline whose pixels agree best with the object's mask.

    others: the pixels of other objects, any of which may hide a part of this one; they are not compared.
    angle: where to start, if it is known about how the object is turned; without it, several starts are tried.
    """
    left, top, right, bottom = (int(edge) for edge in found.box)
    window = np.zeros_like(found.mask)
    reach = max(right - left, bottom - top) // 2 + ROOM
    window[max(0, top - reach) : bottom + reach, max(0, left - reach) : right + reach] = True
    rows, columns = np.nonzero(window & ~others)
    target = found.mask[rows, columns].astype(np.float64)
    start = ((left + right) / 2, (top + bottom) / 2, max(right - left, bottom - top) / 2)

    def error(values: np.ndarray, softness: float) -> np.ndarray:
        x, y, radius, angle = values
        return Outline(found.shape, x, y, max(radius, 1.0), angle).cover(rows, columns, softness) - target

    def solve(values: np.ndarray, softness: float, most: int):
        return least_squares(error, values, args=(softness,), x_scale=(1, 1, 1, 0.1), diff_step=1e-3, max_nfev=most)

    count = 1 if found.shape in shapes.ROUND else ANGLES
    angles = [2 * np.pi * i / count for i in range(count)] if angle is None else [angle]
    rough = min((solve(np.array([*start, each]), WIDE, 8) for each in angles), key=lambda result: result.cost)
    x, y, radius, turn = solve(rough.x, NARROW, 20).x
    return Outline(found.shape, float(x), float(y), max(float(radius), 1.0), float(turn))
