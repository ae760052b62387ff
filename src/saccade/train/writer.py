"""States are written in the background, while the run goes on."""

from collections.abc import Callable
from threading import Event, Thread
from typing import Any

from saccade.train.state import State

Version = tuple[int, ...]


class StateWriter:
    """Writes one state at a time, in a thread of its own. A version is what the run has done so far, such as (updates,
    updates before the last validation).

    Args:
        copy: from the fields of a state to a copy of the run as it is; called in the thread. The run is not changed
            before `wait_for_copy`.
        write: writes it.
    """

    def __init__(self, copy: Callable[[dict[str, Any]], State], write: Callable[[State], None]):
        self._copy, self._write = copy, write
        self._written: Version = ()
        self._thread: Thread | None = None
        self._copied = Event()
        self._error: BaseException | None = None

    @property
    def busy(self) -> bool:
        """Whether a state is being written."""
        return self._thread is not None and self._thread.is_alive()

    def start(self, version: Version, fields: dict[str, Any]) -> bool:
        """Begin to write this version. False if another one is being written."""
        if self.busy:
            return False
        self._copied.clear()
        # a daemon does not hold up a process that a second signal ends
        self._thread = Thread(target=self._run, args=(version, fields), daemon=True)
        self._thread.start()
        return True

    def wait_for_copy(self) -> None:
        """Wait until the run may change. Raises the error of a state that could not be written."""
        if self._thread is not None:
            self._copied.wait()
        self._raise()

    def finish(self, version: Version, fields: dict[str, Any]) -> None:
        """Return when this version is written. Raises the error if it could not be."""
        if self._thread is not None:
            self._thread.join()
        self._raise()
        if self._written != version:
            self.start(version, fields)
            self.finish(version, fields)

    def _run(self, version: Version, fields: dict[str, Any]) -> None:
        try:
            try:
                state = self._copy(fields)
            finally:
                self._copied.set()
            self._write(state)
            self._written = version
        except BaseException as error:  # raised in the run, by `wait_for_copy` or `finish`
            self._error = error

    def _raise(self) -> None:
        if self._error is not None:
            error, self._error = self._error, None
            raise error
