"""What holds for the duration of a run: its folder is its own, Ctrl-C asks, algorithms are as wanted."""

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
    """Hold the folder of a run, which is made; refuse if another run holds it, in all processes of this one.

    Two runs in one folder would overwrite each other's states. The lock is the operating system's: it ends with the
    process, however that ends. Its file, .lock, stays, as its being there means nothing.
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
    """Deterministic algorithms while inside, if wanted; afterwards as before."""
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    if wanted:
        torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])


@contextmanager
def stop_requested() -> Iterator[Callable[[], bool]]:
    """While inside, the first Ctrl-C or SIGTERM only asks; a second one stops at once."""
    asked: list[int] = []

    def ask(number: int, frame: Any) -> None:
        asked.append(number)
        signal.signal(number, before[number])

    try:
        before: dict[int, Any] = {n: signal.signal(n, ask) for n in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not in the main thread: whoever runs us handles signals
        before = {}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
