"""Which vision models does the lens see exactly? Tiny random models of every family, watched and compared.

    python benchmarks/coverage.py --json-file coverage.json --markdown docs/coverage.md    # about 15 minutes on 2 cores
    python benchmarks/coverage.py --quick                                                  # a dozen families
    python benchmarks/coverage.py --only "detr|sam.*"                                      # by pattern

The families come from the libraries themselves: every type in the auto-mappings of transformers that takes pictures,
and torch's own layers. Of each, one model:

  captured   every attention map equals the readable ("eager") one within 1e-4, and the output is unchanged bit for bit
  missed     what was not captured is named in `trace.missed`; the rest is captured
  wrong      a map differs, an output changes, or something attends and is neither captured nor named (silent)
  other      attends, but not by a softmax of q·k over sources (deformable, linear, ...), and is named
  none       no attention; not run: no model could be built or fed, and why

The truth is found without the lens (`attention_truth.py`), on a copy of the model under eager attention. From the same
run: how many of these maps transformers' own `output_attentions` gives, under its default attention and under eager.
Each family runs in a process of its own under a limit of time and memory. Nothing is fetched from a network.
"""

import argparse
import json
import multiprocessing
import os
import re
import resource
import time
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

os.environ |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}  # before any library reads it

import torch
from attention_truth import Finder, Map, alike
from coverage_report import markdown, summary
from tiny_families import Case, Subject, every_case
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

import saccade

SECONDS, MEMORY = 120, 12 * 2**30
QUICK = (
    "vit",
    "swin",
    "detr",
    "clip",
    "blip-2",
    "qwen2_vl",
    "llava",
    "sam",
    "segformer",
    "resnet",
    "videomae",
    "torch.*",
)


@dataclass
class Look:
    """One watched model beside the true maps. maps: how many there are; matched: how many some call equals."""

    maps: int = 0
    calls: int = 0
    matched: int = 0
    named: dict[str, str] = field(default_factory=dict)  # trace.missed
    unseen: list[str] = field(default_factory=list)  # modules of maps that no call equals, though named
    silent: list[str] = field(default_factory=list)  # the same, and not named
    differing: list[str] = field(default_factory=list)  # calls that equal no true map
    kinds: dict[str, str] = field(default_factory=dict)
    changed: bool = False  # the output is not that of the unwatched model

    @property
    def status(self) -> str:
        """What the rows of the table are counted by."""
        if self.changed or self.differing or self.silent:
            return "wrong"
        if self.maps:
            return "captured" if self.matched == self.maps else "missed"
        return "other" if self.named else "none"


@dataclass
class Row:
    """What was found of one family."""

    family: str
    group: str
    status: str = "not run"
    why: str = ""
    model: str = ""
    look: Look = field(default_factory=Look)
    eager: Look | None = None
    peers: dict[str, int] = field(default_factory=dict)  # maps that output_attentions gives, by implementation
    seconds: float = 0.0


def examine(case: Case) -> Row:
    """Build, run, watch and compare one family."""
    row, begun = Row(case.family, case.group), time.perf_counter()
    try:
        subject = case.build()
    except Exception as error:  # whatever a library raises; it is told in the table
        row.why = _told(error)
        return row
    row.model = type(subject.model).__name__
    try:
        compare(row, subject)
    except Exception as error:  # the model ran before, so this is ours
        row.status, row.why = "wrong", _told(error)
    row.seconds = time.perf_counter() - begun
    return row


def compare(row: Row, subject: Subject) -> None:
    """Fill in what the lens and the peers see of a model."""
    twin = subject.model if subject.eager is None else subject.eager
    truth, ran = true_maps(twin, subject)
    row.eager = None if subject.eager is None else look_at(twin, subject, truth, ran)
    if not all(map(_near, run(subject.model, subject), run(twin, subject))):
        row.why = TWO_MODELS
        truth, ran = true_maps(subject.model, subject)
    row.look = look_at(subject.model, subject, truth, ran)
    row.status = row.look.status
    if subject.eager is not None:
        ways = {"default": subject.model, "eager": subject.eager}
        row.peers = {way: given_attentions(model, subject, truth) for way, model in ways.items()}


# Then the twin's maps are not those of the model, whose own fused kernels are taken apart instead.
TWO_MODELS = "the library computes something else under eager attention"


def _near(a: Tensor, b: Tensor) -> bool:
    if a.shape != b.shape or not a.is_floating_point():
        return a.shape == b.shape
    return torch.allclose(a, b, rtol=1e-2, atol=1e-2, equal_nan=True)


def _told(error: Exception) -> str:
    place = traceback.extract_tb(error.__traceback__)[-1]
    said = " ".join(str(error).split())[:400]
    return f"{type(error).__name__}: {said} ({Path(place.filename).name}:{place.lineno})"


def run(model: nn.Module, subject: Subject, **more: Any) -> list[Tensor]:
    """Every tensor of the output, without gradients, random numbers started afresh."""
    torch.manual_seed(7)
    with torch.no_grad():
        out = model(*subject.args, **subject.inputs, **more)
    return [t.clone() for t in _tensors(out)]


