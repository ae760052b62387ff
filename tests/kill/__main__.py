"""The command line."""

import argparse
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from .driver import Straight, at_file_events, at_random_moments, by_power_cuts, count_events
from .runs import TASKS, make_data


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.kill")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=TASKS)
    parser.add_argument("--kills", type=int, default=50, help="runs of a task that are killed at random moments")
    parser.add_argument("--every", type=int, default=1, help="kill at every n-th operation on a file")
    parser.add_argument("--first", type=int, default=1, help="number of the first of them")
    parser.add_argument("--jobs", type=int, default=8, help="runs at a time, of those killed at operations on files")
    parser.add_argument("--power-cuts", type=int, default=6, help="moments at which the disk is copied; needs root")
    parser.add_argument("--seed", type=int, help="default: a random one")
    parser.add_argument("--no-fsync", action="store_true", help="to see that power cuts find what is not on disk")
    options = parser.parse_args()
    torch.set_num_threads(1)
    seed = random.SystemRandom().randrange(10**6) if options.seed is None else options.seed
    print(f"seed {seed}", flush=True)
    faults = 0
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None  # what was written survives a kill there as on a disk
    with tempfile.TemporaryDirectory(prefix="kill-", dir=memory) as name:
        make_data(Path(name))
        for task in options.tasks:
            faults += len(_kill(task, Path(name), seed, options))
    print(f"{faults} faults")
    return 1 if faults else 0


def _kill(task: str, place: Path, seed: int, options: argparse.Namespace) -> list[str]:
    straight = Straight(task, place / task)
    count, parts = count_events(straight)
    print(f"{task}: {count} operations on files, {len(parts)} writes of tensors; {straight.seconds:.1f} s", flush=True)
    events = list(range(options.first, count + 1, options.every))
    parts = parts[options.first - 1 :: options.every]
    jobs = options.jobs
    found = _timed(task, f"{options.kills} runs killed at random moments",
                   lambda: at_random_moments(straight, options.kills, seed))  # fmt: skip
    found += _timed(task, f"{len(events)} runs killed at operations on files",
                    lambda: at_file_events(straight, events, jobs=jobs))  # fmt: skip
    found += _timed(task, f"{len(parts)} runs killed while tensors were written in part",
                    lambda: at_file_events(straight, parts, half=True, jobs=jobs))  # fmt: skip
    if options.power_cuts and hasattr(os, "geteuid") and os.geteuid() == 0:
        before = _no_fsync if options.no_fsync else lambda: None
        said = by_power_cuts(straight, options.power_cuts, seed, before)
        print("\n".join(f"{task}: {line}" for line in said), flush=True)
        found += [line for line in said if "WRONG" in line]
    return found


def _timed(task: str, what: str, kill: Callable[[], list[str]]) -> list[str]:
    began = time.monotonic()
    found = kill()
    print(f"{task}: {what}: {len(found)} faults, {time.monotonic() - began:.0f} s", flush=True)
    print("".join(f"  {line}\n" for line in found), end="", flush=True)
    return found


def _no_fsync() -> None:
    os.fsync = lambda opened: None


if __name__ == "__main__":
    sys.exit(main())
