"""Which processor, which precision, which processes."""

import ctypes
import os
import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor

from saccade.errors import SaccadeError


@dataclass(frozen=True)
class Device:
    """Where a run computes, and as which process of how many."""

    device: torch.device
    bf16: bool
    rank: int
    world: int

    @property
    def main(self) -> bool:
        """True in the one process that prints and writes."""
        return self.rank == 0

    def precision(self) -> AbstractContextManager[object]:
        """The context in which forward passes run."""
        return torch.autocast(self.device.type, torch.bfloat16) if self.bf16 else nullcontext()

    def sum(self, value: Tensor) -> Tensor:
        """The sum of a tensor over all processes."""
        if self.world == 1:
            return value
        total = value.detach().clone()
        dist.all_reduce(total)
        return total

    def wait(self) -> None:
        """Until all processes are here."""
        if self.world > 1:
            self.sum(torch.zeros((), device=self.device)).item()

    def __str__(self) -> str:
        many = f" x {self.world} processes" if self.world > 1 else ""
        return f"{self.device.type}{many} in {'bf16' if self.bf16 else 'fp32'}"


def pick_device(name: str = "auto") -> torch.device:
    """The named device, or the best there is. Raises SaccadeError if it is not there."""
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        name = next(kind for kind in ("cuda", "mps", "cpu") if there[kind])
    if not there.get(name, False):
        found = ", ".join(kind for kind, present in there.items() if present)
        raise SaccadeError(f"there is no device {name!r} here; there is {found}")
    return torch.device(name)


def supports_bf16(device: torch.device) -> bool:
    """Whether the processor has bf16 arithmetic, rather than emulating it."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return False


def is_main_process() -> bool:
    """Whether this is the only process, or the one of torchrun's that prints and writes."""
    return int(os.environ.get("RANK", 0)) == 0


def join(device: str = "auto", precision: str = "auto") -> Device:
    """Take this process's place among those torchrun started; alone, it is the only one (world size 1)."""
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    place = pick_device(device)
    if place.type == "cuda":
        place = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
        torch.cuda.set_device(place)
    if place.type == "cpu":
        keep_freed_memory()
    if world > 1 and not dist.is_initialized():
        dist.init_process_group("nccl" if place.type == "cuda" else "gloo")
    bf16 = supports_bf16(place) if precision == "auto" else precision == "bf16"
    return Device(place, bf16, rank, world)


def keep_freed_memory() -> bool:
    """Let the process keep memory that tensors no longer need, for the next ones. True where the C library can (glibc).

    Otherwise every large tensor is mapped anew and its pages are cleared one by one as they are first touched: a step
    of training asks for the same gigabytes each time, and spends a third of it on that.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:  # another C library
        return False
    trim_threshold, mmap_max = -1, -4  # <malloc.h>
    return bool(mallopt(trim_threshold, 2**31 - 1)) and bool(mallopt(mmap_max, 0))


def leave(device: Device) -> None:
    """Let the other processes go."""
    if device.world > 1 and dist.is_initialized():
        dist.destroy_process_group()


def end(code: int) -> None:
    """End one process of several that trained together, at once and with this exit code. Threads of gloo outlive their
    group, and now and then abort an interpreter that shuts down in its own time, after all is done and written."""
    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        for stream in filter(None, (sys.stdout, sys.stderr)):
            stream.flush()
        os._exit(code)
