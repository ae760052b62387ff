"""Stand in for the forward of a module that takes no hooks without running otherwise."""

import threading
from collections.abc import Callable
from contextlib import ExitStack
from copy import deepcopy
from functools import partial
from typing import Any
from weakref import WeakSet

from torch import nn

from saccade.errors import SaccadeError
from saccade.lens.modules.hooks import PICKLED

Around = Callable[..., Any]  # called with the forward that it stands around, and with the arguments
_changing = threading.Lock()


class Forward:
    """Called in place of a module's forward, by however many blocks, which may end in any order (in several threads).

    A copy of the module that is made meanwhile has the module's own forward, bound to the copy: it must not run the
    weights of what it was copied from.
    """

    def __init__(self, module: nn.Module) -> None:
        self.module, self._own = module, vars(module).get("forward")
        self.__wrapped__ = module.forward  # inspect.signature shows that
        self._around: tuple[Around, ...] = ()
        self._copies: WeakSet[nn.Module] = WeakSet()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        run = self.__wrapped__
        for around in self._around:
            run = partial(around, run)
        return run(*args, **kwargs)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """The copy of the module is under way, without this attribute yet."""
        copy = memo.get(id(self.module))
        if self._own is not None or not isinstance(copy, nn.Module):
            return deepcopy(self.__wrapped__, memo)
        self._copies.add(copy)
        return copy.forward

    def __reduce__(self) -> tuple:
        """For a pickle."""
        raise SaccadeError(PICKLED.format(type(self.module).__name__))

    def add(self, around: Around) -> None:
        """Outside of those that are there."""
        self._around += (around,)

    def remove(self, around: Around) -> None:
        """With the last, from the module and what was copied of it."""
        self._around = tuple(other for other in self._around if other is not around)
        if self._around:
            return
        if vars(self.module).get("forward") is not self:  # somebody has put another in its place
            pass
        elif self._own is None:
            del self.module.forward
        else:
            self.module.forward = self._own
        for copy in self._copies:
            if getattr(vars(copy).get("forward"), "__func__", None) is type(copy).forward:  # nobody's own
                del copy.forward


def patch_forward(module: nn.Module, around: Around, undo: ExitStack) -> None:
    """Have `around` called in place of a module's forward, with that forward first, until `undo` is closed."""
    with _changing:
        there = vars(module).get("forward")
        standing = there if isinstance(there, Forward) and there.module is module else Forward(module)
        module.forward = standing
        standing.add(around)

    def remove() -> None:
        with _changing:
            standing.remove(around)

    undo.callback(remove)
