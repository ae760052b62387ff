"""Function modes of the running thread."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from torch.overrides import TorchFunctionMode, _get_current_function_mode_stack, _pop_mode, _push_mode


@contextmanager
def without(unwanted: Callable[[TorchFunctionMode], bool]) -> Iterator[None]:
    """Take some function modes off the stack for a while."""
    modes = _get_current_function_mode_stack()
    _set([mode for mode in modes if not unwanted(mode)])
    try:
        yield
    finally:
        _set(modes)


def _set(modes: Sequence[TorchFunctionMode]) -> None:
    for _ in _get_current_function_mode_stack():
        _pop_mode()
    for mode in modes:
        _push_mode(mode)
