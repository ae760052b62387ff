"""Whole numbers and token numbers as users give them."""

import operator
from collections.abc import Sequence

import torch
from jaxtyping import Int
from torch import Tensor

from saccade.errors import SaccadeError

Indices = int | Sequence[int] | Int[Tensor, "i"]


def whole(value: object, what: str) -> int:
    """A whole number of any library as an int. Raises SaccadeError, with `what` it is, for anything else."""
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except (TypeError, RuntimeError) as error:
        raise SaccadeError(f"{what}: expected whole numbers") from error


def index_of(value: object) -> int | None:
    """The same; None for anything else, lists and tensors of one number included."""
    if getattr(value, "ndim", 0):  # torch takes a list of one for a number
        return None
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except (TypeError, RuntimeError):
        return None


def indices(idx: Indices, length: int, what: str, name: str) -> Int[Tensor, "i"]:
    """Token or head numbers 0 to length − 1, of such as count from the end. Raises SaccadeError for others."""
    try:
        given = torch.as_tensor(idx).reshape(-1)
    except (TypeError, ValueError, RuntimeError) as error:
        raise SaccadeError(f"{what} numbers of {name!r} must be whole numbers, not {idx!r}") from error
    if len(given) and (given.dtype == torch.bool or given.is_floating_point() or given.is_complex()):
        raise SaccadeError(f"{what} numbers of {name!r} must be whole numbers, not {given.dtype}")
    out = given.long()
    if len(out) and not (-length <= int(out.min()) and int(out.max()) < length):
        raise SaccadeError(f"{what} {out.tolist()} of {name!r}: it has {length} {what}s, 0 to {length - 1}")
    return out % length
