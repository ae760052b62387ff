"""Processor seconds of whole commands from a cold start, beside `import torch` alone, which none can do without.

    python -m benchmarks.core.start --json-file start.json
    python -m benchmarks.core.start --quick

User and system time on one thread; the commands take turns, and the median of their ratios to the import counts.
"""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import cyclopts

from benchmarks.common.machine import print_machine, write_json
from benchmarks.common.paired import interleave

PICTURE = Path(__file__).parents[2] / "docs" / "ship.jpg"


def main(
    *,
    picture: Path = PICTURE,
    repeats: int = 5,
    quick: bool = False,
    json_file: Annotated[Path | None, cyclopts.Parameter(name=["--json", "--json-file"])] = None,
) -> None:
    """User and system time of one process on one thread, median of turns.

    Parameters
    ----------
    picture
        A picture file.
    repeats
        Turns of all commands; the first, which reads files into the cache, is not counted.
    quick
        One turn.
    json_file
        Write all figures there.
    """
    print_machine()
    with tempfile.TemporaryDirectory() as folder:
        commands = {
            "import torch": ["-c", "import torch"],
            "saccade --help": ["-m", "saccade", "--help"],
            "saccade predict": ["-m", "saccade", "predict", str(picture)],
            "saccade look": ["-m", "saccade", "look", str(picture), "--out", str(Path(folder) / "look.html")],
        }
        ways = {name: lambda given=given: processor_seconds(given) for name, given in commands.items()}
        times = interleave(ways, 1 if quick else repeats)
    results = {}
    for name, seconds in times.items():
        ratios = [own / alone for own, alone in zip(seconds, times["import torch"], strict=True)]
        results[name] = {"seconds": seconds, "of_import_torch": ratios}
        print(
            f"{name:16} {statistics.median(seconds):6.2f} s   {statistics.median(ratios):.2f}x import torch "
            f"({min(ratios):.2f} to {max(ratios):.2f})"
        )
    write_json(json_file, {"commands": results})


def processor_seconds(arguments: Sequence[str]) -> float:
    """Of `python arguments` in a process of its own. Raises SystemExit, with its messages, if it fails."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    if run.returncode:
        raise SystemExit(run.stderr)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    cyclopts.run(main)
