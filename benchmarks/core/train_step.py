"""Time of a whole training step, optimizer included, beside transformers' and beside its matrix products alone.

    python -m benchmarks.core.train_step --compile --json step.json

On a CPU. A step is forward, cross-entropy, backward and the update. "ours" is the step of `saccade train classify`: its
model, Muon with AdamW, and the moving average of the weights. "ours, classic ViT" has the architecture, the weights and
the optimizer (fused AdamW) of transformers' ViT, which has its default attention (sdpa) and its readable one (eager) in
rows of their own. bf16 is autocast over fp32 weights.

The share of a step is the time of its matrix products alone (those of the optimizer too) over the time of the step: 1.0
is a step in which nothing but products takes time.
"""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Annotated, Any

import cyclopts
import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.common.machine import print_machine, write_json
from benchmarks.common.paired import Times, judged, measure, speedup
from benchmarks.common.products import products
from benchmarks.core.classic_vits import CLASSES, Size, hf_vit, logits, saccade_vit, to_hf
from saccade.device import keep_freed_memory
from saccade.models import Classifier, ClassifierConfig, preset
from saccade.train.config import TrainConfig
from saccade.train.optim import moving_average, optimizers

OURS, CLASSIC, HF, HF_EAGER = "ours", "ours, classic ViT", "HF", "HF, eager attention"
COMPILED, PRODUCTS = " compiled", "products of "
AIMS = {"fp32": "at least 0.85", "bf16": "at least 0.6"}  # of the share

Step = Callable[[], object]


@dataclass(frozen=True)
class Case:
    name: str
    size: Size
    batch: int


CASES = [
    Case("37 tokens", Size(48, 8, 192, 3, 9, 384), 128),
    Case("65 tokens", Size(64, 8, 192, 3, 9, 384), 128),
    Case("257 tokens", Size(128, 8, 192, 3, 9, 384), 32),
]
QUICK = [Case("quick", Size(16, 8, 48, 3, 2, 96), 5)]


def main(
    *,
    compile: bool = False,
    repeats: int = 7,
    quick: bool = False,
    only: str = "",
    precisions: tuple[str, ...] = ("fp32", "bf16"),
    cpu_time: bool = False,
    json_file: Annotated[Path | None, cyclopts.Parameter(name=["--json", "--json-file"])] = None,
) -> None:
    """Time and compare.

    Parameters
    ----------
    compile
        Also run every model through torch.compile.
    repeats
        Turns that each way gets, after two that are not counted.
    quick
        A tiny model and three turns, to prove that the script works. Its figures mean nothing.
    only
        Run the cases with this in their names.
    precisions
        fp32, bf16 or both.
    cpu_time
        Count processor seconds, on one thread, for a machine on which other things run.
    json_file
        Write all figures there.
    """
    keep_freed_memory()
    if cpu_time:
        torch.set_num_threads(1)
    print_machine()
    results = []
    for case in QUICK if quick else CASES:
        for precision in precisions:
            if only in case.name:
                ways, work = steps(case, precision, compile)
                times = measure(ways, 3 if quick else repeats, 2, process_time if cpu_time else perf_counter)
                results.append(report(case, precision, times, work))
    write_json(json_file, {"cases": results})


def steps(case: Case, precision: str, compile: bool) -> tuple[dict[str, Step], dict[str, float]]:
    """What is timed, and the floating-point operations of the products of each."""
    torch.manual_seed(0)
    torch.compiler.reset()  # of what several models share, only the first eight forms would be compiled
    classic = saccade_vit(case.size)
    models: dict[str, nn.Module] = {OURS: own_model(case.size), CLASSIC: classic}
    for name, attention in ((HF, "sdpa"), (HF_EAGER, "eager")):
        models[name] = hf_vit(case.size, attention)
        models[name].load_state_dict(to_hf(classic.state_dict()))
    ways, work = {}, {}
    for name, model in models.items():
        model.train()
        ways[name] = step = one_step(model, model, case, precision, own=name == OURS)
        if not name.startswith(HF):  # transformers' are those of the classic ViT
            step()
            alone = PRODUCTS + name
            ways[alone], work[alone] = products(step)
        if compile:
            ways[name + COMPILED] = one_step(model, torch.compile(model), case, precision, own=name == OURS)
    return ways, work


def own_model(size: Size) -> Classifier:
    """That of `saccade train classify`, of the same width and depth."""
    block = {"width": size.width, "heads": size.heads, "hidden": size.hidden}
    vit = preset("small", grid=size.grid, patch=size.patch, window=2 * size.patch, depth=size.depth, block=block)
    return Classifier(ClassifierConfig(vit=vit, classes=CLASSES))


def one_step(model: nn.Module, forward: Any, case: Case, precision: str, own: bool) -> Step:
    """A training step. own: with the optimizers and the moving average of `saccade train`."""
    pictures = torch.randn(case.batch, 3, case.size.picture, case.size.picture)
    labels = torch.randint(0, CLASSES, (case.batch,))
    config = TrainConfig()
    used = optimizers(model, config) if own else [torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)]
    average = partial(moving_average(model, config.ema).update_parameters, model) if own else lambda: None

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16) if precision == "bf16" else nullcontext():
            out = logits(forward, pictures)
        F.cross_entropy(out.float(), labels).backward()
        for optimizer in used:
            optimizer.step()
            optimizer.zero_grad()
        average()

    return step


def report(case: Case, precision: str, times: Times, work: dict[str, float]) -> dict[str, Any]:
    """Print times, shares and ratios; return them."""
    print(f"\n{case.name}, batch {case.batch}, {precision}")
    for name, seconds in times.items():
        ms = median(seconds) * 1e3
        rate = f"{work[name] / ms / 1e6:8.0f} GFLOP/s" if name in work else f"{case.batch / ms * 1e3:8.1f} pictures/s"
        print(f"  {name:38} {ms:9.1f} ms {rate}")
    steps = [name for name in times if not name.startswith(PRODUCTS)]
    shares = {}
    for name in steps:
        alone = PRODUCTS + (OURS if name.removesuffix(COMPILED) == OURS else CLASSIC)
        share, aim = speedup(times, name, alone), AIMS[precision] if name.startswith(OURS) else ""
        shares[name] = share.to_dict(aim)
        print(f"  share of the products, {name:32} {share}  {judged(share, aim)}")
    peers = [name for name in steps if name.startswith(HF)]
    fastest = min(peers, key=lambda name: median(times[name]))
    ratios = {}
    for mine in (name for name in steps if not name.startswith(HF)):
        for peer in dict.fromkeys((HF, fastest)):
            found = speedup(times, mine, peer)
            ratios[f"{mine} / {peer}"] = found.to_dict()
            print(f"  {mine + ' / ' + peer:55} {found}{'  (its fastest)' if peer == fastest else ''}")
    return {
        "case": case.name,
        "precision": precision,
        "batch": case.batch,
        "seconds": times,
        "operations": work,
        "shares": shares,
        "ratios": ratios,
    }


if __name__ == "__main__":
    cyclopts.run(main)
