"""What looks on while torch functions run in this thread: put on in a context, taken off for a while."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Self

import torch
from torch._C import _len_torch_dispatch_stack
from torch._ops import _len_torch_dispatch_stack_pre_dispatch
from torch.overrides import TorchFunctionMode, _get_current_function_mode_stack, _pop_mode, _push_mode
from torch.utils._python_dispatch import _disable_current_modes

from saccade.errors import SaccadeError

DEEPEST = 64  # watches and edits nested in one another: each makes the call stack of every function deeper
active_blocks: ContextVar[frozenset[int]] = ContextVar("saccade_active_blocks", default=frozenset())


class Mode(TorchFunctionMode):
    """A function mode of a block. It may end before a block that began later, and applies to the context in which the
    block began (`contextvars`) and to those copied from it: of several asyncio tasks to the one that entered it and to
    those that this one creates inside, though they share a thread."""

    def __enter__(self) -> Self:
        if sum(isinstance(mode, Mode) for mode in _get_current_function_mode_stack()) >= DEEPEST:
            raise SaccadeError(f"{DEEPEST} watches and edits are inside one another already; leave some of them first")
        self._entered = threading.get_ident()
        super().__enter__()
        active_blocks.set(active_blocks.get() | {id(self)})
        return self

    def __exit__(self, *error: Any) -> None:
        if threading.get_ident() != self._entered:
            raise SaccadeError("a watch or an edit was left in another thread than it was entered in")
        _set([mode for mode in _get_current_function_mode_stack() if mode is not self])
        active_blocks.set(active_blocks.get() - {id(self)})

    @property
    def active(self) -> bool:
        """Whether the code that is running belongs to the block."""
        return id(self) in active_blocks.get()


@contextmanager
def modes_removed(unwanted: Callable[[TorchFunctionMode], bool]) -> Iterator[None]:
    """Take some function modes off the stack for a while."""
    modes = _get_current_function_mode_stack()
    _set([mode for mode in modes if not unwanted(mode)])
    try:
        yield
    finally:
        _set(modes)


class hidden:
    """Compute something of one's own while a model runs, hidden from other watches and modes; with gradients, where
    they are on. A class, because a generator takes several times as long, and a watch hides a dozen times a softmax."""

    def __enter__(self) -> None:
        self._functions, self._operations = torch._C.DisableTorchFunction(), None
        self._functions.__enter__()
        if _len_torch_dispatch_stack() or _len_torch_dispatch_stack_pre_dispatch():
            self._operations = _disable_current_modes()
            self._operations.__enter__()

    def __exit__(self, *error: Any) -> None:
        try:
            if self._operations is not None:
                self._operations.__exit__(*error)
        finally:
            self._functions.__exit__(*error)


class hidden_no_grad(hidden):
    """The same without gradients."""

    def __enter__(self) -> None:
        super().__enter__()
        self._gradients = torch.is_grad_enabled()
        torch._C._set_grad_enabled(False)

    def __exit__(self, *error: Any) -> None:
        torch._C._set_grad_enabled(self._gradients)
        super().__exit__(*error)


def _set(modes: Sequence[TorchFunctionMode]) -> None:
    for _ in _get_current_function_mode_stack():
        _pop_mode()
    for mode in modes:
        _push_mode(mode)
