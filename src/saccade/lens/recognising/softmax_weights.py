"""What becomes of the result of a softmax on its way to the values: the same weights in another layout, or others."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from saccade.lens.dataflow.operation import name_of
from saccade.lens.dataflow.origins import memory
from saccade.lens.recognising import patterns
from saccade.lens.recognising.resolve import ResolvedSoftmax
from saccade.lens.recognising.scoring import grouped, regrouped

LOST = ("lost", ())
Undo = tuple[tuple[str, Sequence[int]], ...]


@dataclass(frozen=True, eq=False)
class Weights:
    """The result of a softmax, or what was made of it.

    axis: that of the sources, None if it is lost. resolved: what the softmax was, or why that is not known. changed:
    what made other weights of them. undo: how to undo, first to last, what was done to their axes. version: of the
    tensor, to notice writes through other views of it. others: of other softmaxes that were put together with it.
    """

    shape: tuple[int, ...]
    axis: int | None
    resolved: ResolvedSoftmax | str
    changed: str = ""
    dropped: bool = False  # some were set to 0 at random
    undo: Undo = ()
    version: int = -1
    others: tuple["Weights", ...] = ()
    spread: bool = False  # multiplied by a tensor of more axes, as values are before a sum

    @property
    def softmax(self) -> ResolvedSoftmax | None:
        """What the softmax was, if that is known."""
        return self.resolved if isinstance(self.resolved, ResolvedSoftmax) else None


def unfollowed_use(w: Weights, does: str | None, func: Callable) -> str:
    """How weights that were made of queries and keys meet values in a way that is not followed; "" if they do not."""
    if (
        isinstance(w.resolved, str)
        or w.resolved.used
        or not (does == "other product" or (does == "total" and w.spread))
    ):
        return ""
    return f"softmax of scores {w.resolved.shape}, whose product with values by {shown_name(func)} is not followed"


def weights_after(
    w: Weights, t: Tensor, does: str | None, func: Callable, args: tuple, kwargs: dict, out: Tensor
) -> Weights | None:
    """The weights t after an operation on them; None if its result is not followed."""
    shape = tuple(out.shape)
    if does == "dropout" and args[0] is t:
        return replace(w, dropped=w.dropped or patterns.is_active_dropout(func, args, kwargs))
    if does == "same" and args[0] is t:
        return w
    if does == "expand" and args[0] is t and out.shape[-t.ndim :] == t.shape:
        axis = None if w.axis is None else w.axis + out.ndim - t.ndim
        return w if out.ndim == t.ndim else replace(w, shape=shape, axis=axis, undo=(LOST,))
    if does == "reshape" or (does == "index" and patterns.only_adds_axes(args, t, out)):
        return replace(w, shape=shape, axis=_axis_after(w, shape), undo=(("reshape", w.shape), *w.undo))
    if does == "permute" and (order := patterns.axis_order(func, args, kwargs, t.ndim)):
        axis = None if w.axis is None else order.index(w.axis)
        back = [order.index(i) for i in range(len(order))]
        return replace(w, shape=shape, axis=axis, undo=(("permute", back), *w.undo))
    if does in ("fill", "clamp", "where", "choose") and out is not t and _same_but_not_a_number(t, out):
        return w
    if w.axis is not None and does in ("index", "part") and (axes := _cut(w.axis, t, out)):
        (axis,) = axes
        whole = out.shape[axis] == t.shape[w.axis]  # some heads or targets, of which the weights are the same
        changed = w.changed if whole else w.changed or "a choice of its sources"
        return replace(w, shape=shape, axis=axis, changed=changed, undo=(LOST,))
    if w.axis is not None and out.ndim == t.ndim and out.shape[w.axis] == t.shape[w.axis]:
        undo = w.undo if shape == w.shape else (LOST,)
        spread = w.spread or (does == "times" and out.numel() > t.numel())
        return replace(w, shape=shape, changed=w.changed or shown_name(func), undo=undo, spread=spread)
    return None


def _cut(axis: int, t: Tensor, out: Tensor) -> list[int]:
    """The axis in a view of a part of t that was `axis` in t: that of its stride. Empty if it is not known."""
    if memory(out) != memory(t) or out.dtype != t.dtype:
        return []
    axes = [i for i in range(out.ndim) if out.stride(i) == t.stride(axis) and 1 < out.shape[i] <= t.shape[axis]]
    return axes if len(axes) == 1 else []


def undo_axes(t: Tensor, shape: tuple[int, ...], undo: Undo) -> Tensor | None:
    """A tensor with the axes of weights of some shape and one more, with the axes that the softmax had; None if what
    was done to them cannot be undone."""
    for what, to in undo:
        if what == "lost":
            return None
        if what == "permute":
            t, shape = t.permute(*to, len(to)), tuple(shape[i] for i in to)
        else:
            parts = grouped(shape, to)
            if parts is None:
                return None
            t, shape = regrouped(t, shape, parts, to), tuple(to)
    return t


def redo_axes(t: Tensor, shape: tuple[int, ...], undo: Undo) -> Tensor | None:
    """The other way: a tensor with the axes of the softmax and one more, with those of the weights."""
    shapes = [shape]
    for what, to in undo:
        if what == "lost":
            return None
        shapes.append(tuple(shapes[-1][i] for i in to) if what == "permute" else tuple(to))
    for (what, to), before, after in reversed(list(zip(undo, shapes, shapes[1:], strict=False))):
        if what == "permute":
            t = t.permute(*(list(to).index(i) for i in range(len(to))), len(to))
        else:
            parts = grouped(after, before)
            if parts is None:
                return None
            t = regrouped(t, after, parts, before)
    return t


def shown_name(func: Callable) -> str:
    """An operation as people know it: `mul`, not `__mul__`."""
    return name_of(func).removeprefix("__").removesuffix("__")


def _axis_after(w: Weights, shape: tuple[int, ...]) -> int | None:
    parts = grouped(w.shape, shape)
    for old, new in parts or ():
        if w.axis in old:
            if len(old) == len(new) == 1:
                return new[0]
            large = [j for j in new if shape[j] > 1]
            return large[0] if len(large) == 1 and [i for i in old if w.shape[i] > 1] == [w.axis] else None
    return None


def _same_but_not_a_number(before: Tensor, now: Tensor) -> bool:
    """Whether only what was no number is other: rows that may attend to nothing, set to 0."""
    return before.shape == now.shape and torch.equal(before.nan_to_num(0.0), now.nan_to_num(0.0))
