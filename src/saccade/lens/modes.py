"""What looks on while torch functions run in this thread: taken off for a while."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch.overrides import TorchFunctionMode, _get_current_function_mode_stack, _pop_mode, _push_mode
from torch.utils._python_dispatch import _disable_current_modes


@contextmanager
def without(unwanted: Callable[[TorchFunctionMode], bool]) -> Iterator[None]:
    """Take some function modes off the stack for a while."""
    modes = _get_current_function_mode_stack()
    _set([mode for mode in modes if not unwanted(mode)])
    try:
        yield
    finally:
        _set(modes)


@contextmanager
def quietly() -> Iterator[None]:
    """Compute something beside the model: without gradients, unseen by other watches and modes."""
    with torch.no_grad(), unseen():
        yield


@contextmanager
def unseen() -> Iterator[None]:
    """The same with gradients, where they are on."""
    with torch._C.DisableTorchFunction(), _disable_current_modes():
        yield


def _set(modes: Sequence[TorchFunctionMode]) -> None:
    for _ in _get_current_function_mode_stack():
        _pop_mode()
    for mode in modes:
        _push_mode(mode)
