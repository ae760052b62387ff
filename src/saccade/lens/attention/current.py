"""One attention call on its way to the kernel, through any number of watches and edits.

Watches and edits of one thread form a stack, in the order in which their blocks were entered, and each hands the call
to the next. A watch above an edit must record what the edit made of the call, one below it what kind of call the
model made. So the first of them opens a record of the call, the others find it. Attention that is written as separate
operations is a call only for the edit that recognises it and those below; the others see a product of weights with
values, and are told what was made of it by its result.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor

from saccade.lens.attention.args import Asked
from saccade.lens.dataflow.tensor_map import ByTensor


class Passing:
    """An attention call under way. first: as the model asked for it. last: as the edits passed so far left it."""

    def __init__(self, asked: Asked) -> None:
        self.first = self.last = asked


class _Current(threading.local):
    def __init__(self) -> None:
        self.call: Passing | None = None
        self.made: ByTensor[Asked] = ByTensor()  # by result, as long as it lives


_current = _Current()


def under_way() -> Passing | None:
    """The attention call that this thread has under way, if any."""
    return _current.call


@contextmanager
def passing(asked: Asked) -> Iterator[Passing]:
    """The record of the call under way, opened here if there is none."""
    if _current.call is not None:
        yield _current.call
        return
    _current.call = Passing(asked)
    try:
        yield _current.call
    finally:
        _current.call = None


def tell(out: Tensor, made: Asked) -> None:
    """An edit made this call of a product of weights with values, whose result is `out`."""
    _current.made[out] = made


def told(out: Tensor) -> Asked | None:
    """The call that an edit made of the product whose result this is; None if it is that of the model."""
    return _current.made.get(out)
