"""Ctrl-C while modules are being imported."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def interruptible() -> Iterator[None]:
    """Inside, Ctrl-C ends the process at once with exit code 130 and one line.

    An exception would not do: libraries catch it while they are imported, or print pages of traceback.
    """
    before = signal.getsignal(signal.SIGINT)
    try:
        if before is signal.default_int_handler:  # otherwise the caller handles it
            signal.signal(signal.SIGINT, _exit)
    except ValueError:  # only the main thread can set handlers, and only it is interrupted
        before = None
    try:
        yield
    finally:
        if before is signal.default_int_handler:
            signal.signal(signal.SIGINT, before)


def import_library() -> None:
    """Import PyTorch. A command calls this once its arguments are known to be right."""
    with interruptible():
        import torch  # noqa: F401


def _exit(number: int, frame: Any) -> None:
    os.write(2, b"saccade: interrupted\n")
    os._exit(130)
