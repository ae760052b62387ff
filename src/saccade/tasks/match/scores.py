"""Scores of a matcher: recall among candidates in both directions, with the towers alone and with the head."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from saccade.ops.image_text_matching import ranks
from saccade.tasks.accuracy_intervals import wilson_interval

KS = (1, 5, 10)
_SHUFFLE = 6  # stream of random numbers; candidates and edits of scenes use 4 and 5


def recalls(
    scores: Float[Tensor, "n n"],
    reversed_scores: Float[Tensor, "n n"] | None = None,
    matches: Bool[Tensor, "n n"] | None = None,
) -> dict[str, Bool[Tensor, "n"]]:
    """Whether each picture finds a text of its own ("recall@k"), and each text a picture ("recall@k of pictures"),
    among the first k of all candidates. Pictures are rows.

    reversed_scores: those by which texts rank pictures, if they are others. matches: which texts are true of which
    pictures; default: row i and column i belong together.
    """
    own = torch.eye(len(scores), dtype=torch.bool) if matches is None else matches
    texts = ranks(scores, own)
    pictures = ranks((scores if reversed_scores is None else reversed_scores).T, own.T)
    found = {f"recall@{k}": texts <= k for k in KS}
    return found | {f"recall@{k} of pictures": pictures <= k for k in KS}


def chance(matches: Bool[Tensor, "n n"]) -> dict[str, Float[Tensor, "n"]]:
    """The expectation of `recalls` for a random order of the candidates: of each row the probability that one of its
    matches is among the first k."""
    found = {f"recall@{k}": _chance(matches, k) for k in KS}
    return found | {f"recall@{k} of pictures": _chance(matches.T, k) for k in KS}


def _chance(matches: Bool[Tensor, "n m"], k: int) -> Float[Tensor, "n"]:
    others, candidates = (~matches).sum(dim=1).double(), matches.shape[1]
    missed = [(others - i).clamp(min=0) / (candidates - i) for i in range(min(k, candidates))]
    return 1 - torch.stack(missed).prod(dim=0)


def shuffled(scores: Float[Tensor, "p t"], seed: int) -> Float[Tensor, "p t"]:
    """The scores with the texts in random order: a control that falls to chance."""
    return scores[:, torch.randperm(scores.shape[1], generator=torch.Generator().manual_seed(seed * 8 + _SHUFFLE))]


def summarize_accuracy(parts: Sequence[Tensor]) -> dict[str, Any]:
    """The share of right decisions with its 95 % interval. parts: of each set of candidates, whether each is right."""
    values = torch.cat(list(parts))
    n, correct = len(values), int(values.sum())
    low, high = wilson_interval(correct, n)
    return {"value": correct / n, "low": round(low, 4), "high": round(high, 4), "n": n}


def reranked(similarity: Float[Tensor, "b p"], decided: Float[Tensor, "b p"]) -> Float[Tensor, "b p"]:
    """The similarity of the towers, with the pairs that the head decides in front of all others. decided: the head's
    logits, NaN for other pairs."""
    lowest = torch.nan_to_num(decided, nan=math.inf).min()
    behind = similarity - similarity.max() + min(float(lowest), 0.0) - 1
    return torch.where(decided.isnan(), behind, decided)
