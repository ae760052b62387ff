"""What views of attention cost as pictures grow: from q, k and the log-sum-exp in tiles, and from whole maps.

    python -m benchmarks.lens.views                  # 256 to 16,384 tokens, and rollout through 12 layers of 4,097
    python -m benchmarks.lens.views --quick          # two small sizes: does it run

Random q and k of one layer of a ViT-B (12 heads of 64), fp32, one picture. "lens" takes the view from a `Call`; "maps"
makes softmax(qkᵀ/8) of all heads and takes the view from that, as one must where a library returns maps. Each size and
way in a process of its own; the median of the repeats after one warm-up, and the peak resident memory above what the
process had before. Maps stop where three of them do not fit in the memory that is free. Growth: the slope of a
straight line through log(cost) over log(tokens).

Rollout of one token: "lens" is the chain of vector products of `Trace.rollout`; "maps" makes and keeps the maps of all
layers, as `output_attentions=True` does, averages the heads, and multiplies the n x n matrices.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.common.memory import peak, reset_peak

HEADS, WIDTH = 12, 64
SIZES, QUICK = (256, 1024, 4096, 16384), (256, 576)
ROLLOUT, QUICK_ROLLOUT = (4097, 12), (257, 3)
WAYS = ("lens", "maps")


def worker(way: str, what: str, tokens: int, layers: int, repeats: int) -> None:
    """Measure some views in this process, and print seconds and bytes of each as JSON."""
    import torch

    torch.manual_seed(0)
    with torch.no_grad():
        qk = [torch.randn(2, 1, HEADS, tokens, WIDTH) for _ in range(layers)]
        views = rollouts(qk, way) if what == "rollout" else views_of(qk[0], way, tokens)
        found = {}
        for name, view in views.items():
            idle, seconds = reset_peak(), []
            for _ in range(repeats + 1):
                start = time.perf_counter()
                view()
                seconds.append(time.perf_counter() - start)
            found[name] = {"seconds": statistics.median(seconds[1:]), "bytes": max(peak() - idle, 1)}
    print(json.dumps(found))


def views_of(qk, way: str, tokens: int) -> dict[str, Callable]:
    """Each view of one layer, ready to be called."""
    import torch

    from saccade.lens import Call

    q, k = qk
    side = math.isqrt(tokens)
    places = torch.stack(torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij"), -1).view(-1, 2).float()
    if way == "lens":
        call = Call("layer", "self", q, k)
        _ = call.lse  # a kernel returns it
        return {
            "row": lambda: call.rows(0),
            "column": lambda: call.columns(0),
            "received": call.received,
            "entropy": call.entropy,
            "top 5": lambda: call.top(5),
            "distance": lambda: call.distance((side, side)),
        }

    def maps():
        return torch.softmax(q @ k.mT / WIDTH**0.5, dim=-1)

    return {
        "row": lambda: maps()[:, :, 0].clone(),
        "column": lambda: maps()[..., 0].clone(),
        "received": lambda: maps().mean(dim=2),
        "entropy": lambda: torch.special.entr(maps()).sum(-1),
        "top 5": lambda: maps().topk(5),
        "distance": lambda: torch.einsum("bhnm,nm->bhn", maps(), torch.cdist(places, places)).mean(-1),
    }


def rollouts(qk, way: str) -> dict[str, Callable]:
    import torch

    from saccade.lens import Call, Trace

    if way == "lens":
        trace = Trace([Call(f"layer.{i}", "self", q, k) for i, (q, k) in enumerate(qk)])
        for call in trace:
            _ = call.lse
        return {"rollout": trace.rollout}

    def whole():
        maps = [torch.softmax(q @ k.mT / WIDTH**0.5, dim=-1) for q, k in qk]
        n = maps[0].shape[-1]
        r = torch.eye(n)
        for each in maps:
            r = (0.5 * each.mean(dim=1) + 0.5 * torch.eye(n)) @ r
        return r[:, 0]

    return {"rollout": whole}


def measure(way: str, what: str, tokens: int, layers: int, repeats: int) -> dict[str, dict[str, float]] | None:
    """Seconds and bytes of each view; None where the maps would not fit."""
    maps = HEADS * tokens**2 * 4
    if way == "maps" and (layers + 2) * maps > available():
        return None
    command = [sys.executable, "-m", __spec__.name, "--worker", way, what, str(tokens), str(layers), str(repeats)]
    # Freed memory goes back at once, as in watch.py, so that one view does not pay for another.
    run = subprocess.run(command, stdout=-1, text=True, env=os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536"})
    if run.returncode:
        raise SystemExit(f"{way} of {what} at {tokens} tokens ended with {run.returncode} (out of memory?)")
    return json.loads(run.stdout)


def available() -> float:
    """Memory that is free, in bytes."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("MemAvailable")).split()[1]) * 1024
    except (OSError, StopIteration):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def growth(points: dict[int, float]) -> float:
    """The exponent of a power law through the points: tokens -> cost."""
    if len(points) < 2:
        return math.nan
    return statistics.linear_regression([math.log(n) for n in points], [math.log(c) for c in points.values()]).slope


