"""The loop: cases in a process of their own, watched from this one."""

import math
import multiprocessing
import os
import random
import resource
import signal
import sys
import time
import traceback
import warnings
from collections import Counter
from multiprocessing.connection import Connection
from pathlib import Path

HANGING = 120.0  # seconds of a case before its process is ended: one that waits takes no processor time
STARTING = 900.0  # seconds until the first case
SHOWN = 180.0  # seconds from one line of counts to the next
ROOM = 3 << 30  # bytes of address space beyond what the process has at its start


class Tally:
    """Number of cases of each reader, and of each kind of failure; printed every few minutes while it grows."""

    def __init__(self) -> None:
        self.counts, self.failures = Counter[str](), Counter[str]()
        self._began = self._shown = time.monotonic()

    def add(self, reader: str) -> None:
        self.counts[reader] += 1
        now = time.monotonic()
        if now > self._shown + SHOWN:
            self._shown = now
            print(f"{(now - self._began) / 60:.0f} min: {self}", flush=True)

    def __str__(self) -> str:
        each = ", ".join(f"{name} {count}" for name, count in self.counts.items())
        return f"{self.counts.total()} cases, {self.failures.total()} failed: {each or 'none'}"


def fuzz(first: int, seconds: float, only: list[str] | None, out: Path, tally: Tally) -> None:
    """Run cases for a time, counted from the first, and count them; what is counted stays if this is interrupted."""
    failures, end, number = tally.failures, math.inf, first
    context = multiprocessing.get_context("spawn")
    while time.monotonic() < end:
        ours, theirs = context.Pipe()
        process = context.Process(target=work, args=(theirs, number, only, out, set(failures)), daemon=True)
        process.start()
        theirs.close()
        reader = ""
        try:
            while time.monotonic() < end or reader:
                if not ours.poll(HANGING if reader else STARTING):
                    break
                what, name, given = ours.recv()
                if what == "start":
                    reader, number, end = name, given, min(end, time.monotonic() + seconds)
                    if time.monotonic() >= end:
                        break
                elif what == "done":
                    tally.add(name)
                    reader = ""
                else:
                    failures[name] += 1
        except EOFError:
            pass
        finally:
            alive = process.is_alive() and time.monotonic() >= end
            process.kill()
            process.join()
        if not alive:
            how = f"ended with {process.exitcode}" if process.exitcode != -9 else "hung or was killed"
            failures[f"{reader}: the process {how}"] += 1
            print(
                f"case {number} of {reader}: the process {how} (--seed {number} --only '{reader}' runs it)", flush=True
            )
            number, end = number + 1, min(end, time.monotonic() + seconds)


def work(pipe: Connection, number: int, only: list[str] | None, out: Path, known: set[str]) -> None:
    """Run cases from `number` on, and send what happens. known: kinds of failures that are only counted."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches both processes; the other one ends this
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libtiff writes what it finds there
    try:
        _work(pipe, number, only, out, known)
    except Exception:
        traceback.print_exc(file=sys.stdout)
        raise


def _work(pipe: Connection, number: int, only: list[str] | None, out: Path, known: set[str]) -> None:
    _limit()
    from tests.fuzz.cases import make_case, reduce_case, run_case, save_case
    from tests.fuzz.readers import READERS

    names = only or list(READERS)
    for name in names:  # libraries that are imported on first use are not part of a case
        for tree in READERS[name].seeds():
            run_case(name, tree)
    while True:
        reader = random.Random(number).choices(names, [READERS[name].weight for name in names])[0]
        pipe.send(("start", reader, number))
        tree = make_case(reader, number)
        failure = run_case(reader, tree)
        if failure is not None:
            if failure.kind not in known:
                known.add(failure.kind)
                if "over" not in failure.kind and "TooSlow" not in failure.kind:
                    tree = reduce_case(reader, tree, failure.kind)
                path = save_case(out, reader, tree, failure)
                print(f"{failure.kind}: case {number} of {reader}, in {path}", flush=True)
            pipe.send(("failed", failure.kind, 1))
        pipe.send(("done", reader, 1))
        number += 1


def replay(paths: list[Path]) -> int:
    """Run saved cases; returns the exit code."""
    _limit()
    from tests.fuzz.cases import open_case, run_case

    failed = 0
    for path in paths:
        reader, tree = open_case(path)
        failure = run_case(reader, tree)
        print(f"{path}: {'passes' if failure is None else failure.kind}")
        if failure is not None:
            failed = 1
            print(failure.text)
    return failed


def _limit() -> None:
    os.environ |= {"OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1", "HF_HUB_OFFLINE": "1"}
    warnings.simplefilter("ignore")
    import tests.fuzz.cases  # noqa: F401  # before the limit: libraries reserve address space

    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + ROOM, resource.RLIM_INFINITY))
