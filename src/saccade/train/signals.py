"""Signals to a run: those that end it, and the one that saves its state."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from saccade.errors import SaccadeError

ENDING = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
SAVING = [signal.SIGUSR1] if hasattr(signal, "SIGUSR1") else []
_TWICE = 0.5  # seconds in which SIGTERM and SIGHUP may come twice: to the process, and to its group


class Interrupted(SaccadeError):
    """The run was ended by a signal, and its state is saved."""

    def __init__(self, message: str, number: int):
        super().__init__(message)
        self.exit_code = 128 + number


class Stopped(BaseException):
    """Raised in a run that a signal ends. Not an Exception, so that no library handles it as an error of its own."""

    def __init__(self, number: int):
        super().__init__(number)
        self.number = number


class Signals:
    """What a run does on signals. It is interrupted nowhere but inside `interruptible`, where its state is sound.

    Args:
        save: starts saving the state; called inside `interruptible`.

    Attributes:
        number: of the signal that ends the run; 0 if there was none.
    """

    def __init__(self, save: Callable[[], None]):
        self.number = 0
        self._first = 0.0  # when it came
        self._save, self._save_wanted = save, False
        self._inside, self._ends = False, False
        self._before: dict[int, Any] = {}

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Handle signals inside the context; nothing outside the main thread, where Python does not allow it."""
        try:
            for number in [*ENDING, *SAVING]:
                before = signal.getsignal(number)
                if number != getattr(signal, "SIGHUP", None) or before is not signal.SIG_IGN:  # nohup ignores it
                    self._before[number] = signal.signal(number, self._on_signal)
        except ValueError:  # whoever runs us handles signals
            pass
        try:
            yield
        finally:
            for each, handler in self._before.items():
                signal.signal(each, handler)

    @contextmanager
    def interruptible(self, ends: bool = True) -> Iterator[None]:
        """Inside, signals save the state at once, and those that end the run raise Stopped, if `ends`; so do those that
        came before."""
        try:
            self._inside, self._ends = True, ends
            self._act()
            yield
        finally:
            self._inside = False

    def _on_signal(self, number: int, frame: Any) -> None:
        if number in SAVING:
            self._save_wanted = True
        elif self.number:
            return self._repeated(number)
        else:
            self.number, self._first = number, time.monotonic()
        if self._inside:
            self._act()

    def _act(self) -> None:
        if self.number or self._save_wanted:
            self._save_wanted = False
            self._save()
        if self.number and self._ends:
            raise Stopped(self.number)

    def _repeated(self, number: int) -> None:
        """A second signal ends the process at once, unless it is a copy of the first. torchrun sends a copy of its own,
        another one when the first process has ended, and SIGKILL after 30 seconds."""
        if "TORCHELASTIC_RUN_ID" in os.environ:
            return
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        if time.monotonic() - self._first > _TWICE:
            os._exit(128 + number)
