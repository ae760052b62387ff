"""One attention call on its way to the kernel, through any number of watches and edits.

Watches and edits of one thread form a stack, in the order in which their blocks were entered, and each hands the call
to the next. A watch above an edit must record what the edit made of the call, one below it what kind of call the
model made. So the first of them opens a record of the call, the others find it.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from saccade.lens.shapes import Asked


class Passing:
    """An attention call under way. first: as the model asked for it. last: as the edits passed so far left it."""

    def __init__(self, asked: Asked) -> None:
        self.first = self.last = asked


class _Current(threading.local):
    call: Passing | None = None


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
