"""The forward and backward pass of a step: compiled where that pays, and the same in all processes."""

import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from saccade.device import Device
from saccade.errors import in_one_line
from saccade.train.config import TrainConfig
from saccade.train.trainable import SupportsMicrobatches, Trainable


class ForwardBackwardPass:
    """Loss and gradients of a step.

    Args:
        steps: of the run; None with a budget.
        note: takes a line for the log.
    """

    def __init__(
        self,
        task: Trainable,
        model: nn.Module,
        config: TrainConfig,
        device: Device,
        steps: int | None,
        note: Callable[[str], None],
    ):
        self.task, self.model, self.device, self.note = task, model, device, note
        compiled = should_compile(config, device, steps)
        self.may_fail = compiled and config.compile == "auto"
        self.stance: Callable[[], AbstractContextManager[object]] = nullcontext
        self.forward: nn.Module = task.compiled(model) if compiled else model
        if device.world > 1:
            self.forward = DistributedDataParallel(self.forward)

    def __call__(self, batches: list[Any], seed: int) -> Tensor:
        """Add the gradients of the mean loss to those of the parameters. Returns the loss. seed: for drop-path.

        With `--compile auto` a model that cannot be compiled, for example at a size that training reaches later, goes
        on without."""
        try:
            return self._backward(batches, seed)
        except RuntimeError as error:
            if not (self.may_fail and _is_of_compiler(error)):
                raise
            self.note(f"it goes on without torch.compile, which failed ({in_one_line(error)[:200]})")
        self.may_fail = False
        self.stance = partial(torch.compiler.set_stance, "force_eager")
        self.model.zero_grad()
        return self._backward(batches, seed)

    def _backward(self, batches: list[Any], seed: int) -> Tensor:
        torch.manual_seed(seed)
        self.model.train()
        parts = (
            self.task.parts(batches, self.device.device) if isinstance(self.task, SupportsMicrobatches) else [batches]
        )
        losses = []
        with self.stance():
            for part in parts:
                with nullcontext() if part is parts[-1] else self._unshared():
                    with self.device.autocast_context():
                        loss = self.task.loss(self.forward, part, self.device.device) * (len(part) / len(batches))
                    loss.backward()
                losses.append(loss.detach())
        return torch.stack(losses).sum()

    def _unshared(self) -> AbstractContextManager[object]:
        """Gradients are added up, and averaged over the processes with the last part only."""
        return self.forward.no_sync() if isinstance(self.forward, DistributedDataParallel) else nullcontext()


def _is_of_compiler(error: Exception) -> bool:
    """By name, as importing torch.compile's exceptions takes a second."""
    return any(kind.__name__ == "TorchDynamoException" for kind in type(error).__mro__)


def should_compile(config: TrainConfig, device: Device, steps: int | None) -> bool:
    """Compiling takes one or two minutes per image size and makes steps 2 to 8 times faster."""
    if config.compile != "auto":
        return config.compile == "yes"
    compiler = device.device.type == "cuda" or any(map(shutil.which, ("g++", "clang++")))
    return compiler and (steps > 500 if steps is not None else (config.budget or 0) >= 20 * 60)
