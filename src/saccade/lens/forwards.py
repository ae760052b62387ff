"""Stand in for the forward of a module that takes no hooks without running otherwise."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from torch import nn


class Forward:
    """Called in place of a module's forward. A copy of the module that is made meanwhile has the module's own forward,
    bound to the copy: it must not run the weights of what it was copied from."""

    def __init__(self, module: nn.Module, call: Callable[..., Any]) -> None:
        self._module, self._call, self._before = module, call, module.__dict__.get("forward")
        self.__wrapped__ = module.forward  # inspect.signature shows that

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._call(*args, **kwargs)

    def __reduce__(self) -> tuple:
        """How copies and pickles are made: the copy of the module is there by then, without this attribute."""
        return (getattr, (self._module, "forward")) if self._before is None else (_itself, (self._before,))


def stand_in(module: nn.Module, call: Callable[..., Any], undo: ExitStack) -> None:
    """Have `call` called in place of a module's forward until `undo` is closed."""
    before = module.__dict__.get("forward")
    module.forward = Forward(module, call)
    if before is None:
        undo.callback(delattr, module, "forward")
    else:
        undo.callback(setattr, module, "forward", before)


def _itself(forward: Callable[..., Any]) -> Callable[..., Any]:
    return forward
