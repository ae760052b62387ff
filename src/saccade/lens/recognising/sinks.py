"""Attention sinks: scores beside those of q and k, concatenated or padded, whose weights the model drops afterwards.

What they take of a row goes nowhere (Xiao et al. 2024, arXiv 2309.17453; Miller 2023, "Attention is off by one"). In a
record they are sources like the others, with keys of zeros, and their scores are added.
"""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from saccade.lens.dataflow.call_origin import CallOrigin
from saccade.lens.recognising.scoring import Scores

NOTE = "{n} of its {m} sources are scores concatenated to those of q and k: their keys are zeros here"


def concatenated_scores(
    scores: Scores, t: Tensor, func: Callable, args: tuple, kwargs: dict, out: Tensor
) -> Scores | None:
    """The record of scores t that were put together with others along their sources. Loose: what is put together of a
    product and another part may as well be queries."""
    given = dict(zip(("tensors", "dim"), args, strict=False)) | kwargs
    parts, axis = given.get("tensors", ()), given.get("dim", 0)
    if not isinstance(axis, int) or [part is t for part in parts].count(True) != 1:
        return None
    axis %= out.ndim
    if scores.why or scores.roles[axis] != "s" or scores.roles.count("s") != 1:
        return None
    shape, m = tuple(out.shape), t.shape[axis]
    first = sum(part.shape[axis] for part in parts[: next(i for i, part in enumerate(parts) if part is t)])

    def padded(own: Tensor) -> Tensor:
        """Zeros for the other sources around what there is for the followed ones."""
        sizes = [m if i == axis else size for i, size in enumerate(own.shape)]
        before, after = ([n if i == axis else s for i, s in enumerate(sizes)] for n in (first, shape[axis] - first - m))
        return torch.cat([own.new_zeros(before), own.expand(sizes), own.new_zeros(after)], dim=axis)

    others = torch.cat([torch.zeros_like(t) if part is t else part.detach() for part in parts], dim=axis)
    note = NOTE.format(n=shape[axis] - m, m=shape[axis])
    added = (*(padded(term) for term in scores.added), others)
    return replace(
        scores, shape=shape, k=padded(scores.k), added=added, origin=CallOrigin("cross"), note=note, ambiguous=True
    )


def padded_scores(scores: Scores, t: Tensor, func: Callable, args: tuple, kwargs: dict, out: Tensor) -> Scores | None:
    """The same of scores that were padded along their last axis by a number: 0, as a rule, is softmax off by one."""
    given = dict(zip(("input", "pad", "mode", "value"), args, strict=False)) | kwargs
    pad = [*given.get("pad", ())]
    if given.get("mode", "constant") != "constant" or any(pad[2:]) or min(pad, default=-1) < 0:
        return None
    first, last = (out.new_full((*t.shape[:-1], size), given.get("value") or 0.0) for size in pad[:2])
    return concatenated_scores(scores, t, func, ([first, t, last], -1), {}, out)
