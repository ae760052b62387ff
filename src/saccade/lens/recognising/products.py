"""The product of weights with values: the operation that makes an attention of a softmax, however it is written."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from saccade.lens.notes import joined
from saccade.lens.recognising import patterns
from saccade.lens.recognising.resolve import ResolvedSoftmax, ScoreLayout
from saccade.lens.recognising.scoring import unmodified
from saccade.lens.recognising.softmax_weights import Undo, Weights, redo_axes, undo_axes

UNLAID = "its product with values cannot be brought to its heads"
UNLAID_VALUES = "its values cannot be brought to its heads"


@dataclass(frozen=True, eq=False)
class ResultLayout:
    """How the result of such a product lies. It holds no tensor, so that it may be kept by one.

    weight_axes, result_axes: a letter for each axis of the weights and of the result, as in an einsum. width: those of
    the result that the weights do not have. shape: of the weights; axis: of the weights, that of the sources; undo: see
    `Weights`.
    """

    weight_axes: str
    result_axes: str
    width: str
    shape: tuple[int, ...]
    axis: int
    undo: Undo
    layout: ScoreLayout

    def rows(self, out: Tensor) -> Tensor | None:
        """The result, or its gradient, as (b h n c); None if that cannot be determined."""
        found = undo_axes(
            patterns.einsum_operand_axes(out, self.result_axes, self.weight_axes, self.width), self.shape, self.undo
        )
        if found is None:
            return None
        t = self.layout.folded(self.layout.permuted(found))
        return t.squeeze(3).expand(self.layout.b, self.layout.h, self.layout.n, -1) if t.shape[3] == 1 else None

    def laid_out(self, o: Tensor, like: Tensor) -> Tensor | None:
        """The other way: o (b h n c) as the result, with the dtype and the order in memory of `like`, the model's."""
        order = self.layout.order
        t = self.layout.unfolded(o).unsqueeze(-2)
        found = redo_axes(t.permute(*(order.index(i) for i in range(len(order))), len(order)), self.shape, self.undo)
        if found is None or found.shape[self.axis] != 1:
            return None
        axes = "".join(letter for letter in self.weight_axes if letter in self.result_axes) + self.width
        t = found.reshape([like.shape[self.result_axes.index(letter)] for letter in axes])
        t = t.permute([axes.index(letter) for letter in self.result_axes]).to(like.dtype)
        memory = sorted(range(like.ndim), key=like.stride, reverse=True)
        # a copy, because the kernel may have saved what it returned, and the model may write into what it is given
        t = t.permute(memory).clone(memory_format=torch.contiguous_format)
        return t.permute([memory.index(i) for i in range(like.ndim)])


def whole(w: Float[Tensor, "b h n m"], known: Weights, layout: ScoreLayout) -> Tensor | None:
    """A whole map with the axes of weights that were made of the result of its softmax; None if what was done to those
    is not known."""
    t = layout.unfolded(w).permute([layout.order.index(i) for i in range(len(layout.order))])
    found = redo_axes(t[..., None], known.shape, known.undo)
    return None if found is None else found[..., 0]


@dataclass(frozen=True, eq=False)
class Product:
    """An operation that multiplies weights with values, done or about to be done.

    func, args, kwargs: the operation. weights, values: its operands, with a letter for each of their axes in
    `weight_axes` and `value_axes`, and for each of the result's in `result_axes`, as in an einsum. known: what the
    weights are.
    """

    func: Callable
    args: tuple
    kwargs: dict
    weights: Tensor
    values: Tensor
    weight_axes: str
    value_axes: str
    result_axes: str
    known: Weights
    resolved: ResolvedSoftmax

    @property
    def note(self) -> str:
        """What must be known to read its call, "" as a rule."""
        changed = self.known.changed
        applied = f"weights before {changed}, which the model applies to them" if changed else ""
        return joined(self.resolved.note, self.resolved.layout.unknown, applied)

    @property
    def other_work(self) -> str:
        """What it does besides mixing values by the result of the softmax, "" if nothing."""
        if self.known.changed:
            return f"its weights are changed after the softmax, by {self.known.changed}"
        if self.kwargs.get("out") is not None:
            return "its product with values is written into another tensor"
        if self.func in patterns.ADDING:
            return "its product with values is added to something in the same operation"
        axes = [
            *zip(self.weight_axes, self.weights.shape, strict=True),
            *zip(self.value_axes, self.values.shape, strict=True),
        ]
        source = self.weight_axes[self.known.axis or 0]
        if any(size > 1 and letter not in self.result_axes and letter != source for letter, size in axes):
            return "its product with values is summed over more than the sources"
        return ""

    @property
    def form(self) -> ResultLayout | None:
        """How its result lies; None if it does `other_work`."""
        known, axis = self.known, self.known.axis
        if self.other_work or axis is None:
            return None
        width = "".join(
            letter for letter in self.value_axes if letter in self.result_axes and letter not in self.weight_axes
        )
        return ResultLayout(
            self.weight_axes, self.result_axes, width, known.shape, axis, known.undo, self.resolved.layout
        )

    def sources(self) -> tuple[Tensor, Tensor] | None:
        """k (b g m k) and v (b g m c) of the call; None if the values cannot be brought to its heads."""
        layout = self.resolved.layout
        width = "".join(letter for letter in self.value_axes if letter not in self.weight_axes)
        spread = patterns.einsum_operand_axes(self.values, self.value_axes, self.weight_axes, width)
        if (found := undo_axes(spread, self.known.shape, self.known.undo)) is None:
            return None
        v = layout.permuted(found)
        if any(v.shape[i] != 1 for i in range(layout.lead, v.ndim - 2)):  # other values for each target
            return None
        k, v = self.resolved.k, layout.keys(v)
        g = max(k.shape[1], v.shape[1])
        k, v = (t if t.shape[1] == g else t.repeat_interleave(g // t.shape[1], dim=1) for t in (k, v))
        return k, v


def reason_unknown(w: Weights, axis: int) -> str:
    """Why weights that are multiplied with values over one of their axes are no attention that is known; "" if they
    are."""
    resolved = w.resolved
    if isinstance(resolved, str):
        return resolved
    if w.axis is None:
        return f"what became of its softmax of {resolved.shape} before it met values could not be followed"
    if w.axis != axis:
        return f"its softmax of {resolved.shape} runs over another axis than its product with values"
    if not resolved.used and (resolved.stale or not unmodified(resolved.versions)):
        return f"what its softmax of {resolved.shape} was made of was written into before its values were met"
    return ""


def weights_product(func: Callable, args: tuple, kwargs: dict, operands: patterns.Operands, known: Weights) -> Product:
    """A product with its weights first among the operands. Axes of size 1 along which only the values have more are
    axes of the values."""
    weights, values, own, theirs, made = operands
    for i, letter in enumerate(own):
        if letter in theirs and weights.shape[i] == 1 < values.shape[theirs.index(letter)]:
            own = own.replace(letter, chr(ord("α") + i))
    assert isinstance(known.resolved, ResolvedSoftmax)
    return Product(func, args, kwargs, weights, values, own, theirs, made, known, known.resolved)
