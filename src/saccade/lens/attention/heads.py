"""Which axes of an attention call are its heads, and whether its tokens are places of a picture at all."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from torch import Tensor

from saccade.lens.attention.args import AttentionArgs
from saccade.lens.modules.declared import heads_of
from saccade.lens.modules.frame import Frame

UNKNOWN = "which of the axes before its tokens is that of the heads cannot be determined (windows, frames)"
FOLDED = "its first axis holds the heads beside the pictures, in an order that cannot be determined"
CROSS_FRAME = "all pictures of the batch attend to the sources of one (cross-frame attention)"
CHANNELS = "its tokens are channels, and their width is the places of the picture (channel attention)"


def with_heads(
    arguments: AttentionArgs, merged: tuple[int, int] | None, frames: Sequence[Frame]
) -> tuple[AttentionArgs, int | None, str]:
    """The same call with its pictures before its heads, and these before its tokens.

    merged: the two axes, batch and heads as a rule, that were merged into the first of three axes. frames: the running
    modules. Returns the axis from which the heads were moved, counted from 0, if they were; and why they are not known,
    "" if they are.
    """
    q, count = arguments.q, heads_of(frames[-1].module)
    if q.ndim == 3:
        return _of_three_axes(arguments, count, merged, frames)
    if q.ndim == 4:
        first, second = q.shape[:2]
        heads = folded_heads(first * second, q.shape[3], frames)
        if heads != first or first == second:
            return arguments, None, FOLDED if heads and second == 1 else ""
        return _each(arguments, lambda t: t[(None,) * (4 - t.ndim)].transpose(0, 1)), 0, ""
    axis, last = _heads_axis(q, count), q.ndim - 3
    if axis is None:
        return arguments, None, UNKNOWN if q.ndim > 4 else ""
    if axis == last:
        return arguments, None, ""
    return _each(arguments, lambda t: t.movedim(axis, last) if t.ndim == q.ndim else t), axis, ""


def _of_three_axes(
    arguments: AttentionArgs, count: int | None, merged: tuple[int, int] | None, frames: Sequence[Frame]
) -> tuple[AttentionArgs, int | None, str]:
    """The same of a call of three axes."""
    size, width = arguments.q.shape[0], arguments.q.shape[2]
    heads = folded_heads(size, width, frames)
    if merged is None or math.prod(merged) != size or heads not in (None, *merged):
        return arguments, None, "" if heads is None else FOLDED
    if heads is None and count != merged[1]:
        return arguments, None, ""
    laid = _each(arguments, lambda t: t.unflatten(0, merged) if t.shape[0] == size else t.unsqueeze(1))
    if heads in (None, merged[1]):
        return laid, None, ""
    return _each(laid, lambda t: t.transpose(0, 1)), 0, ""


def without_heads(note: str) -> bool:
    """Whether the note of a call says that its heads are not known."""
    return UNKNOWN in note or FOLDED in note


def result_with_heads(t: Tensor, axis: int, merged: tuple[int, int] | None, shape: Sequence[int]) -> Tensor:
    """The result of a call, or its gradient, with the axes to which `with_heads` brought its arguments.

    axis: from which that moved the heads. shape: (b, h) of the call; a result of an edited call has them already.
    """
    if t.ndim == 4 and t.shape[:2] == tuple(shape):
        return t
    return (t.unflatten(0, merged) if t.ndim == 3 and merged else t).movedim(axis, -3)


def folded_heads(size: int, width: int, frames: Sequence[Frame]) -> int | None:
    """How many heads of a width make up an axis of this size together with the pictures; None if that is not known.

    The running module, or the one around it, was given the pictures, and says how many heads it has, or its heads make
    up the width of its tokens. Else the running module was given queries in heads.
    """
    known = None
    for frame in reversed(frames[-2:]):
        given = frame.inputs[0] if frame.inputs else None
        if given is None or given.is_nested or given.ndim not in (3, 4) or not len(given) or size % len(given):
            continue
        heads, widths = size // len(given), given.shape[-1:] if given.ndim == 3 else given.shape[1::2]
        if heads == 1:
            continue
        if heads * width in widths or heads == heads_of(frame.module):
            return heads
        if frame is frames[-1] and given.ndim == 4 and given.shape[1::2] == (heads, width):
            known = heads
    return known


def heads_last(arguments: AttentionArgs, count: int | None) -> list[int]:
    """The axes before the tokens of a call of five or more, with that of the heads last; none if it is not known."""
    axis = _heads_axis(arguments.q, count)
    return [] if axis is None else [*(i for i in range(arguments.q.ndim - 2) if i != axis), axis]


def _heads_axis(q: Tensor, count: int | None) -> int | None:
    """The axis of the heads of queries of five axes or more, by their number."""
    found = [axis for axis in range(1, q.ndim - 2) if q.shape[axis] == count]
    return found[0] if len(found) == 1 else None


def attends_over_channels(q: Tensor, k: Tensor, given: Sequence[Tensor]) -> bool:
    """Whether queries (b h n k) are channels: as the module was given its picture, h·n of them and k places, and not
    the other way round."""
    (b, h, n, width), first = q.shape, given[0] if given else None
    if first is None or first.is_nested or first.ndim not in (3, 4) or len(first) != b or n != k.shape[2]:
        return False
    y = first.shape[1:]
    ways = {(y[0], y[1:].numel()), (y[-1], y[:-1].numel())} if first.ndim == 4 else {(y[1], y[0])}  # channels, places
    as_channels = any((h * n, width) == way for way in ways)
    return as_channels and not any((h * width, n) == way for way in ways)


def share_one_source(q: Tensor, k: Tensor) -> bool:
    """Whether the keys (b g m k) of all pictures are those of one, and the queries are not."""
    first = k[:, :1, :1]  # usually one number is enough
    return bool((first == first[:1]).all()) and bool((k == k[:1]).all()) and not bool((q == q[:1]).all())


def _each(arguments: AttentionArgs, change: Callable[[Tensor], Tensor]) -> AttentionArgs:
    mask = arguments.mask if arguments.mask is None or arguments.mask.ndim < 3 else change(arguments.mask)
    return replace(arguments, q=change(arguments.q), k=change(arguments.k), v=change(arguments.v), mask=mask)
