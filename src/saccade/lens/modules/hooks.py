"""Hooks that stay with one module: copies made of it meanwhile are clean afterwards, and no file holds them."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any
from weakref import ref

from torch import nn
from torch.utils.hooks import RemovableHandle

from saccade.errors import SaccadeError

KEPT_IN = ("_forward_pre_hooks", "_forward_hooks")
FLAGS = ("_forward_pre_hooks_with_kwargs", "_forward_hooks_with_kwargs", "_forward_hooks_always_called")
PICKLED = "a {} cannot be pickled while it is watched or edited: save its state_dict(), or leave the block first"


class Hook:
    """Called as the hook of a module, and of the copies of it that were made meanwhile."""

    def __init__(self, module: nn.Module, call: Callable[..., Any]) -> None:
        self._module: nn.Module | None = module
        self._call: Callable[..., Any] | None = call
        self._handle: RemovableHandle | None = None
        self._copies: list[ref[nn.Module]] = []

    def __call__(self, *args: Any) -> Any:
        return None if self._call is None else self._call(*args)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Hook":
        """The copy of the module is under way, and gets this hook with all the rest."""
        for original in (self._module, *(copy() for copy in self._copies)):
            copy = memo.get(id(original))
            if isinstance(copy, nn.Module):
                self._copies.append(ref(copy))
        return self

    def __reduce__(self) -> tuple:
        """For a pickle."""
        raise SaccadeError(PICKLED.format(type(self._module).__name__))

    def stay(self, handle: RemovableHandle, undo: ExitStack) -> None:
        """Until `undo` is closed."""
        self._handle = handle
        undo.callback(self._remove)

    def _remove(self) -> None:
        """From the module and all copies of it; hold on to nothing."""
        if self._handle is not None:
            self._handle.remove()
        for module in filter(None, (copy() for copy in self._copies)):
            for hooks in (vars(module)[name] for name in KEPT_IN):
                for key in [key for key, hook in hooks.items() if hook is self]:
                    del hooks[key]
                    for flags in FLAGS:
                        vars(module)[flags].pop(key, None)
        self._module = self._call = self._handle = None
        self._copies.clear()


def hook(
    module: nn.Module,
    before: Callable[[nn.Module, tuple, dict], None],
    after: Callable[[nn.Module, tuple, Any], None],
    undo: ExitStack,
) -> None:
    """Have `before` called with the module and what its forward is given, and `after` with what it returns, until
    `undo` is closed."""
    first, last = Hook(module, before), Hook(module, after)
    first.stay(module.register_forward_pre_hook(first, prepend=True, with_kwargs=True), undo)
    # always_call: also when the forward raises
    last.stay(module.register_forward_hook(last, always_call=True), undo)
