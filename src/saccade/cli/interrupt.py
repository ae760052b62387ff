"""Ctrl-C and other signals that end a command."""

import atexit
import gc
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_HANGUP = [signal.SIGHUP] if hasattr(signal, "SIGHUP") else []
_ENDING = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated", **dict.fromkeys(_HANGUP, "the terminal closed")}


class Terminated(KeyboardInterrupt):
    """Raised on SIGTERM and SIGHUP, so that a command removes what it has half written, as on Ctrl-C."""

    def __init__(self, number: int):
        super().__init__(_ENDING[signal.Signals(number)])
        self.number = number


@contextmanager
def raise_on_sigterm() -> Iterator[None]:
    """Inside, SIGTERM and SIGHUP raise Terminated, and SIGUSR1, which saves the state of a training run, does nothing
    else."""
    with _handling(dict.fromkeys((signal.SIGTERM, *_HANGUP), _terminate) | _IGNORED, {signal.SIG_DFL}):
        yield


@contextmanager
def exit_on_signal() -> Iterator[None]:
    """Inside, Ctrl-C, SIGTERM and SIGHUP end the process at once with one line; for code that imports modules.

    An exception would not do: libraries catch it while they are imported, or print pages of traceback.
    """
    with _handling(dict.fromkeys(_ENDING, _exit), {signal.default_int_handler, _terminate, signal.SIG_DFL}):
        yield


def import_torch() -> None:
    """Import PyTorch. A command calls this once its arguments are known to be right.

    The hundred thousands of objects of its modules live until the end: they are kept from the garbage collector, which
    would look through all of them several times, most thoroughly at the exit.
    """
    collecting = gc.isenabled()
    gc.disable()
    with exit_on_signal():
        import torch  # noqa: F401
    gc.freeze()
    if collecting:
        gc.enable()
    atexit.register(gc.freeze)


@contextmanager
def _handling(handlers: dict[Any, Any], instead_of: set[Any]) -> Iterator[None]:
    """Handle signals inside the context, where one of these handlers is in place; otherwise the caller handles them."""
    before: dict[int, Any] = {}
    try:
        for number, handler in handlers.items():
            if signal.getsignal(number) in instead_of:
                before[number] = signal.signal(number, handler)
    except ValueError:  # only the main thread can set handlers, and only it is interrupted
        pass
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _terminate(number: int, frame: Any) -> None:
    signal.signal(number, signal.SIG_IGN)  # it may come twice: to the process, and to its group
    raise Terminated(number)


def _exit(number: int, frame: Any) -> None:
    os.write(2, f"saccade: {_ENDING[signal.Signals(number)]}\n".encode())
    os._exit(128 + number)


_IGNORED = {signal.SIGUSR1: signal.SIG_IGN} if hasattr(signal, "SIGUSR1") else {}
