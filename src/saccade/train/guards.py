"""Context managers for a run: a lock on its folder, graceful interruption, deterministic algorithms."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from saccade.device import Device
from saccade.errors import SaccadeError


@contextmanager
def exclusive_folder(folder: Path, device: Device) -> Iterator[None]:
    """Create the folder of a run and lock it. Raises SaccadeError in all processes if another run holds the lock.

    Two runs in one folder would overwrite each other's states. The operating system releases the lock when the process
    ends, however that happens. The file .lock stays; its presence has no meaning.
    """
    lock, free = FileLock(folder / ".lock"), True
    if device.main:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            free = False
    try:
        if device.sum(torch.tensor(float(free), device=device.device)).item() < device.world:
            raise SaccadeError(
                f"{folder} is in use: another process is training there now. Wait for it, or start a run under "
                "another name"
            )
        yield
    finally:
        lock.release()


@contextmanager
def deterministic(wanted: bool) -> Iterator[None]:
    """Use deterministic algorithms inside the context, if `wanted`; restore the previous setting afterwards."""
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    if wanted:
        torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])


@contextmanager
def stop_requested() -> Iterator[Callable[[], bool]]:
    """Yields a function that returns whether Ctrl-C or SIGTERM was received; a second one stops immediately."""
    received: list[int] = []

    def on_signal(number: int, frame: Any) -> None:
        received.append(number)
        signal.signal(number, before[number])

    try:
        before: dict[int, Any] = {n: signal.signal(n, on_signal) for n in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not in the main thread: whoever runs us handles signals
        before = {}
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
