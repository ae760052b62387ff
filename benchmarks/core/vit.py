"""Time of a forward pass and of a training step: our ViT, transformers' and, where it imports, timm's.

    python -m benchmarks.core.vit --compile --json-file vit.json

On a CPU. All models have the same sizes, weights, inputs and precision, and take turns in one run. Ours is built as
the original ViT (LayerNorm, biases, learned positions, class token) so that the arithmetic is the same; a further
row, "ours, modern block", is the preset that `saccade train` uses, which is another architecture.

HF is transformers with its default attention (sdpa); its readable attention (eager) has a row of its own.

forward: evaluation mode, no gradients. step: zero the gradients, forward, cross-entropy, backward; no optimizer.
bf16 is autocast over fp32 weights. With --compile every model is also run through torch.compile, theirs as well.

Before timing, two checks: the outputs agree, and the gradients of all are held against float64 (relative L2 error over
all weights), to show that exactness is not traded for speed.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, cast

import cyclopts
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.common.machine import print_machine, write_json
from benchmarks.common.paired import Ratio, Times, measure, speedup
from benchmarks.core.classic_vits import (
    CLASSES,
    Size,
    exact_gradients,
    gradient_error,
    hf_vit,
    logits,
    saccade_vit,
    timm_vit,
    to_hf,
    to_timm,
)
from saccade.models import Classifier, ClassifierConfig, preset

OURS, HF, HF_EAGER, TIMM = "ours", "HF", "HF, eager attention", "timm"
MODERN, COMPILED = "ours, modern block", " compiled"


@dataclass(frozen=True)
class Case:
    """A model, a batch, and how many times faster than transformers the training step in bf16 is meant to be."""

    name: str
    size: Size
    batch: int
    step_goal: float | None
    modern: bool = True


CASES = [
    Case("small, 64 tokens", Size(32, 4, 192, 3, 9, 384), 128, 3.0),
    Case("small, 256 tokens", Size(64, 4, 192, 3, 9, 384), 32, 3.0),
    Case("ViT-B/16 at 224", Size(224, 16, 768, 12, 12, 3072), 8, 1.3, modern=False),
]
QUICK = [
    Case("quick, 16 tokens", Size(16, 4, 48, 3, 2, 96), 5, None),
    Case("quick, 9 tokens", Size(48, 16, 96, 2, 1, 384), 2, None, modern=False),
]


def main(
    *, compile: bool = False, repeats: int = 9, quick: bool = False, only: str = "", json_file: Path | None = None
) -> None:
    """Time and compare.

    Parameters
    ----------
    compile
        Also run every model through torch.compile.
    repeats
        Turns that each way gets, after two that are not counted.
    quick
        Tiny models and three turns, to prove that the script works. Its figures mean nothing.
    only
        Run the cases with this in their names.
    json_file
        Write all figures there.
    """
    torch.manual_seed(0)
    print_machine()
    results = []
    for case in QUICK if quick else CASES:
        if only in case.name:
            results.append(run(case, compile, 3 if quick else repeats))
    write_json(json_file, {"cases": results})


def run(case: Case, compile: bool, repeats: int) -> dict[str, Any]:
    """All comparisons of one case, printed as they come, returned for JSON."""
    tokens = case.size.grid[0] ** 2 + 1
    print(f"\n## {case.name}: width {case.size.width}, depth {case.size.depth}, {tokens} tokens, batch {case.batch}")
    side = case.size.picture
    batch = torch.randn(case.batch, 3, side, side), torch.randint(0, CLASSES, (case.batch,))
    peers = same_models(case.size)
    checked = check(peers, batch)
    ways: dict[str, nn.Module] = dict(peers)
    if case.modern:
        ways[MODERN] = modern(case.size)
    if compile:
        ways |= {name + COMPILED: cast(nn.Module, torch.compile(model)) for name, model in ways.items()}
    groups = []
    for precision in ("fp32", "bf16"):
        for what in ("forward", "step"):
            torch.compiler.reset()  # of what several models share, only the first eight forms would be compiled
            passes = {name: one_pass(model, batch, precision, what) for name, model in ways.items()}
            for model in ways.values():
                model.train(what == "step")
            times = measure(passes, repeats, warmup=2)
            groups.append(report(case, what, precision, times))
            for model in ways.values():
                model.zero_grad()
    return {"case": case.name, "size": asdict(case.size), "batch": case.batch, **checked, "timings": groups}


def same_models(size: Size) -> dict[str, nn.Module]:
    """The models that are the same, with the same weights."""
    models: dict[str, nn.Module] = {OURS: saccade_vit(size), HF: hf_vit(size), HF_EAGER: hf_vit(size, "eager")}
    weights = models[OURS].state_dict()
    for name in (HF, HF_EAGER):
        models[name].load_state_dict(to_hf(weights))
    try:
        models[TIMM] = timm_vit(size)
        models[TIMM].load_state_dict(to_timm(weights))
    except (ImportError, RuntimeError) as error:
        print(f"without timm: {error}")
    return models


def modern(size: Size) -> Classifier:
    """Our own preset of the same width and depth: RMSNorm, QK-norm, rotary positions, overlapping patches."""
    block = {"width": size.width, "heads": size.heads, "hidden": size.hidden}
    vit = preset("small", grid=size.grid, patch=size.patch, depth=size.depth, block=block)
    return Classifier(ClassifierConfig(vit=vit, classes=CLASSES))


def precision_of(name: str) -> AbstractContextManager[object]:
    return torch.autocast("cpu", torch.bfloat16) if name == "bf16" else nullcontext()


def one_pass(model: nn.Module, batch: tuple[Tensor, Tensor], precision: str, what: str) -> Callable[[], object]:
    """What is timed."""
    images, labels = batch

    def forward() -> None:
        with torch.no_grad(), precision_of(precision):
            logits(model, images)

    def step() -> None:
        model.zero_grad()
        with precision_of(precision):
            outputs = logits(model, images)
        F.cross_entropy(outputs.float(), labels).backward()

    return forward if what == "forward" else step


def check(models: dict[str, nn.Module], batch: tuple[Tensor, Tensor]) -> dict[str, Any]:
    """Outputs against ours, gradients against float64."""
    images, labels = batch
    with torch.no_grad():
        outputs = {name: logits(model.eval(), images) for name, model in models.items()}
    apart = {name: float((out - outputs[OURS]).abs().max()) for name, out in outputs.items() if name != OURS}
    print("largest difference of logits from ours, fp32: " + "  ".join(f"{n} {d:.1e}" for n, d in apart.items()))

    ours = models[OURS]
    assert isinstance(ours, Classifier)
    exact = exact_gradients(ours, lambda twin: F.cross_entropy(twin(images.double()), labels))
    rename = {OURS: None, HF: to_hf, HF_EAGER: to_hf, TIMM: to_timm}
    errors: dict[str, dict[str, float]] = {}
    for precision in ("fp32", "bf16"):
        errors[precision] = {}
        for name, model in models.items():
            one_pass(model, batch, precision, "step")()
            errors[precision][name] = gradient_error(model, exact, rename[name])
        listed = "  ".join(f"{name} {error:.2e}" for name, error in errors[precision].items())
        print(f"relative error of the gradients against float64, {precision}: {listed}")
    return {"logits_apart": apart, "gradient_error": errors}


def report(case: Case, what: str, precision: str, times: Times) -> dict[str, Any]:
    """Print the times of one group and their ratios; return both."""
    print(f"\n{case.name}, {what}, {precision}")
    for name, seconds in times.items():
        ms, note = median(seconds) * 1e3, "  (another architecture)" if name.startswith(MODERN) else ""
        print(f"  {name:28} {ms:9.1f} ms  {case.batch / ms * 1e3:8.1f} images/s{note}")
    ratios: dict[str, Ratio] = {}
    step_goal = case.step_goal if precision == "bf16" else None
    goal = step_goal if what == "step" else case.step_goal and 1.0
    for ours, theirs in pairs(times):
        found = ratios[f"{ours} / {theirs}"] = speedup(times, ours, theirs)
        aim = ""
        if goal is not None and theirs in (HF, HF + COMPILED) and not ours.startswith(MODERN):
            aim = f"  goal {goal:.1f}x: {'reached' if found.value >= goal else 'not reached'}"
        print(f"  {ours + ' / ' + theirs:44} {found}{aim}")
    return {
        "what": what,
        "precision": precision,
        "seconds": times,
        "goal": goal,
        "ratios": {name: asdict(found) for name, found in ratios.items()},
    }


def pairs(times: Times) -> list[tuple[str, str]]:
    """Ours against every peer, as users run it and both compiled."""
    mine = [name for name in times if name.startswith(OURS)]
    theirs = [name for name in times if not name.startswith(OURS)]
    return [(our, their) for our in mine for their in theirs if our.endswith(COMPILED) or not their.endswith(COMPILED)]


if __name__ == "__main__":
    cyclopts.run(main)
