"""Where queries and keys come from: tells self-attention from cross-attention of equal lengths."""

from collections.abc import Iterator, Sequence
from typing import Any

from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary


class Origins:
    """Which of a module's inputs each tensor was computed from, while the module runs."""

    def __init__(self, inputs: Sequence[Tensor]) -> None:
        numbers: dict[tuple, int] = {}
        self._of: WeakIdKeyDictionary = WeakIdKeyDictionary()
        for t in inputs:
            self._of[t] = frozenset([numbers.setdefault(address(t), len(numbers))])

    def follow(self, args: tuple, kwargs: dict, out: Any) -> None:
        """Note one operation: what it returns comes from all that its arguments come from."""
        found = [self._of[t] for t in tensors(args, kwargs) if t in self._of]
        if not found:
            return
        union = frozenset().union(*found)
        if out is None and args:
            out = args[0]  # x[...] = y
        for t in tensors((out,), {}):
            self._of[t] = union

    def alike(self, q: Tensor, k: Tensor) -> bool:
        """Whether q and k come from the same inputs: one may have fewer than the other (a position added to q
        only), but not each some that the other lacks, nor one none at all (learned queries)."""
        one, other = self._of.get(q, frozenset()), self._of.get(k, frozenset())
        return bool(one) == bool(other) and (one <= other or other <= one)


def token_inputs(args: tuple, kwargs: dict) -> list[Tensor]:
    """The inputs of a module that can be tokens or feature maps: real numbers on two axes or more."""
    every = (*args, *kwargs.values())
    return [t for t in every if isinstance(t, Tensor) and t.ndim >= 2 and t.is_floating_point()]


def address(t: Tensor) -> tuple:
    """Equal for two tensors that show the same memory in the same way."""
    try:
        return t.data_ptr(), tuple(t.shape), t.stride(), t.dtype
    except RuntimeError:  # no memory of its own: within a torch.func transform, fake, nested
        return (id(t),)


def memory(t: Tensor) -> int:
    """Equal for two views of the same memory."""
    try:
        return t.untyped_storage().data_ptr()
    except RuntimeError:
        return id(t)


def tensors(args: tuple, kwargs: dict) -> Iterator[Tensor]:
    """The tensors among the arguments of an operation, lists and tuples of them included."""
    for arg in (*args, *kwargs.values()):
        if isinstance(arg, Tensor):
            yield arg
        elif isinstance(arg, (list, tuple)):
            yield from (item for item in arg if isinstance(item, Tensor))
