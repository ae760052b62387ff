"""Which vision models the lens captures exactly: tiny random models of every family, watched and compared.

    python -m benchmarks.coverage.run --json-file coverage.json --markdown docs/coverage.md    # ten minutes on 2 cores
    python -m benchmarks.coverage.run --quick                                                  # a dozen families
    python -m benchmarks.coverage.run --only "detr|sam.*|timm[.].*"                            # by pattern

The families come from the libraries themselves: every type in the auto-mappings of transformers that takes pictures,
torch's own layers, and, where they import, every transformer and UNet of diffusers, every module of timm and of
vit-pytorch. Of each, one model:

  captured   every attention map equals the model's own within 1e-4, and the output is unchanged bit for bit
  missed     what was not captured is named in `trace.missed`; the rest is captured
  wrong      a map differs, an output changes, or something attends and is neither captured nor named (silent)
  other      attends, but not by a softmax of q·k over sources (deformable, linear, ...), and is named
  none       no attention; not run: no model could be built or fed, and why

The truth is found without the lens (`true_maps.py`), on a copy of the model under eager attention where the
library has that. A softmax whose weights the model mixes or gates before it uses them counts as captured where the call
equals it and says so in its note. From the same run: how many of these maps transformers' own `output_attentions`
gives, under its default attention and under eager. Each family runs in a process of its own under a limit of time and
memory. Nothing is fetched from a network.

timm and vit-pytorch need torchvision, whose usual wheel is built for CUDA; `families/torchvision_stub.py` makes it
importable beside a CPU-only torch. To have all of them without installing them into the project's environment:

    pip install --no-deps --target libs timm torchvision==0.28.0 diffusers vit-pytorch
    PYTHONPATH=src:libs python -m benchmarks.coverage.run
"""

import argparse
import json
import multiprocessing
import os
import re
import resource
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

os.environ |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}  # before any library reads it

import torch

from benchmarks.coverage.compare import Row, examine
from benchmarks.coverage.families.cases import Case, every_case
from benchmarks.coverage.report import markdown, pages_of, summary, with_pages

SECONDS, MEMORY = 180, 12 * 2**30
QUICK = (
    "vit|swin|detr|clip|blip-2|qwen2_vl|llava|sam|segformer|resnet|videomae|torch.*|timm[.]eva|vit_pytorch[.](vit|cait)"
    "|diffusers[.](Flux|SD3).*"
)


Examine = Callable[[Case], Any]


def _child(examine: Examine, case: Case, answer: Connection) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    answer.send(examine(case))


def examine_all(
    cases: list[Case], jobs: int, seconds: float, examine: Examine = examine, row_type: type = Row
) -> Iterator[Any]:
    """Every case in a process of its own; one that dies or takes too long costs only its own row, of `row_type`."""
    fork = multiprocessing.get_context("fork")  # so that the libraries are imported once
    waiting = list(reversed(cases))
    running: dict[Connection, tuple[Case, Any, float]] = {}
    while waiting or running:
        while waiting and len(running) < jobs:
            case = waiting.pop()
            ours, theirs = fork.Pipe(duplex=False)
            process = fork.Process(target=_child, args=(examine, case, theirs), daemon=True)
            process.start()
            theirs.close()
            running[ours] = case, process, time.monotonic()
        ready = wait(list(running), timeout=1.0)
        for pipe, (case, process, begun) in list(running.items()):
            if pipe in ready or time.monotonic() - begun > seconds:
                del running[pipe]
                empty = row_type(case.family, case.group, why=f"it took more than {seconds:.0f} seconds")
                yield _answer(empty, pipe, process, pipe in ready)


def _answer(row: Any, pipe: Connection, process: Any, ready: bool) -> Any:
    if ready:
        try:
            row = pipe.recv()
        except EOFError:
            process.join()
            row.why = f"its process ended with {process.exitcode} (out of memory?)"
    process.kill()
    process.join()
    return row


def summary_line(row: Row) -> str:
    """One family in one line."""
    look = row.look
    if row.status == "not run":
        return f"not run: {row.why}"
    more = f", eager {row.eager.matched}/{row.eager.maps} {row.eager.status}" if row.eager else ""
    bad = [*look.silent[:2], *look.differing[:2], *["output changed"] * look.changed]
    return f"{row.status} {look.matched}/{look.maps}{more} {row.model} {row.seconds:.1f} s {'; '.join(bad)}"


def argument_parser(documentation: str, markdown_help: str) -> argparse.ArgumentParser:
    """The options of a benchmark that examines families, each in a process."""
    parser = argparse.ArgumentParser(description=documentation.splitlines()[0])
    parser.add_argument("--only", default=".*", metavar="PATTERN", help="families whose whole name fits it")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes at a time")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="limit of one family")
    parser.add_argument("--json-file", type=Path, help="write everything that was found to this file")
    parser.add_argument("--markdown", type=Path, help=markdown_help)
    return parser


def main() -> None:
    parser = argument_parser(__doc__, "write the table for the documentation to this file")
    parser.add_argument("--quick", action="store_true", help="a dozen families")
    args = parser.parse_args()
    torch.set_num_threads(1)
    wanted = QUICK if args.quick else args.only
    begun = time.perf_counter()
    cases, absent = every_case(re.compile(wanted))
    rows: list[Row] = []
    for row in examine_all(cases, args.jobs, args.seconds):
        rows.append(row)
        print(f"{len(rows):4}/{len(cases)} {row.family}: {summary_line(row)}", flush=True)
        if args.json_file:
            args.json_file.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    rows.sort(key=lambda row: (row.group, row.family.lower()))
    print(f"\n{summary(rows, absent)}\n{(time.perf_counter() - begun) / 60:.1f} minutes with {args.jobs} processes")
    if args.markdown:
        before = args.markdown.read_text(encoding="utf-8") if args.markdown.is_file() else ""
        args.markdown.write_text(with_pages(markdown(rows, absent), pages_of(before)), encoding="utf-8")


if __name__ == "__main__":
    main()