def told(found: dict | None, key: str, scale: float, unit: str) -> str:
    return f"{'does not fit':>14}" if found is None else f"{found[key] * scale:11,.1f} {unit}"


def report(sizes: tuple[int, ...], rollout: tuple[int, int], repeats: int) -> dict:
    """Measure all, print the tables, and return what was measured."""
    results: dict = {"views": {}, "rollout": {}}
    for n in sizes:
        results["views"][n] = {way: measure(way, "views", n, 1, repeats) for way in WAYS}
    for name in next(iter(results["views"].values()))["lens"]:
        print(f"\n{name}\n  {'tokens':>8} {'lens':>14} {'maps':>14} {'lens':>14} {'maps':>14}")
        for n, ways in results["views"].items():
            one = {way: None if found is None else found[name] for way, found in ways.items()}
            cells = [told(one[way], *what) for what in (("seconds", 1e3, "ms"), ("bytes", 1e-6, "MB")) for way in WAYS]
            print(f"  {n:>8,} {' '.join(cells)}")
        slopes = [
            growth({n: ways[way][name][key] for n, ways in results["views"].items() if ways[way]})
            for key in ("seconds", "bytes")
            for way in WAYS
        ]
        print(f"  {'growth':>8} " + " ".join(f"{'n^' + format(slope, '.2f'):>14}" for slope in slopes))
    tokens, layers = rollout
    ways = results["rollout"] = {way: measure(way, "rollout", tokens, layers, repeats) for way in WAYS}
    print(f"\nrollout of one token, {tokens:,} tokens x {layers} layers")
    for way in WAYS:
        one = None if ways[way] is None else ways[way]["rollout"]
        print(f"  {way:<6} {told(one, 'seconds', 1e3, 'ms')} {told(one, 'bytes', 1e-6, 'MB')}")
    if ways["maps"]:
        for key, what, goal in (("seconds", "time", 10), ("bytes", "peak memory", 50)):
            ratio = ways["maps"]["rollout"][key] / ways["lens"]["rollout"][key]
            judged = (
                ("reached" if ratio >= goal else "NOT reached") if rollout == ROLLOUT else "(the goal is for 4,097)"
            )
            print(f"  {what + ': maps / lens':<44} {ratio:6.2f}   goal at least {goal:<4} {judged}")
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two small sizes, to see that it runs")
    parser.add_argument("--sizes", type=int, nargs="+", help="numbers of tokens, squares of whole numbers")
    parser.add_argument("--repeats", type=int, default=3, help="timed runs of each view")
    parser.add_argument("--json", type=Path, help="write the measurements to this file as well")
    parser.add_argument("--worker", nargs=5, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        way, what, *numbers = args.worker
        return worker(way, what, *map(int, numbers))
    sizes = tuple(args.sizes or (QUICK if args.quick else SIZES))
    if any(math.isqrt(n) ** 2 != n for n in sizes):
        raise SystemExit(f"sizes {sizes}: the view `distance` needs squares, such as 256")
    results = report(sizes, QUICK_ROLLOUT if args.quick else ROLLOUT, args.repeats)
    if args.json:
        args.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