def _tensors(out: Any) -> list[Tensor]:
    if isinstance(out, dict):
        out = list(out.values())
    if isinstance(out, (list, tuple)):
        return [t for item in out for t in _tensors(item)]
    return [t for t in tree_leaves(out) if isinstance(t, Tensor)]


def true_maps(model: nn.Module, subject: Subject) -> tuple[list[Map], dict[str, str]]:
    """The maps of a model, and every module that ran with its class."""
    finder = Finder(model)
    with finder.following(model):
        run(model, subject)
    return finder.maps, finder.ran


def look_at(model: nn.Module, subject: Subject, truth: list[Map], ran: dict[str, str]) -> Look:
    """Watch a model and compare its trace with the true maps."""
    plain = run(model, subject)
    with saccade.watch(model) as trace:
        watched = run(model, subject)
    look = Look(maps=len(truth), calls=len(trace), named=dict(trace.missed))
    look.changed = len(plain) != len(watched) or not all(map(_same, plain, watched))
    left = list(truth)
    for call in trace:
        look.kinds[call.name] = call.kind
        weights = call.weights()
        match = next((m for m in left if alike(m.value, weights)), None)
        if match is None:
            look.differing.append(f"{call.name} {tuple(call.shape)}")
        else:
            left.remove(match)
            look.matched += 1
    for one in left:
        where = look.unseen if _is_named(one.name, look.named, type(model).__name__) else look.silent
        where.append(f"{one.name} {tuple(one.value.shape)}")
    if not truth and not look.named:
        look.silent = [f"{name} ({kind})" for name, kind in ran.items() if re.search("attention|attn", kind.lower())]
    return look


def _same(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype and torch.equal(torch.nan_to_num(a), torch.nan_to_num(b))


def _is_named(name: str, named: dict[str, str], root: str) -> bool:
    """Whether a module, one around it or one in it is named as missed."""
    if "." not in name and root in named:  # the model itself is named by its class
        return True
    return any(name == n or name.startswith(f"{n}.") or n.startswith(f"{name}.") for n in named)


def given_attentions(model: nn.Module, subject: Subject, truth: list[Map]) -> int:
    """How many of the true maps `output_attentions` gives."""
    torch.manual_seed(7)
    try:
        with torch.no_grad():
            out = model(**subject.inputs, output_attentions=True, return_dict=True)
    except (TypeError, ValueError, KeyError, AttributeError, IndexError, RuntimeError):  # it has none of that
        return 0
    given, left = _tensors(_attentions(out)), list(truth)
    for t in given:
        match = next((m for m in left if t.ndim >= 3 and alike(m.value, t)), None)
        if match is not None:
            left.remove(match)
    return len(truth) - len(left)


def _attentions(out: Any) -> list[Any]:
    """What an output, or an output in it, calls attentions."""
    if not isinstance(out, dict):
        return []
    return [v if "attention" in name else _attentions(v) for name, v in out.items()]


def _child(case: Case, answer: Connection) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    answer.send(examine(case))


def examine_all(cases: list[Case], jobs: int, seconds: float) -> Iterator[Row]:
    """Every case in a process of its own; one that dies or takes too long costs only its own row."""
    fork = multiprocessing.get_context("fork")  # so that the libraries are imported once
    waiting = list(reversed(cases))
    running: dict[Connection, tuple[Case, Any, float]] = {}
    while waiting or running:
        while waiting and len(running) < jobs:
            case = waiting.pop()
            ours, theirs = fork.Pipe(duplex=False)
            process = fork.Process(target=_child, args=(case, theirs), daemon=True)
            process.start()
            theirs.close()
            running[ours] = case, process, time.monotonic()
        ready = wait(list(running), timeout=1.0)
        for pipe, (case, process, begun) in list(running.items()):
            if pipe in ready or time.monotonic() - begun > seconds:
                del running[pipe]
                yield _answer(case, pipe, process, pipe in ready, seconds)


def _answer(case: Case, pipe: Connection, process: Any, ready: bool, seconds: float) -> Row:
    row = Row(case.family, case.group, why=f"it took more than {seconds:.0f} seconds")
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default=".*", metavar="PATTERN", help="families whose whole name fits it")
    parser.add_argument("--quick", action="store_true", help="a dozen families")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes at a time")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="limit of one family")
    parser.add_argument("--json-file", type=Path, help="write everything that was found to this file")
    parser.add_argument("--markdown", type=Path, help="write the table for the documentation to this file")
    args = parser.parse_args()
    torch.set_num_threads(1)
    wanted = "|".join(QUICK) if args.quick else args.only
    cases, absent = every_case(re.compile(wanted))
    rows: list[Row] = []
    for row in examine_all(cases, args.jobs, args.seconds):
        rows.append(row)
        print(f"{len(rows):4}/{len(cases)} {row.family}: {summary_line(row)}", flush=True)
        if args.json_file:
            args.json_file.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    rows.sort(key=lambda row: (row.group, row.family))
    print("\n" + summary(rows, absent))
    if args.markdown:
        args.markdown.write_text(markdown(rows, absent))


if __name__ == "__main__":
    main()
