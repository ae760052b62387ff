"""Whole numbers and token numbers as users give them."""

import operator
from collections.abc import Sequence

import torch
from jaxtyping import Int
from torch import Tensor

from saccade.errors import SaccadeError

Indices = int | Sequence[int] | Int[Tensor, "i"]


def whole(value: object, what: str) -> int:
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except (TypeError, RuntimeError) as error:
        raise SaccadeError(f"{what}: expected whole numbers") from error


def indices(idx: Indices, length: int, what: str, name: str) -> Int[Tensor, "i"]:
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
