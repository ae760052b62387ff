"""Scores of a matcher: recall among candidates in both directions, with the towers alone and with the head."""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from saccade.ops.matching import ranks

KS = (1, 5, 10)


def recalls(
    scores: Float[Tensor, "n n"], reversed_scores: Float[Tensor, "n n"] | None = None
) -> dict[str, Bool[Tensor, "n"]]:
    """Whether each picture finds its text ("recall@k"), and each text its picture ("recall@k of pictures"), among the
    first k of all candidates. Pictures are rows, and row i belongs to column i.

    reversed_scores: those by which texts rank pictures, if they are others.
    """
    own = torch.eye(len(scores), dtype=torch.bool)
    texts = ranks(scores, own)
    pictures = ranks((scores if reversed_scores is None else reversed_scores).T, own)
    found = {f"recall@{k}": texts <= k for k in KS}
    return found | {f"recall@{k} of pictures": pictures <= k for k in KS}


def reranked(similarity: Float[Tensor, "b p"], decided: Float[Tensor, "b p"]) -> Float[Tensor, "b p"]:
    """The similarity of the towers, with the pairs that the head decides in front of all others. decided: the head's
    logits, NaN for other pairs."""
    lowest = torch.nan_to_num(decided, nan=math.inf).min()
    behind = similarity - similarity.max() + min(float(lowest), 0.0) - 1
    return torch.where(decided.isnan(), behind, decided)


def interval(correct: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927)."""
    if n == 0:
        return 0.0, 1.0
    share = correct / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)
