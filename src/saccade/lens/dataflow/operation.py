"""One operation of a running model: its meaning is looked up once, and its tensors are listed once."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from torch import Tensor

from saccade.lens.dataflow.meanings import MEANINGS


class Operation:
    """A function that a model calls, or is about to call.

    func, args, kwargs: the call. out: what it returned. name: what PyTorch calls the function. does: what it does, a
    key of `meanings.AS_FUNCTIONS`; None for all others.
    """

    __slots__ = ("_given", "_results", "args", "does", "func", "kwargs", "name", "out")

    def __init__(self, func: Callable, args: tuple, kwargs: dict, out: Any = None) -> None:
        self.func, self.args, self.kwargs, self.out = func, args, kwargs, out
        self.name, self.does = _known(func)
        self._given: list[Tensor] | None = None
        self._results: list[Tensor] | None = None

    @property
    def given(self) -> list[Tensor]:
        """The tensors among its arguments, lists and tuples of them included."""
        if (given := self._given) is None:
            given = self._given = tensors(self.args, self.kwargs)
        return given

    @property
    def results(self) -> list[Tensor]:
        """The tensors that it returned."""
        if self._results is None:
            self._results = [self.out] if isinstance(self.out, Tensor) else tensors((self.out,))
        return self._results

    @property
    def changed(self) -> list[Tensor]:
        """The same, or the tensor that x[...] = y wrote into."""
        return tensors(self.args[:1]) if self.out is None else self.results


def tensors(args: tuple, kwargs: dict | None = None) -> list[Tensor]:
    """The tensors among arguments, lists and tuples of them included."""
    found: list[Tensor] = []
    for arg in (*args, *kwargs.values()) if kwargs else args:
        if isinstance(arg, Tensor):
            found.append(arg)
        elif isinstance(arg, (list, tuple)):
            found += [item for item in arg if isinstance(item, Tensor)]
    return found


@lru_cache(maxsize=4096)
def name_of(func: Callable) -> str:
    """What PyTorch calls a function."""
    return str(getattr(func, "__name__", func))


@lru_cache(maxsize=4096)
def _known(func: Callable) -> tuple[str, str | None]:
    """Its name and what it does, looked up once for a function."""
    return name_of(func), MEANINGS.get(func)
