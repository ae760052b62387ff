"""Scores from which the page of a generated picture computes attention, as few bytes."""

import zlib
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from saccade.studio.page.pack import LARGEST, deflate

QUANTUM = 0.002  # of a score on the page: a weight is off by at most this fraction of itself
ERROR = 0.001  # standard deviation of a score that a page computes from a query and a key


@dataclass(frozen=True)
class PatchGrid:
    """How the patches that are painted lie: `groups` of rows and columns, one after the other. A picture is one group;
    of a film the first frame is one, and then every few frames that share their patches."""

    groups: int
    rows: int
    columns: int

    @property
    def stacked_shape(self) -> tuple[int, int]:
        """(rows, columns) of all groups, one above the other."""
        return self.groups * self.rows, self.columns

    @property
    def group_shape(self) -> tuple[int, int]:
        """(rows, columns) of one group."""
        return self.rows, self.columns


@dataclass(frozen=True)
class PlaceScores:
    """Queries of every patch at several steps and keys of every place of the source pictures, in one layer.

    A page computes from them what a patch attends to inside a source, exp(q·k scale - s), s being the score of the
    source in `WordScores`, of the weight that the source has there.
    """

    queries: Float[Tensor, "s h n k"]
    keys: Float[Tensor, "h m k"]
    scale: float

    def packed_queries(self) -> tuple[bytes, float]:
        """As whole multiples of a quantum, which is the second: by step, head, direction and patch."""
        return _packed(self.queries.transpose(2, 3), self._quantum(self.keys))

    def packed_keys(self) -> tuple[bytes, float]:
        """The same by head, place and direction."""
        return _packed(self.keys, self._quantum(self.queries))

    def _quantum(self, others: Float[Tensor, "... k"]) -> float:
        """With which rounding adds ERROR to a score. others: the other side of the products."""
        return ERROR * 12**0.5 / (self.scale * float(others.norm(dim=-1).max()) + 1e-12)


@dataclass(frozen=True)
class WordScores:
    """Scores of every patch with every word in one layer, at several steps, from which a page computes weights.

    scores: scaled q·k, without the logs of the words' weights in the prompt, which are `bias`; or other numbers with
    the same softmax, and then scale, the factor of q·k, is None. A source picture is one more word, with the log of the
    sum of the exponentials of the scores of its places. tokens: that a patch's weights sum to 1 over. places: of the
    source pictures; None without any.
    """

    name: str
    scores: Float[Tensor, "s h m n"]
    bias: Float[Tensor, "m"]
    scale: float | None
    grid: PatchGrid
    tokens: int
    places: PlaceScores | None = None

    @property
    def weights(self) -> Float[Tensor, "s h m n"]:
        """Of each patch over all words."""
        return (self.scores + self.bias[:, None]).softmax(dim=2)

    def entropy(self) -> Float[Tensor, "s h m"]:
        """Of each word's map, scaled to sum to 1, in nats: 0 (one patch) to log n (uniform)."""
        share = self.weights / self.weights.sum(dim=-1, keepdim=True).clamp(min=1e-30)
        return torch.special.entr(share).sum(dim=-1)

    def packed(self) -> tuple[bytes, dict[str, Any]]:
        """As whole multiples of a quantum: a plane over the patches for each step, head and word."""
        quantum = max(QUANTUM, float(self.scores.abs().max()) / LARGEST)
        planes = (self.scores / quantum).round().flatten(0, 2).to(torch.int32)
        data, kinds, _ = deflate(planes.numpy(), self.grid.stacked_shape)
        return data, {"quantum": quantum, "planes": kinds}


def _packed(numbers: Float[Tensor, "..."], quantum: float) -> tuple[bytes, float]:
    """16 bits each: all low bytes, then all high ones, which compress better apart. The quantum is coarser where
    numbers are too large for it."""
    quantum = max(quantum, float(numbers.abs().max()) / LARGEST)
    whole = (numbers / quantum).round().to(torch.int32).contiguous().numpy().reshape(-1)
    return zlib.compress((whole & 255).astype("u1").tobytes() + (whole >> 8 & 255).astype("u1").tobytes(), 9), quantum
