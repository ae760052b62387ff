"""Memorisation: the nearest training picture of each generated one, beside the nearest picture it never saw.

A generated picture has a ratio: its distance to the nearest training picture over that to the nearest one of as many
held-out pictures. A generator that copies has ratios near 0, one that does not has a median near 1. Distances are root
mean squares over the values, 0 to 1, of all pixels.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

CHUNK = 500  # references compared at once
COPY = 0.5  # ratio below which a picture is likely a copy

Pictures = UInt8[np.ndarray, "n y x 3"]


@dataclass(frozen=True)
class Neighbours:
    """Of each picture the nearest training picture and the nearest unseen one: their indices and distances."""

    seen: Int[np.ndarray, "n"]
    unseen: Int[np.ndarray, "n"]
    seen_distance: Float[np.ndarray, "n"]
    unseen_distance: Float[np.ndarray, "n"]

    @classmethod
    def of(cls, pictures: Pictures, seen: Pictures, unseen: Pictures) -> "Neighbours":
        """seen, unseen: training pictures and others, as many of each, of the size of `pictures`."""
        (i, near), (j, far) = nearest(pictures, seen), nearest(pictures, unseen)
        return cls(i, j, near, far)

    @property
    def ratios(self) -> Float[np.ndarray, "n"]:
        """Distance to the nearest training picture over that to the nearest unseen one."""
        return self.seen_distance / np.maximum(self.unseen_distance, 1e-9)

    @property
    def median(self) -> tuple[float, float, float]:
        """The median ratio and its 95 % interval, from the order of the ratios."""
        ratios, n = np.sort(self.ratios), len(self.ratios)
        reach = 0.98 * math.sqrt(n)
        low, high = max(0, math.floor(n / 2 - reach)), min(n - 1, math.ceil(n / 2 + reach))
        return float(np.median(ratios)), float(ratios[low]), float(ratios[high])

    def __str__(self) -> str:
        median, low, high = self.median
        copies = int((self.ratios < COPY).sum())
        return (
            f"median ratio {median:.3f} ({low:.3f} to {high:.3f}), lowest {self.ratios.min():.3f}, "
            f"below {COPY}: {copies} of {len(self.ratios)}; median distance {np.median(self.seen_distance):.4f} to "
            f"training pictures, {np.median(self.unseen_distance):.4f} to unseen ones"
        )

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "median": self.median,
            "n": len(self.ratios),
            "below": {str(COPY): int((self.ratios < COPY).sum())},
            "ratios": np.round(self.ratios, 4).tolist(),
            "seen distance": np.round(self.seen_distance, 5).tolist(),
            "unseen distance": np.round(self.unseen_distance, 5).tolist(),
        }


def nearest(pictures: Pictures, references: Pictures) -> tuple[Int[np.ndarray, "n"], Float[np.ndarray, "n"]]:
    """Of each picture the index of the nearest reference, and the distance."""
    flat = _flat(pictures)
    best, index = torch.full((len(flat),), torch.inf), torch.zeros(len(flat), dtype=torch.long)
    for first in range(0, len(references), CHUNK):
        found, place = torch.cdist(flat, _flat(references[first : first + CHUNK])).min(dim=1)
        index = torch.where(found < best, place + first, index)
        best = torch.minimum(found, best)
    exact = (flat - _flat(references[index.numpy()])).square().mean(dim=1).sqrt()  # cdist rounds
    return index.numpy(), exact.numpy()


def _flat(pictures: Pictures) -> Float[Tensor, "n p"]:
    return torch.from_numpy(pictures).flatten(1).float() / 255
