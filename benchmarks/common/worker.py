"""Measurements in processes of their own, which answer requests one at a time so that several can take turns."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from benchmarks.common.machine import peak, reset_peak

Answer = dict[str, float]
# glibc returns freed memory at once; what it would keep varies from run to run and would count as peak memory.
NO_HOARDING = {"MALLOC_MMAP_THRESHOLD_": "65536"}


@contextmanager
def worker(
    module: str, *arguments: object, environment: Mapping[str, str] | None = None
) -> Iterator[Callable[[str], Answer]]:
    """Start `python -m module --worker arguments`; what this yields sends it a request and returns its answer.

    environment: variables in addition to those of this process.

    Raises:
        SystemExit: the process ends instead of answering.
    """
    command = [sys.executable, "-m", module, "--worker", *map(str, arguments)]
    run = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
        env=os.environ | dict(environment or {}),
    )
    assert run.stdin is not None
    assert run.stdout is not None

    def read() -> Answer:
        if line := run.stdout.readline():
            return json.loads(line)
        raise SystemExit(f"{' '.join(command[2:])} ended with {run.wait()} (out of memory?)")

    def ask(request: str = "") -> Answer:
        run.stdin.write(f"{request}\n")
        return read()

    with run:
        try:
            read()
            yield ask
        finally:
            run.kill()


def serve(respond: Callable[[str], Callable[[], None]]) -> None:
    """In the worker: for each request, run what `respond` returns for it and print seconds, peak and idle memory."""
    print("{}", flush=True)
    for line in sys.stdin:
        work = respond(line.strip())
        idle, start = reset_peak(), time.perf_counter()
        work()
        print(json.dumps({"seconds": time.perf_counter() - start, "peak": peak(), "idle": idle}), flush=True)
