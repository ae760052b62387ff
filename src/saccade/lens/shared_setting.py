"""Settings of the whole process that blocks of several threads want at once, and that end in any order."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import torch


class SharedSetting:
    """The first block makes the setting, the last takes it back. make: gives a context manager that does both."""

    def __init__(self, make: Callable[[], AbstractContextManager]) -> None:
        self._make, self._lock, self._blocks = make, threading.Lock(), 0
        self._setting: AbstractContextManager | None = None

    @contextmanager
    def __call__(self) -> Iterator[None]:
        with self._lock:
            self._blocks += 1
            if self._setting is None:
                self._setting = self._make()
                self._setting.__enter__()
        try:
            yield
        finally:
            with self._lock:
                self._blocks -= 1
                if not self._blocks and self._setting is not None:
                    self._setting.__exit__(None, None, None)
                    self._setting = None


@contextmanager
def _precision() -> Iterator[None]:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


_highest = SharedSetting(_precision)


@contextmanager
def full_precision(device: torch.device, grad: bool = False) -> Iterator[None]:
    """fp32 products in fp32, whatever a training script allowed: with less, rows of weights would not sum to 1.

    grad: keep the graph, where gradients are enabled."""
    with (
        _highest(),
        torch.set_grad_enabled(grad and torch.is_grad_enabled()),
        torch.autocast(device.type, enabled=False),
    ):
        yield
