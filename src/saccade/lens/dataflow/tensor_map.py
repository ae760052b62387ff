"""What is known of tensors, by tensor, as long as each lives."""

from collections.abc import Iterator
from functools import partial
from typing import Generic, TypeVar, overload
from weakref import ref

from torch import Tensor

V = TypeVar("V")


class TensorMap(Generic[V]):
    """A dictionary whose keys are tensors as objects, not their numbers. It keeps none of them alive.

    As `torch.utils.weak.WeakIdKeyDictionary`, but a look-up, of which there are several for every function that a
    watched model calls, compares one number. entries: by identity; the quickest way to see whether there are any.
    """

    def __init__(self) -> None:
        self.entries: dict[int, tuple[ref[Tensor], V]] = {}
        self._forget = self.entries.pop

    def __contains__(self, t: Tensor) -> bool:
        return id(t) in self.entries

    def __getitem__(self, t: Tensor) -> V:
        return self.entries[id(t)][1]

    def __setitem__(self, t: Tensor, value: V) -> None:
        key, entries = id(t), self.entries
        if key in entries:
            entries[key] = entries[key][0], value
        else:
            entries[key] = ref(t, partial(self._forget, key)), value  # called with the reference, which is the default

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[Tensor]:
        return (t for t, _ in self.items())

    @overload
    def get(self, t: Tensor) -> V | None: ...

    @overload
    def get(self, t: Tensor, default: V) -> V: ...

    def get(self, t: Tensor, default: V | None = None) -> V | None:
        """The value of a tensor, or the default."""
        entry = self.entries.get(id(t))
        return default if entry is None else entry[1]

    def pop(self, t: Tensor, default: V | None = None) -> V | None:
        """Forget a tensor. Returns its value, or the default."""
        entry = self.entries.pop(id(t), None)
        return default if entry is None else entry[1]

    def items(self) -> list[tuple[Tensor, V]]:
        """Tensors and values as they are now: the table may be changed meanwhile."""
        return [(t, value) for one, value in list(self.entries.values()) if (t := one()) is not None]
