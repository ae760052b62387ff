"""What the operations between q·k and the softmax do to scores that are followed, one function a meaning.

Each takes the scores' record, the tensor of scores, and the operation with its arguments and its result, and returns
the record of the result, or None if it is not one that is followed. The record is checked at the softmax, so what an
argument means is read as PyTorch documents it and no further.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from saccade.lens.recognising import patterns
from saccade.lens.recognising.scoring import Scores
from saccade.lens.recognising.sinks import concatenated_scores, padded_scores

Step = Callable[[Scores, Tensor, Callable, tuple, dict, Tensor], Scores | None]


def _times(scores: Scores, t: Tensor, func: Callable, args: tuple, kwargs: dict, out: Tensor) -> Scores | None:
    other = _other(t, args, kwargs)
    return None if other is None else scores.times(other)


def _over(scores: Scores, t: Tensor, func: Callable, args: tuple, kwargs: dict, out: Tensor) -> Scores | None:
    other = _other(t, args, kwargs, commutes=False)
    if other is None or kwargs.get("rounding_mode") is not None:
        return None
    return scores.times(1.0 / (other.double() if isinstance(other, Tensor) and other.numel() == 1 else other))


def _plus(scores: Scores, t: Tensor, func: Callable, args: tuple, kwargs: dict, out: Tensor) -> Scores | None:
    other = _other(t, args, kwargs)
    return None if other is None or kwargs.get("alpha", 1) != 1 else scores.plus(other)


def _minus(scores: Scores, t: Tensor, func: Callable, args: tuple, kwargs: dict, out: Tensor) -> Scores | None:
    other = _other(t, args, kwargs, commutes=False)
    return None if other is None or kwargs.get("alpha", 1) != 1 else scores.plus(other, -1.0)


def _fill(scores: Scores, t: Tensor, func: Callable, args: tuple, kwargs: dict, out: Tensor) -> Scores | None:
    given = dict(zip(("self", "mask", "value"), args, strict=False)) | kwargs
    value = _number(given.get("value"))
    if args[0] is not t or value is None:
        return None
    return scores.filled(given["mask"].bool(), value)


def _where(scores: Scores, t: Tensor, func: Callable, args: tuple, kwargs: dict, out: Tensor) -> Scores | None:
    given = dict(zip(("condition", "input", "other"), args, strict=False)) | kwargs
    return _chosen(scores, t, given.get("condition"), given.get("input", given.get("self")), given.get("other"))


def _choose(scores: Scores, t: Tensor, func: Callable, args: tuple, kwargs: dict, out: Tensor) -> Scores | None:
    given = dict(zip(("self", "condition", "other"), args, strict=False)) | kwargs
    return _chosen(scores, t, given.get("condition"), given.get("self"), given.get("other"))


def _chosen(scores: Scores, t: Tensor, condition: Any, yes: Any, no: Any) -> Scores | None:
    if condition is t or (value := _number(no if yes is t else yes)) is None:
        return None
    return scores.filled(~condition if yes is t else condition, value)


def _same(scores: Scores, t: Tensor, func: Callable, args: tuple, kwargs: dict, out: Tensor) -> Scores | None:
    return scores if args[0] is t else None  # not x.type_as(scores)


def _clamp(scores: Scores, t: Tensor, func: Callable, args: tuple, kwargs: dict, out: Tensor) -> Scores | None:
    """Followed where it changes nothing, which is the rule for clamps against overflow."""
    return scores if out is not t and args[0] is t and torch.equal(t, out) else None


def _reshape(scores: Scores, t: Tensor, func: Callable, args: tuple, kwargs: dict, out: Tensor) -> Scores | None:
    return scores.reshaped(out.shape) if args[0] is t else None


def _index(scores: Scores, t: Tensor, func: Callable, args: tuple, kwargs: dict, out: Tensor) -> Scores | None:
    """Followed where it only adds or drops axes of size 1: x[None], x[..., None]."""
    return scores.reshaped(out.shape) if patterns.only_adds_axes(args, t, out) else None


def _expand(scores: Scores, t: Tensor, func: Callable, args: tuple, kwargs: dict, out: Tensor) -> Scores | None:
    return scores.broadcast(out.shape) if args[0] is t else None


def _permute(scores: Scores, t: Tensor, func: Callable, args: tuple, kwargs: dict, out: Tensor) -> Scores | None:
    order = patterns.axis_order(func, args, kwargs, t.ndim)
    return None if order is None else scores.permuted(order)


STEPS: dict[str | None, Step] = {
    "times": _times, "over": _over, "plus": _plus, "minus": _minus, "fill": _fill, "where": _where, "choose": _choose,
    "same": _same, "clamp": _clamp, "reshape": _reshape, "index": _index, "expand": _expand, "permute": _permute,
    "concat": concatenated_scores, "pad": padded_scores,
}  # fmt: skip


def _other(t: Tensor, args: tuple, kwargs: dict, commutes: bool = True) -> Tensor | float | None:
    """What the scores are combined with; None if that is not a number or a tensor of numbers on their device."""
    a, b = patterns.two_operands(args, kwargs, "input", "self", "other")
    if not (a is t or (commutes and b is t)):
        return None
    other = b if a is t else a
    if isinstance(other, Tensor):
        fits = not (other.is_complex() or other.is_nested or other.is_meta)
        return other if fits and (other.device == t.device or other.ndim == 0) else None
    return other if isinstance(other, (int, float)) else None


def _number(value: Any) -> float | None:
    """The number that a value is everywhere."""
    if isinstance(value, Tensor):
        if not value.numel() or value.is_meta:
            return None
        low, high = (float(end) for end in torch.aminmax(value.detach().float()))
        return low if low == high else None
    return float(value) if isinstance(value, (int, float)) else None
