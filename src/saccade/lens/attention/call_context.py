"""One attention call on its way to the kernel, through any number of watches and edits.

Watches and edits of one thread form a stack, in the order in which their blocks were entered, and each hands the call
to the next. A watch above an edit must record what the edit made of the call, one below it what kind of call the
model made. So the first of them opens a record of the call, the others find it. Attention that is written as separate
operations is a call only for the edit that recognises it and those below; the others see a product of weights with
values, and look up the edited call by the product's result.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor

from saccade.lens.attention.args import AttentionArgs
from saccade.lens.dataflow.tensor_map import TensorMap


class CallContext:
    """An attention call that is being made. original: its arguments as the model gave them. edited: as the edits so far
    left them."""

    def __init__(self, arguments: AttentionArgs) -> None:
        self.original = self.edited = arguments


class _Current(threading.local):
    def __init__(self) -> None:
        self.call: CallContext | None = None
        self.edited: TensorMap[AttentionArgs] = TensorMap()  # by result, as long as it lives


_current = _Current()


def current_call() -> CallContext | None:
    """The attention call that this thread is making, if any."""
    return _current.call


@contextmanager
def call_context(arguments: AttentionArgs) -> Iterator[CallContext]:
    """The record of the call that is being made, opened here if there is none."""
    if _current.call is not None:
        yield _current.call
        return
    _current.call = CallContext(arguments)
    try:
        yield _current.call
    finally:
        _current.call = None


def set_edited_call(out: Tensor, call: AttentionArgs) -> None:
    """Note the call that an edit made of a product of weights with values, whose result is `out`."""
    _current.edited[out] = call


def find_edited_call(out: Tensor) -> AttentionArgs | None:
    """The call that an edit made of the product with this result; None if no edit changed it."""
    return _current.edited.get(out)
