"""Precision and recall of generated pictures (Kynkäänniemi et al. 2019, Improved Precision and Recall Metric for
Assessing Generative Models, section 2)."""

from dataclasses import dataclass
from typing import Any, Self

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from saccade.errors import SaccadeError
from saccade.tasks.judge.scores import Share

K = 3  # neighbours, as in the paper
CHUNK = 500  # rows of distances at once


@dataclass(frozen=True)
class PrecisionRecall:
    """Shares of two sets that lie on each other's manifold: the union of the balls around a set's features, each as
    large as the distance to its k-th nearest neighbour in the set.

    Both depend on the number of pictures: compare figures of equal n only.

    Attributes:
        precision: generated pictures on the manifold of the real ones: what is painted is plausible.
        recall: real pictures on the manifold of the generated ones: what is real can be painted.
    """

    precision: Share
    recall: Share

    @classmethod
    def of(cls, generated: Float[Tensor, "n d"], real: Float[Tensor, "m d"], k: int = K) -> Self:
        """From features. Raises SaccadeError for k or fewer pictures in a set, and for features that are not finite."""
        return cls(_share(on_manifold(generated, real, k)), _share(on_manifold(real, generated, k)))

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        shares = {"precision": self.precision, "recall": self.recall}
        return {name: {"value": s.value, "interval": s.interval, "n": s.n} for name, s in shares.items()}


def on_manifold(points: Float[Tensor, "n d"], support: Float[Tensor, "m d"], k: int = K) -> Bool[Tensor, "n"]:
    """Whether each point is in the ball of a point of `support` (equation 1). Raises as `PrecisionRecall.of`."""
    if not 1 <= k < len(support):
        raise SaccadeError(
            f"the {k}th neighbour among {len(support)} pictures: more than {max(1, k)} pictures expected"
        )
    if not (points.isfinite().all() and support.isfinite().all()):
        raise SaccadeError("features are not numbers: the encoder's weights are damaged")
    # A point is the nearest neighbour of itself, so that the k-th other one is the (k + 1)-th.
    radii = torch.cat([_distances(part, support).kthvalue(k + 1, dim=1).values for part in support.split(CHUNK)])
    return torch.cat([(_distances(part, support) <= radii).any(dim=1) for part in points.split(CHUNK)])


def _distances(a: Float[Tensor, "n d"], b: Float[Tensor, "m d"]) -> Float[Tensor, "n m"]:
    """Without the matrix product of cdist, which rounds the distance of equal points to more than 0."""
    return torch.cdist(a.double(), b.double(), compute_mode="donot_use_mm_for_euclid_dist")


def _share(inside: Bool[Tensor, "n"]) -> Share:
    return Share(int(inside.sum()), len(inside))
