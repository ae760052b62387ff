"""Peak memory of this process."""

import resource
import sys
from contextlib import suppress
from pathlib import Path


def reset_peak() -> int:
    """Start the peak memory of this process anew where the system can (Linux). Returns the present size, in bytes."""
    with suppress(OSError):  # elsewhere the peak counts from the start of the process
        Path("/proc/self/clear_refs").write_text("5")
    return peak()


def peak() -> int:
    """Peak resident memory of this process in bytes, since the last `reset_peak` where that works."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024
    except (OSError, StopIteration):
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
