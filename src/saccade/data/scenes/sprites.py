"""Pictures of a user's own, with transparency, that stand in scenes as objects."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Sprite:
    name: str
    shade: str
    reach: float = 1.0

    def alpha(self, u: np.ndarray, v: np.ndarray, radius: float) -> np.ndarray:
        raise NotImplementedError

    def colour(self, u: np.ndarray, v: np.ndarray, radius: float) -> np.ndarray:
        raise NotImplementedError
