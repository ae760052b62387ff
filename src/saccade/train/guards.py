"""Guards of a run: a lock on its folder, deterministic algorithms, finite losses and gradients."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from filelock import FileLock, Timeout
from torch import nn

from saccade.data.output import make_folder
from saccade.device import Device
from saccade.errors import SaccadeError
from saccade.train.config import LOCK


@contextmanager
def exclusive_folder(folder: Path, device: Device) -> Iterator[None]:
    """Create the folder of a run and lock it. Raises SaccadeError in all processes if another run holds the lock.

    Two runs in one folder would overwrite each other's states. The operating system releases the lock when the process
    ends, however that happens. The file .lock stays; its presence has no meaning.
    """
    lock, free = FileLock(folder / LOCK), True
    if device.main:
        make_folder(folder)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            free = False
    try:
        if device.sum_over_processes(torch.tensor(float(free), device=device.device)).item() < device.world:
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
    if not wanted:  # setting it imports the compiler, for seconds, also while Ctrl-C ends the run
        yield
        return
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])


def check_finite(model: nn.Module, loss: float, step: int, per_epoch: int, folder: Path) -> None:
    """Raises SaccadeError before the update after `step` updates if the loss or the gradient is not finite. A finite
    loss can have a gradient that is not (0 * inf, the square root at 0)."""
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    found = {"loss": loss, "gradient": torch.nn.utils.get_total_norm(gradients).item()}
    for name, value in found.items():
        if not math.isfinite(value):
            raise SaccadeError(
                f"the {name} of step {step} (epoch {step // per_epoch + 1}) is {value}: stopped before the update, so "
                f"what {folder} holds is sound. Lower --lr, or look at the samples of that batch"
            )
