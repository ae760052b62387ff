"""Which axes of an attention call are its heads, and whether its tokens are places of a picture at all."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from torch import Tensor

from saccade.lens.attention.args import AttentionArgs

UNKNOWN = "which of the axes before its tokens is that of the heads cannot be determined (windows, frames)"
CROSS_FRAME = "all pictures of the batch attend to the sources of one (cross-frame attention)"
CHANNELS = "its tokens are channels, and their width is the places of the picture (channel attention)"


def with_heads(
    arguments: AttentionArgs, count: int | None, merged: tuple[int, int] | None, given: Sequence[Tensor]
) -> tuple[AttentionArgs, int | None, str]:
    """The same call with the axis of its heads before that of its tokens.

    count: how many heads there are, if the module that attends says so. merged: (batch, heads), where both were merged
    into the first of three axes. given: the inputs of the module. Returns the axis from which the heads were moved,
    counted from 0, if they were; and why they are not known, "" if they are.
    """
    q = arguments.q
    if q.ndim == 3 and merged and _surely(merged, q, count, given):
        return (
            _each(arguments, lambda t: t.unflatten(0, merged) if t.shape[0] == q.shape[0] else t.unsqueeze(1)),
            None,
            "",
        )
    if q.ndim < 5:
        return arguments, None, ""
    found = [axis for axis in range(1, q.ndim - 2) if q.shape[axis] == count]
    if len(found) != 1:
        return arguments, None, UNKNOWN
    axis, last = found[0], q.ndim - 3
    if axis == last:
        return arguments, None, ""
    return _each(arguments, lambda t: t.movedim(axis, last) if t.ndim == q.ndim else t), axis, ""


def heads_last(arguments: AttentionArgs, count: int | None) -> list[int]:
    """The axes before the tokens of a call of five or more, with that of the heads last; none if it is not known."""
    _, axis, unknown = with_heads(arguments, count, None, ())
    lead = range(arguments.q.ndim - 2)
    axis = lead[-1] if axis is None else axis
    return [] if unknown else [*(i for i in lead if i != axis), axis]


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


def _surely(merged: tuple[int, int], q: Tensor, count: int | None, given: Sequence[Tensor]) -> bool:
    b, h = merged
    if b * h != q.shape[0] or count not in (None, h):
        return False
    first = given[0].shape if given and not given[0].is_nested else ()
    return count == h or (len(first) == 3 and first[0] == b and h * q.shape[2] == first[2])


def _each(arguments: AttentionArgs, change: Callable[[Tensor], Tensor]) -> AttentionArgs:
    mask = arguments.mask if arguments.mask is None or arguments.mask.ndim < 3 else change(arguments.mask)
    return replace(arguments, q=change(arguments.q), k=change(arguments.k), v=change(arguments.v), mask=mask)
