"""How long a look at many patches takes, and whether there is memory for it, before it begins."""

import os
import time
from pathlib import Path

import torch

from saccade.errors import SaccadeError
from saccade.studio.patches.class_maps import MOST_TOKENS, PREDICTED
from saccade.studio.progress import report_note
from saccade.tasks.base import Task

FREE = 2048  # tokens that are looked at without an estimate: seconds
_SAMPLE = 32  # side in patches of the picture with which a forward pass is timed
# Of a look with its page, measured beside one forward pass: entropy, distance, rollout, sums of rows take most of it.
_PASSES, _CLASS_PASSES = 10, 3  # forward passes that it takes as long as, and those of the map of a class
_COPIES = 40  # numbers kept for each number of the tokens of all layers, packed on the page at most
_BASE = 300e6  # bytes, of tiles and pages


def check_time_and_memory(task: Task, grid: tuple[int, int]) -> None:
    """Report how long a look at a grid of (rows, columns) of patches will take. Nothing for a few patches.

    Raises SaccadeError where the memory does not suffice."""
    tokens = grid[0] * grid[1] + len(task.prefix)
    if tokens <= FREE:
        return
    check_memory(task, grid, tokens)
    report_note(f"{grid[0]} x {grid[1]} patches: this takes {approximate_duration(estimate_seconds(task, tokens))}")


def check_memory(task: Task, grid: tuple[int, int], tokens: int) -> None:
    """Raises SaccadeError where there is less memory than a look needs; nothing where it is not known."""
    needed, free = memory_needed(task, tokens), free_memory()
    if free is None or needed <= free or next(task.model.parameters()).device.type != "cpu":
        return
    patch, share = task.vit.config.patch, max(0.0, free - _BASE) / (needed - _BASE)
    side = int((tokens * share) ** 0.5) * patch
    raise SaccadeError(
        f"{grid[0]} x {grid[1]} patches take about {needed / 1e9:.1f} GB of memory, and {free / 1e9:.1f} GB are free: "
        f"use --size {max(patch, side)} or less"
    )


def memory_needed(task: Task, tokens: int) -> float:
    """Bytes that a look at so many tokens takes at most."""
    config = task.vit.config
    return _BASE + _COPIES * 4 * config.depth * config.block.width * tokens


def _has_class_maps(task: Task, tokens: int) -> bool:
    return hasattr(task, "labels") and tokens <= MOST_TOKENS


def free_memory() -> float | None:
    """Bytes that this process can still take, by the system and its control group; None where it does not say."""
    found = [_available(), _left_in_group()]
    known = [amount for amount in found if amount is not None]
    return min(known) if known else None


def _available() -> float | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        pages = "SC_AVPHYS_PAGES"
        known = hasattr(os, "sysconf") and pages in os.sysconf_names
        return float(os.sysconf(pages) * os.sysconf("SC_PAGE_SIZE")) if known else None
    return next((float(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), None)


def _left_in_group(folder: Path = Path("/sys/fs/cgroup")) -> float | None:
    try:
        most = (folder / "memory.max").read_text().strip()
        return None if most == "max" else float(most) - float((folder / "memory.current").read_text())
    except (OSError, ValueError):
        return None


def count_multiply_adds(task: Task, tokens: int) -> float:
    """Multiply-adds of a forward pass of the encoder."""
    linear = sum(weight.numel() for weight in task.vit.blocks.parameters() if weight.dim() == 2)
    config = task.vit.config
    return tokens * (linear + 2 * config.depth * config.block.width * tokens)


@torch.no_grad()
def estimate_seconds(task: Task, tokens: int) -> float:
    """From a forward pass over fewer patches, on the device that the model is on."""
    vit = task.vit.eval()
    side = _SAMPLE * vit.config.patch
    picture = torch.zeros(1, vit.config.channels, side, side, device=next(vit.parameters()).device)
    vit(picture)  # warm
    started = time.perf_counter()
    float(vit(picture).sum())  # waits for the device
    seconds = time.perf_counter() - started
    passes = _PASSES + _CLASS_PASSES * PREDICTED * _has_class_maps(task, tokens)
    return (
        passes * seconds * count_multiply_adds(task, tokens) / count_multiply_adds(task, _SAMPLE**2 + len(task.prefix))
    )


def approximate_duration(seconds: float) -> str:
    """A rough duration."""
    if seconds < 90:
        return f"about {max(1, round(seconds))} seconds"
    if seconds < 90 * 60:
        return f"about {round(seconds / 60)} minutes"
    return f"about {seconds / 3600:.1f} hours"
