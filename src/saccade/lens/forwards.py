"""Stand in for the forward of a module that takes no hooks without running otherwise."""

from collections.abc import Callable
from contextlib import ExitStack
from copy import deepcopy
from typing import Any
from weakref import WeakSet

from torch import nn

from saccade.errors import SaccadeError
from saccade.lens.hooks import PICKLED


class Forward:
    """Called in place of a module's forward. A copy of the module that is made meanwhile has the module's own forward,
    bound to the copy: it must not run the weights of what it was copied from."""

    def __init__(self, module: nn.Module, call: Callable[..., Any]) -> None:
        self._module, self._call, self._before = module, call, module.__dict__.get("forward")
        self.__wrapped__ = module.forward  # inspect.signature shows that
        self._copies: WeakSet[nn.Module] = WeakSet()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._call(*args, **kwargs)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """The copy of the module is under way, without this attribute yet."""
        copy = memo.get(id(self._module))
        if self._before is not None or not isinstance(copy, nn.Module):
            return deepcopy(self._before or self.__wrapped__, memo)
        self._copies.add(copy)
        return copy.forward

    def remove(self) -> None:
        """From the module and what was copied of it; hold on to nothing."""
        if self._before is None:
            del self._module.forward
        else:
            self._module.forward = self._before
        for copy in self._copies:
            if getattr(vars(copy).get("forward"), "__func__", None) is type(copy).forward:  # nobody's own
                del copy.forward
        self._call = self.__wrapped__  # a shallow copy may have it

    def __reduce__(self) -> tuple:
        """For a pickle."""
        raise SaccadeError(PICKLED.format(type(self._module).__name__))


def stand_in(module: nn.Module, call: Callable[..., Any], undo: ExitStack) -> None:
    """Have `call` called in place of a module's forward until `undo` is closed."""
    standing = Forward(module, call)
    module.forward = standing
    undo.callback(standing.remove)
