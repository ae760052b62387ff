"""Ctrl-C while the library is still being loaded."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def interruptible() -> Iterator[None]:
    """While inside, Ctrl-C ends the process at once with exit code 130 and one line.

    An exception would not do: libraries that are being imported catch it, or end in several pages of traceback.
    """
    before = signal.getsignal(signal.SIGINT)
    try:
        if before is signal.default_int_handler:  # else whoever runs us handles it
            signal.signal(signal.SIGINT, _leave)
    except ValueError:  # not in the main thread, which alone is interrupted
        before = None
    try:
        yield
    finally:
        if before is signal.default_int_handler:
            signal.signal(signal.SIGINT, before)


def _leave(number: int, frame: Any) -> None:
    os.write(2, b"saccade: interrupted\n")
    os._exit(130)
