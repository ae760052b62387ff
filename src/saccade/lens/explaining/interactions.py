"""Which tokens of two inputs answer one another in a dual encoder (CLIP), where none attends to one of the other's.

The score is a product of two embeddings, f·g, each made by a tower of its own: no map holds words against patches.
What can be stated exactly is how much of the score is owed to a word and a patch together.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from saccade.errors import SaccadeError
from saccade.lens.indices import whole

SAME = 1e-2  # of the largest number of an embedding: half precision is off by less, dropout by more
AT_ONCE = 2048  # tokens in one pass: 24 layers of a ViT-L keep about 3 GB of them


@dataclass(frozen=True)
class Tower:
    """One encoder with what goes in.

    encode: takes `given` by name and returns embeddings (b d), not normalised. given: tensors of a batch of one.
    nothing: the same of an empty input (a picture of the mean colour, padding for words), of equal shapes. layer: a
    module whose first argument is the tokens (b n c), such as the last block: at its input they are distinguished.
    """

    encode: Callable[..., Float[Tensor, "b d"]]
    given: Mapping[str, Tensor]
    nothing: Mapping[str, Tensor]
    layer: nn.Module


@dataclass(frozen=True)
class Interactions:
    """values: what each group of text tokens and each token of the picture add to the similarity together; the last
    row is of all text tokens in no group. similarity: the cosine, -1 to 1. shared: what all pairs should sum up to: the
    similarity less what an empty picture or an empty text would have in common with the other. gap: by how much they
    do not, at most, in any row: the error of the integration.
    """

    values: Float[Tensor, "words+1 m"]
    similarity: float
    shared: float
    gap: float


def interactions(picture: Tower, text: Tower, words: Sequence[Sequence[int]], steps: int = 16) -> Interactions:
    """How much of a dual encoder's similarity is owed to each word and each patch together.

    Second-order attributions (Möller, Tilli, Vu & Padó 2025, "Explaining caption-image interactions in CLIP models
    with second-order attributions", section 3): with the tokens x of one input at a layer and r of an empty one,

        w_i = ∫ ∂f/∂x_i (r + α (x − r)) · (x_i − r_i) dα     over α from 0 to 1

    is what token i adds to the embedding f, and all of them add f(x) − f(r) (integrated gradients, Sundararajan et al.
    2017, for each number of f). With u_j of the text likewise, A_ji = u_j · w_i / (|f| |g|), and all of A add up to
    (f − f(r)) · (g − g(r)) / (|f| |g|), which is `shared`. Signed: a pair below 0 speaks against the match.

    The text's u_j are taken forwards, a word at a time, and A backwards from the picture's u_j · f, so that no Jacobian
    is made. words: groups of text tokens, which share none. steps: points of the Gauss-Legendre rule that integrates,
    exact for polynomials of degree 2·steps − 1; `gap` says how far off it is. Early layers need more.

    Raises SaccadeError for tokens that there are not, or that two groups share; for fewer than one step; for a layer
    that does not take tokens (1 n c); for embeddings that are not finite, or of unequal width; and for a model that
    answers otherwise every time (dropout).
    """
    steps = whole(steps, f"steps={steps!r}")
    if steps < 1:
        raise SaccadeError(f"steps={steps}: expected 1 or more points to integrate at")
    rule = np.polynomial.legendre.leggauss(steps)
    nodes, weights = (torch.tensor(values) for values in ((rule[0] + 1) / 2, rule[1] / 2))
    with torch.enable_grad():
        seen, read = _Run(picture), _Run(text)
        groups = _groups(words, read.tokens.shape[1])
        if seen.whole.shape != read.whole.shape:
            raise SaccadeError(
                f"the picture's embedding has {seen.whole.shape[-1]} numbers, the text's {read.whole.shape[-1]}"
            )
        directions = read.added(groups, nodes, weights)
        size = (seen.whole.norm() * read.whole.norm()).clamp(min=torch.finfo(seen.whole.dtype).tiny)
        values = seen.along(directions / size, nodes, weights)
    change, other = seen.whole - seen.empty, read.whole - read.empty
    missing = torch.stack([(values.sum(dim=1) - directions @ change / size).abs().max(),
                           ((directions.sum(dim=0) - other) @ change / size).abs()])  # fmt: skip
    return Interactions(
        values.detach(),
        float(seen.whole @ read.whole / size),
        float(change @ other / size),
        float(missing.max()),
    )


class _Run:
    """A tower, its tokens x and those of an empty input r at the layer (1 n c), and its embeddings (d) of both."""

    def __init__(self, tower: Tower) -> None:
        self._tower = tower
        with torch.no_grad():
            self.tokens, self.whole = self._entered(tower.given)
            self.blank, _ = self._entered(tower.nothing)
            if self.blank.shape != self.tokens.shape:
                raise SaccadeError(
                    f"an empty input has tokens of shape {tuple(self.blank.shape)}, the given one "
                    f"{tuple(self.tokens.shape)}; expected the same"
                )
            self.empty, again = self(self.blank)[0], self(self.tokens)[0]
        if not (self.whole.isfinite().all() and self.empty.isfinite().all()):
            raise SaccadeError("an embedding is not finite: the model's weights are damaged, or its input is")
        if not torch.allclose(again, self.whole, rtol=0, atol=SAME * float(self.whole.abs().max())):
            raise SaccadeError(
                "the same tokens give another embedding when they are put in again: call model.eval() first, so that "
                "no dropout is on"
            )

    def __call__(self, tokens: Float[Tensor, "b n c"]) -> Float[Tensor, "b d"]:
        """Embeddings with these tokens in place of the layer's own."""
        given = {name: each.expand(len(tokens), *each.shape[1:]) for name, each in self._tower.given.items()}
        with _entering(self._tower.layer, lambda _: tokens):
            return self._tower.encode(**given)

    def added(self, groups: list[list[int]], nodes: Tensor, weights: Tensor) -> Float[Tensor, "g d"]:
        """Σ w_i over the tokens of each group: derivatives along x − r of these tokens, forwards."""
        change = self.tokens - self.blank
        out = torch.zeros(len(groups), len(self.whole)).to(self.whole)
        for at, by in self._rule(nodes, weights):
            points = self.blank + at * change
            for g, group in enumerate(groups):
                along = torch.zeros_like(points)
                along[:, group] = change[:, group]
                with sdpa_kernel(SDPBackend.MATH):  # the fused kernels cannot be derived forwards
                    slopes = torch.func.jvp(self, (points,), (along,))[1]
                out[g] += (by * slopes.detach()).sum(dim=0)
        return out

    def along(self, directions: Float[Tensor, "g d"], nodes: Tensor, weights: Tensor) -> Float[Tensor, "g n"]:
        """w_i · direction for every token: derivatives of the embedding in that direction, backwards."""
        change = self.tokens - self.blank
        total = torch.zeros(len(directions), self.tokens.shape[1]).to(self.whole)
        for at, by in self._rule(nodes, weights):
            points = (self.blank + at * change).requires_grad_()
            out = (by * self(points)).sum(dim=0)
            for g, direction in enumerate(directions):
                (slopes,) = torch.autograd.grad(out, points, direction, retain_graph=True)
                total[g] += (slopes * change).sum(dim=(0, 2))
        return total

    def _rule(self, nodes: Tensor, weights: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """The points of integration (b 1 1) and their weights (b 1), as many at once as there is room for."""
        room = max(1, AT_ONCE // self.tokens.shape[1])
        for at, by in zip(nodes.split(room), weights.split(room), strict=True):
            yield at.to(self.tokens)[:, None, None], by.to(self.whole)[:, None]

    def _entered(self, given: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """The tokens with which the layer is entered, and the embedding."""
        entered: list[Tensor] = []

        def keep(tokens: Any) -> Any:
            entered.append(tokens)
            return tokens

        with _entering(self._tower.layer, keep):
            out = self._tower.encode(**given)
        if len(entered) != 1 or not isinstance(entered[0], Tensor) or entered[0].ndim != 3 or len(entered[0]) != 1:
            found = [tuple(each.shape) if isinstance(each, Tensor) else type(each).__name__ for each in entered]
            raise SaccadeError(
                f"{type(self._tower.layer).__name__} was entered with {found or 'nothing'}; expected once, with tokens "
                "(1 n c) as its first argument: choose a block of the encoder"
            )
        return entered[0].detach(), out.detach()[0]


@contextmanager
def _entering(layer: nn.Module, change: Callable[[Any], Any]) -> Iterator[None]:
    """What the layer's first argument is, or becomes, while the block runs."""

    def hook(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if args:
            return (change(args[0]), *args[1:]), kwargs
        name = next(iter(kwargs), None)
        return args, kwargs if name is None else {**kwargs, name: change(kwargs[name])}

    handle = layer.register_forward_pre_hook(hook, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


def _groups(words: Sequence[Sequence[int]], n: int) -> list[list[int]]:
    """The groups, and that of the rest."""
    groups = [[whole(token, f"words {words!r}") for token in each] for each in words]
    named = [token for group in groups for token in group]
    if not all(groups) or len(set(named)) < len(named) or not all(0 <= token < n for token in named):
        raise SaccadeError(f"words {words!r}: expected groups of one token or more, each 0 to {n - 1} and in one alone")
    return [*groups, [token for token in range(n) if token not in set(named)]]
