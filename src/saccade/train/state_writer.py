"""States are written in the background, while the run goes on."""

from collections.abc import Callable
from queue import SimpleQueue
from threading import Lock, Thread
from types import TracebackType
from typing import Any, Self

from saccade.train.state import State

Version = tuple[int, ...]


class StateWriter:
    """Writes one state at a time, in a thread of its own, inside a context. A version is what the run has done so far,
    such as (updates, updates before the last validation).

    Args:
        copy: from the fields of a state to a copy of the run as it is; called in the thread. The run is not changed
            before `wait_for_copy`.
        write: writes it.
    """

    def __init__(self, copy: Callable[[dict[str, Any]], State], write: Callable[[State], None]):
        self._copy, self._write = copy, write
        self._jobs: SimpleQueue[tuple[Version, dict[str, Any]] | None] = SimpleQueue()
        self._written: Version = ()
        self._copied, self._done = Lock(), Lock()  # held until a state is
        self._error: BaseException | None = None

    def __enter__(self) -> Self:
        # a daemon holds up no process that a second signal ends
        self._thread = Thread(target=self._work, name="state writer", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._jobs.put(None)
        if not isinstance(error, KeyboardInterrupt):
            self._thread.join()  # a daemon that frees tensors while the interpreter ends aborts the process

    def start(self, version: Version, fields: dict[str, Any]) -> bool:
        """Begin to write this version. False if another one is being written.

        Signal handlers may call it, where no other method is running: it waits for no lock, and starts no thread, which
        could be what the handler interrupts."""
        if not self._done.acquire(blocking=False):
            return False
        self._copied.acquire(blocking=False)
        self._jobs.put((version, fields))
        return True

    def wait_for_copy(self) -> None:
        """Wait until the run may change. Raises the error of a state that could not be written."""
        with self._copied:
            self._raise()

    def wait(self) -> None:
        """Return when no state is being written. Raises the error of one that could not be."""
        with self._done:
            self._raise()

    def finish(self, version: Version, fields: dict[str, Any]) -> None:
        """Return when this version is written. Raises the error if it could not be."""
        self.wait()
        if self._written != version:
            self.start(version, fields)
            self.finish(version, fields)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            version, fields = job
            try:
                try:
                    state = self._copy(fields)
                finally:
                    self._copied.release()
                self._write(state)
                self._written = version
            except BaseException as error:  # raised in the run, by `wait_for_copy` or `finish`
                self._error = error
            self._done.release()

    def _raise(self) -> None:
        if self._error is not None:
            error, self._error = self._error, None
            raise error
