"""Device, precision and distributed processes of a run."""

import ctypes
import os
import sys
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

import torch
import torch.distributed as dist
from torch import Tensor

from saccade.errors import SaccadeError

WORTHWHILE = 1.2  # speedup of matrix products in bf16 that pays for the casts of a step
_MEASURED_SIDE, _MEASURED_TURNS = 256, 7


@dataclass(frozen=True)
class Device:
    """Device and precision of a run, and the rank of this process among `world` processes."""

    device: torch.device
    bf16: bool
    rank: int
    world: int

    @property
    def main(self) -> bool:
        """True in the one process that prints and writes."""
        return self.rank == 0

    def autocast_context(self) -> AbstractContextManager[object]:
        """The context in which forward passes run."""
        return torch.autocast(self.device.type, torch.bfloat16) if self.bf16 else nullcontext()

    def sum_over_processes(self, value: Tensor) -> Tensor:
        """The sum of a tensor over all processes."""
        if self.world == 1:
            return value
        total = value.detach().clone()
        dist.all_reduce(total)
        return total

    def barrier(self) -> None:
        """Block until all processes reach this call."""
        if self.world > 1:
            self.sum_over_processes(torch.zeros((), device=self.device)).item()

    def __str__(self) -> str:
        many = f" x {self.world} processes" if self.world > 1 else ""
        return f"{self.device.type}{many} in {'bf16' if self.bf16 else 'fp32'}"


def pick_device(name: str = "auto") -> torch.device:
    """The named device, or for "auto" the best available. Raises SaccadeError if it is not available."""
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        name = next(kind for kind in ("cuda", "mps", "cpu") if there[kind])
    if not there.get(name, False):
        found = ", ".join(kind for kind, present in there.items() if present)
        raise SaccadeError(f"there is no device {name!r} here; there is {found}")
    return torch.device(name)


def supports_bf16(device: torch.device) -> bool:
    """Whether the processor has bf16 arithmetic that is faster than its fp32, rather than emulating it. AVX512-BF16
    alone doubles the speed of some processors and is slower than fp32 on others, so it is measured, in milliseconds."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        if torch.cpu._is_amx_tile_supported():
            return True
        return torch.cpu._is_avx512_bf16_supported() and bf16_speedup() >= WORTHWHILE
    return False


def bf16_speedup() -> float:
    """How many times faster the CPU multiplies matrices in bf16 than in fp32: about 3 with matrix units (AMX), 0.005
    where it is emulated."""
    seconds = {}
    for dtype in (torch.float32, torch.bfloat16):
        matrix = torch.ones(_MEASURED_SIDE, _MEASURED_SIDE, dtype=dtype)
        turns = []
        for _ in range(_MEASURED_TURNS):
            begun = time.perf_counter()
            matrix @ matrix
            turns.append(time.perf_counter() - begun)
        seconds[dtype] = min(turns)
    return seconds[torch.float32] / seconds[torch.bfloat16]


def precision_cost(device: Device) -> str:
    """What bf16 costs on a CPU where it is not faster than fp32, as a sentence; else ""."""
    if not device.bf16 or device.device.type != "cpu" or (speedup := bf16_speedup()) >= 1:
        return ""
    return (
        f"matrix products in bf16 take {1 / speedup:.2g} times as long as in fp32 on this processor: --precision fp32 "
        "is faster"
    )


def is_main_process() -> bool:
    """Whether this process is the only one, or the one of rank 0 under torchrun, which prints and writes."""
    return int(os.environ.get("RANK", 0)) == 0


def init_device(device: str = "auto", precision: str = "auto") -> Device:
    """Initialize the device and, under torchrun, the process group; else the world size is 1."""
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    place = pick_device(device)
    if place.type == "cuda":
        place = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
        torch.cuda.set_device(place)
    if place.type == "cpu":
        keep_freed_memory()
    if world > 1 and not dist.is_initialized():
        backend = "nccl" if place.type == "cuda" else "gloo"
        dist.init_process_group(backend, store=_rendezvous_store(), rank=rank, world_size=world)
    joined = Device(place, precision == "bf16", rank, world)
    if precision == "auto":  # the first process decides for all
        faster = torch.tensor(float(joined.main and supports_bf16(place)), device=place)
        joined = replace(joined, bf16=bool(joined.sum_over_processes(faster)))
    return joined


def _rendezvous_store() -> dist.Store:
    """Where processes exchange their addresses. After a restart torchrun (2.13) hands out the store of the processes
    before, which holds the address of the lost one: a process that reads it waits for ever. So each start has keys of
    its own."""
    store, _, _ = next(dist.rendezvous("env://"))
    return dist.PrefixStore(f"start-{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store)


def keep_freed_memory() -> bool:
    """Keep freed memory in the process for later tensors. Returns whether the C library supports it (glibc).

    By default glibc maps every large tensor anew and the kernel clears its pages on first access. Training allocates
    the same gigabytes at every step and would spend a third of its time on that.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:  # another C library
        return False
    trim_threshold, mmap_max = -1, -4  # <malloc.h>
    return bool(mallopt(trim_threshold, 2**31 - 1)) and bool(mallopt(mmap_max, 0))


def leave_process_group(device: Device) -> None:
    """Destroy the process group."""
    if device.world > 1 and dist.is_initialized():
        dist.destroy_process_group()


def exit_process(code: int) -> None:
    """Exit a process of a distributed run immediately with this code. Threads of gloo outlive their process group and
    occasionally abort a normal interpreter shutdown."""
    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        for stream in filter(None, (sys.stdout, sys.stderr)):
            stream.flush()
        os._exit(code)
