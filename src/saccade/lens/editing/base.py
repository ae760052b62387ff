"""What edits of attention calls are made of: the base class, where a call is, and the parts of a call."""

import math
import operator
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from saccade import ops
from saccade.errors import SaccadeError
from saccade.lens.attention.args import AttentionArgs

HUGE = -1e4  # masks of this and below shut out: with them weights are 0 in any dtype
Tokens = int | Sequence[int] | Int[Tensor, "i"]


@dataclass(frozen=True)
class Site:
    """Where a call is. name: its module. run: which forward pass within the block. nth, nth_in_run: which call of that
    name within the block and within the run, all from 0. memory: what edits keep until the block ends."""

    name: str
    run: int = 0
    nth: int = 0
    nth_in_run: int = 0
    memory: dict[Any, Any] = field(default_factory=dict)


class Edit(ABC):
    """A rewrite of attention calls; subclass it for an edit of your own.

        class ValueValue(saccade.lens.Edit):  # tokens attend by their values (CLIP Surgery: Li et al. 2023)
            def rewrite(self, arguments, site):
                return dataclasses.replace(arguments, q=arguments.v, k=arguments.v)

    It is given in the places of the library's own edits, alone or in lists, and `limited` restricts it to heads, to
    pictures or to one call. It holds no state of a block, so it may be used in several; `site.memory` does.
    """

    @abstractmethod
    def rewrite(self, arguments: AttentionArgs, site: Site) -> AttentionArgs:
        """The call as the kernel is to see it; `arguments` itself to leave it as it is.

        arguments: q (b h n k), k (b g m k), v (b g m c), a mask broadcastable to (b h n m) or None, scale (None: k^-½)
        and causal; change it by `dataclasses.replace`. site: the module, the run and the call. Raises SaccadeError,
        naming the module, if the edit does not fit the call.
        """


def repeat_kv_heads(arguments: AttentionArgs) -> AttentionArgs:
    """The same call with a head of k and v for every head of q."""
    h = arguments.q.shape[1]
    k, v = (t if t.shape[1] == h else t.repeat_interleave(h // t.shape[1], dim=1) for t in (arguments.k, arguments.v))
    return replace(arguments, k=k, v=v)


def whole_mask(arguments: AttentionArgs) -> Shaped[Tensor, "..."] | None:
    """The mask with causality in it: boolean or float, or None if every target sees every source."""
    if not arguments.causal:
        return arguments.mask
    return restricted_mask(
        arguments.mask, ops.causal_mask(arguments.q.shape[2], arguments.k.shape[2], arguments.q.device)
    )


def restricted_mask(mask: Shaped[Tensor, "..."] | None, allowed: Bool[Tensor, "*b n m"]) -> Shaped[Tensor, "..."]:
    """A mask that lets pass only what `allowed`, broadcastable to (b h n m), does as well."""
    if mask is None:
        return allowed
    return (
        mask & allowed if mask.dtype == torch.bool else minus_infinity_for_huge(mask).masked_fill(~allowed, -math.inf)
    )


def minus_infinity_for_huge(mask: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """The same mask with -inf for huge negative numbers, so that a target left with nothing does not fall back on what
    the model had shut out. Rows of such numbers alone stay as the model has them."""
    out = mask <= HUGE
    return mask.masked_fill(out & ~out.all(dim=-1, keepdim=True), -math.inf)


def as_edits(given: object, where: str) -> list[Edit]:
    """One edit or a sequence of them as a list."""
    edits = []
    for edit in given if isinstance(given, (list, tuple)) else [given]:
        if not isinstance(edit, Edit):
            what = f"the function {edit.__name__}" if hasattr(edit, "__name__") else f"a {type(edit).__name__}"
            raise SaccadeError(f"{where}: {what}; expected an edit such as drop_heads(2), or a list of edits")
        edits.append(edit)
    return edits


def checked_indices(idx: Sequence[int], length: int, what: str, where: str) -> list[int]:
    """Indices 0 to length − 1, each once. Raises SaccadeError for one that is not there."""
    if wrong := [i for i in idx if not -length <= i < length]:
        raise SaccadeError(f"{where}: {what} {wrong[0]}; it has {length} {what}s, 0 to {length - 1}")
    return sorted({i % length for i in idx})


def number(value: object, where: str) -> float:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, RuntimeError) as error:
        raise SaccadeError(f"{where}: a factor of {value!r}; expected a number") from error
    if not math.isfinite(number):
        raise SaccadeError(f"{where}: a factor of {number}; expected a finite number")
    return number


def numbers(given: Any, where: str) -> list[int]:
    values = given.reshape(-1).tolist() if isinstance(given, Tensor) else given
    values = list(values) if isinstance(values, (list, tuple, range)) else [values]
    try:
        numbers = [operator.index(i) for i in values]
    except TypeError as error:
        raise SaccadeError(f"{where} {given!r}; expected whole numbers") from error
    if not numbers or any(isinstance(i, bool) for i in values):
        raise SaccadeError(f"{where} {given!r}; expected at least one whole number")
    return numbers
