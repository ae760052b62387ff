"""Attention weighted by the gradient of an output of the model: which tokens that output comes from.

Of each call the map A and its gradient dL/dA = dO Vᵀ are made tile by tile, multiplied, and only their product with a
vector is kept: O(m) numbers a row, never an n x m map.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from saccade import ops
from saccade.errors import SaccadeError
from saccade.lens.trace.call import Call
from saccade.lens.watching.sibling_calls import check_layers


def relevance(encoder: Sequence[Call], decoder: Sequence[Call], r: Float[Tensor, "b n"]) -> Float[Tensor, "b m"]:
    """rᵀR for the relevancy map R of Chefer, Gur & Wolf 2021 ("Generic attention-model explainability for interpreting
    bi-modal and encoder-decoder transformers", section 3).

    Without a decoder: eq. 6, R ← R + Ā R from R = 1, with Ā of eq. 5. With one (self-attention and cross-attention
    calls in their order): eq. 7 and 10 for how the decoder's tokens relate to the encoder's, from R = 0, with the
    normalisation of eq. 8 and 9. Rows of nothing, which those would divide by 0, stay what they are. Since r is one
    row, each product of matrices is a chain of products with vectors.
    """
    if not decoder:
        return r + _rows(encoder, r)
    total: Tensor = torch.zeros(())
    for i, call in reversed(list(enumerate(decoder))):
        if call.kind == "self":
            r = r + _row(call, r)
            continue
        before = [each for each in decoder[:i] if each.kind == "self"]
        both = _columns(before, torch.stack([r, torch.ones_like(r)], dim=-1))  # (R − 1) r and (R − 1) 1
        total = total + _row(call, r + _divided(both[..., 0], both[..., 1]))
    sums = _columns(encoder, torch.ones_like(total)[..., None])[..., 0]
    return total + _rows(encoder, _divided(total, sums))


def legrad(call: Call) -> Float[Tensor, "b m"]:
    """The term of one layer in LeGrad (Bousselham et al. 2024, "LeGrad: an explainability method for vision
    transformers via feature formation sensitivity", 3.2): the mean over heads and targets of (dL/dA)⁺, for each source.

    Its L is the score that the tokens of this very layer get, so the whole of LeGrad is the mean over layers of the
    terms of as many backward passes, each watched with `watch(model, gradients=True)`. After the usual backward pass,
    from the model's own output, the term of the last layer is the paper's.

    Raises SaccadeError unless exactly one backward pass reached the call.
    """
    view = _Sensitivity(call)
    call.walk(view, targets=view.gradient.targets)
    return view.total / (call.shape[1] * call.shape[2])


class _MapGradient:
    """dL/dA of a call, a tile at a time. targets: those of which it is not 0 throughout."""

    def __init__(self, call: Call) -> None:
        if call.gradient is None or call.v is None:
            raise SaccadeError(
                f"{call.name!r} was kept without its values and gradients: watch with "
                "saccade.watch(model, gradients=True) and call .backward() inside the block"
            )
        self.dtype = torch.promote_types(call.q.dtype, torch.float32)
        self._v = call.v.to(self.dtype)
        self._out = call.gradient.value(call.name).to(self._v)
        self.targets = (self._out != 0).any(dim=3).any(dim=1).any(dim=0).nonzero()[:, 0]

    def tile(self, targets: Tensor) -> Float[Tensor, "b h t m"]:
        return ops.score(self._out[:, :, targets], self._v, scale=1.0)


class _Weighted:
    """Products with Ā = mean over heads of (dL/dA ⊙ A)⁺ (eq. 5), as a part of a walk."""

    def __init__(self, call: Call) -> None:
        self.gradient, self._heads = _MapGradient(call), call.shape[1]

    def tile(self, targets: Tensor, weights: Tensor) -> Float[Tensor, "b t m"]:
        return self.gradient.tile(targets).mul_(weights).clamp_min_(0).sum(dim=1) / self._heads


class _Row(_Weighted):
    """rᵀĀ."""

    def __init__(self, call: Call, r: Float[Tensor, "b n"]) -> None:
        super().__init__(call)
        self._r = r
        self.total = torch.zeros(call.shape[0], call.shape[3], dtype=r.dtype, device=r.device)

    def add(self, targets: Tensor, weights: Tensor, logs: Tensor) -> None:
        tile = self.tile(targets, weights).to(self._r.dtype)
        self.total += (self._r[:, None, targets] @ tile)[:, 0]


class _Columns(_Weighted):
    """Ā x."""

    def __init__(self, call: Call, x: Float[Tensor, "b m c"]) -> None:
        super().__init__(call)
        self._x = x
        self.total = torch.zeros(call.shape[0], call.shape[2], x.shape[2], dtype=x.dtype, device=x.device)

    def add(self, targets: Tensor, weights: Tensor, logs: Tensor) -> None:
        self.total[:, targets] = self.tile(targets, weights).to(self._x.dtype) @ self._x


class _Sensitivity:
    """The sum over heads and targets of (dL/dA)⁺."""

    def __init__(self, call: Call) -> None:
        self.gradient = _MapGradient(call)
        self.total = torch.zeros(call.shape[0], call.shape[3], dtype=self.gradient.dtype, device=call.q.device)

    def add(self, targets: Tensor, weights: Tensor, logs: Tensor) -> None:
        self.total += self.gradient.tile(targets).clamp_min_(0).sum(dim=(1, 2))


def _row(call: Call, r: Float[Tensor, "b n"]) -> Float[Tensor, "b m"]:
    view = _Row(call, r)
    met = view.gradient.targets
    call.walk(view, targets=met[(r[:, met] != 0).any(dim=0)])
    return view.total


def _rows(calls: Sequence[Call], r: Float[Tensor, "b n"]) -> Float[Tensor, "b n"]:
    """rᵀ(R − 1), which is smaller than R by far: taken as a sum, so that nothing cancels."""
    more = torch.zeros_like(r)
    for call in reversed(calls):
        more = more + _row(call, r + more)
    return more


def _columns(calls: Sequence[Call], x: Float[Tensor, "b n c"]) -> Float[Tensor, "b n c"]:
    """(R − 1) x."""
    more = torch.zeros_like(x)
    for call in calls:
        view = _Columns(call, x + more)
        call.walk(view, targets=view.gradient.targets)
        more = more + view.total
    return more


def _divided(x: Tensor, by: Tensor) -> Tensor:
    """x / by, and 0 where there is nothing to divide by."""
    return torch.where(by > 0, x / torch.where(by > 0, by, 1.0), 0.0)


def parts(calls: Sequence[Call]) -> tuple[list[Call], list[Call]]:
    """The calls of the encoder, and those of the decoder in their order, distinguished by their numbers of tokens.

    Raises SaccadeError where that cannot tell."""
    odd = next((call for call in calls if call.kind not in ("self", "cross")), None)
    if odd is not None:
        raise SaccadeError(
            f"relevance is defined for self- and cross-attention; {odd!r} is neither: leave it out first"
        )
    cross = [call for call in calls if call.kind == "cross"]
    if len({call.run for call in calls}) > 1:
        raise SaccadeError("relevance needs one forward pass; watch one at a time, or slice the trace")
    sizes = {(call.shape[0], call.shape[2], call.shape[3]) for call in cross}
    if len(sizes) != 1:
        found = ", ".join(f"{n} targets and {m} sources (batch {b})" for b, n, m in sorted(sizes))
        raise SaccadeError(f"relevance needs cross-attention calls of one size; found {found}. Choose some first")
    batch, n, m = next(iter(sizes))
    own = [call for call in calls if call.kind == "self"]
    other = next(
        (call for call in calls if call not in cross and call.shape[::2] not in ((batch, n), (batch, m))), None
    )
    if other is not None:
        raise SaccadeError(
            f"{other!r} is neither of the {n} targets nor of the {m} sources of the cross-attention calls: choose the "
            "calls of one encoder and its decoder first"
        )
    if n == m and own:
        raise SaccadeError(
            f"the decoder has as many tokens as the encoder, {n}, so which self-attention is whose is unknown: "
            "choose the calls of one of them, or of the cross-attention alone, first"
        )
    towers = [[call for call in own if call.shape[2] == size] for size in {m, n}]
    for tower in towers:
        check_layers("relevance", tower)
    return [call for call in own if call.shape[2] == m], [call for call in calls if call.shape[2] == n]
