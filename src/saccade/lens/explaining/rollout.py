"""Attention rollout (Abnar & Zuidema 2020, section 3): a row of the product of all layers, taken from the last back."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from saccade.errors import SaccadeError
from saccade.lens.indices import index_of
from saccade.lens.trace.call import Call
from saccade.lens.trace.views import Entropy


@dataclass(frozen=True)
class AttentionSummary:
    """What all self-attention calls of a trace do, in their order. rollout (b m); for each call entropy (b h n) in
    nats and mean attention distance (b h) in patches."""

    calls: list[Call]
    rollout: Float[Tensor, "b m"]
    entropy: list[Float[Tensor, "b h n"]]
    distance: list[Float[Tensor, "b h"]]


def rollout(layers: Sequence[Call], r: Float[Tensor, "b n"]) -> Float[Tensor, "b m"]:
    """rᵀA through all layers; see `Trace.rollout`."""
    for call in reversed(layers):
        if call.mask is None:  # every row sums to 1
            r = (r + call.weighted_sum(r).mean(dim=1)) / 2
        else:
            step = _Back(r)
            call.walk(step, targets=(r != 0).any(dim=0).nonzero()[:, 0])
            r = step.row
    return r


def summary(layers: list[Call], r: Float[Tensor, "b n"], grid: tuple[int, int], prefix: int | None) -> AttentionSummary:
    """Rollout, entropy and distance in one walk over each map; see `Trace.summary`."""
    entropy, distance = [], []
    for call in reversed(layers):
        step, spread, reach = _Back(r), Entropy(), call.distance_view(grid, prefix)
        call.walk(step, spread, reach)
        r = step.row
        entropy.append(spread.value())
        distance.append(reach.value())
    return AttentionSummary(layers, r, entropy[::-1], distance[::-1])


Start = int | Int[Tensor, "b"] | Float[Tensor, "n"] | Float[Tensor, "b n"]  # where a chain begins


def starting_row(what: str, token: Start, call: Call) -> Float[Tensor, "b n"]:
    """The row that a chain through all layers begins with, of the last call: a token, a token of each picture, or
    weights over its tokens, for all pictures or for each, scaled to sum to 1. Raises SaccadeError, naming `what` needs
    it, for anything else."""
    b, _, n, _ = call.shape
    dtype = torch.promote_types(call.q.dtype, torch.float32)
    rows = _of_pictures(what, token, b, n)
    return (_weighting(what, token, n).expand(b, n) if rows is None else rows).to(call.q.device, dtype)


def _of_pictures(what: str, token: Start, b: int, n: int) -> Float[Tensor, "b n"] | None:
    """The rows, if they are given for each picture."""
    if index_of(token) is not None:
        return None
    try:
        given = torch.as_tensor(token)
    except (TypeError, ValueError, RuntimeError):
        return None  # _weighting raises
    if given.ndim == 2:
        if given.shape != (b, n):
            raise SaccadeError(f"{what} weights of shape {tuple(given.shape)}: expected ({b}, {n}), or ({n},) for all")
        return torch.stack([_weighting(what, row, n) for row in given.float()])
    whole = given.ndim == 1 and not given.is_floating_point() and given.dtype != torch.bool
    if not whole or len(given) != b:
        return None
    if b == n:
        raise SaccadeError(
            f"{what} of {b} whole numbers: a token of each of the {b} pictures, or weights over the {n} tokens? Give "
            f"weights as ({b}, {n}) numbers with a decimal point"
        )
    return torch.stack([_weighting(what, int(place), n) for place in given])


def _weighting(what: str, token: Start, n: int) -> Float[Tensor, "n"]:
    place = index_of(token)
    if place is not None:
        if not -n <= place < n:
            raise SaccadeError(f"{what} of token {place}: there are {n} tokens, 0 to {n - 1}")
        one = torch.zeros(n)
        one[place] = 1.0
        return one
    try:
        weights = torch.as_tensor(token, dtype=torch.float32)
    except (TypeError, ValueError, RuntimeError) as error:
        raise SaccadeError(f"{what} of {token!r}: expected the index of a token or ({n},) weights over them") from error
    if weights.shape != (n,) or not bool((weights >= 0).all()) or not 0 < float(weights.sum()) < float("inf"):
        raise SaccadeError(
            f"{what} weights of shape {tuple(weights.shape)}: expected ({n},), one a token, 0 or more, not all 0"
        )
    return weights / weights.sum()


class _Back:
    """rᵀA for A = ½·mean over heads + ½·identity, its rows scaled to sum to 1, as a part of a walk."""

    def __init__(self, r: Float[Tensor, "b n"]) -> None:
        self._r, self.row = r, torch.zeros_like(r)

    def add(self, targets: Tensor, weights: Tensor, logs: Tensor) -> None:
        w = weights.to(self.row.dtype)
        heads = w.shape[1]
        # A target that may attend to nothing has weights of 0: then its row of A is the identity alone.
        share = self._r[:, targets] / (1 + w.sum(dim=-1).mean(dim=1))  # (b t)
        self.row[:, targets] += share
        mixed = share[:, None, None, :].expand(-1, heads, -1, -1) @ w / heads  # (b h 1 m)
        self.row += mixed.sum(dim=(1, 2))
