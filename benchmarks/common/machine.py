"""The machine that a benchmark runs on: its description beside what was found, and memory."""

import json
import os
import platform
import resource
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import torch


def machine() -> dict[str, object]:
    """Processor, versions, threads and current load."""
    return {
        "processor": _field("/proc/cpuinfo", "model name") or platform.processor() or platform.machine(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "bf16": computes_in_bf16(),
        "amx": torch.cpu._is_amx_tile_supported(),
        "load": round(os.getloadavg()[0], 1),
    }


def print_machine() -> None:
    print("  ".join(f"{key} {value}" for key, value in machine().items()))


def write_json(file: Path | None, found: Mapping[str, object]) -> None:
    """What was found, beside the machine; nothing without a file."""
    if file is not None:
        file.write_text(json.dumps({"machine": machine(), **found}, indent=1) + "\n")


def computes_in_bf16() -> bool:
    """Whether the processor has instructions for bf16."""
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def available() -> int:
    """Free memory in bytes."""
    free = _field("/proc/meminfo", "MemAvailable")
    return int(free.split()[0]) * 1024 if free else os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def reset_peak() -> int:
    """Reset the peak memory of this process where the system supports it (Linux). Returns the current size in bytes."""
    with suppress(OSError):  # elsewhere the peak counts from the start of the process
        Path("/proc/self/clear_refs").write_text("5")
    return peak()


def peak() -> int:
    """Peak resident memory of this process in bytes, since the last `reset_peak` where that is supported."""
    if highest := _field("/proc/self/status", "VmHWM"):
        return int(highest.split()[0]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _field(path: str, name: str) -> str | None:
    """The value of the first line `name: value` of a file of /proc; None where there is no such line or file."""
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return None
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(name)), None)
