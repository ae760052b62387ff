"""Time and memory of views of attention as images grow: from q, k and the log-sum-exp, and from whole maps.

    python -m benchmarks.lens.views                  # 256 to 16,384 tokens, and rollout through 12 layers of 4,097
    python -m benchmarks.lens.views --quick          # two small sizes: does it run

Random q and k of one layer of a ViT-B (12 heads of 64), fp32, one image. "lens" takes the view from a `Call`; "maps"
makes softmax(qkᵀ/8) of all heads and takes the view from that, as one must where a library returns maps. Each size and
way has a process of its own, and both ways take turns; the median of the repeats after one warm-up, and the peak
resident memory above what the process had before. Maps stop where three of them do not fit in the free memory. Growth:
the slope of a straight line through log(cost) over log(tokens).

Rollout of one token: "lens" is the chain of vector products of `Trace.rollout`; "maps" makes and keeps the maps of all
layers, as `output_attentions=True` does, averages the heads, and multiplies the n x n matrices.
"""

import argparse
import math
import statistics
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.common.machine import available, write_json
from benchmarks.common.paired import Ratio, interleave, judged, speedup
from benchmarks.common.worker import NO_HOARDING, serve, worker

HEADS, WIDTH = 12, 64
SIZES, QUICK = (256, 1024, 4096, 16384), (256, 576)
ROLLOUT, QUICK_ROLLOUT = (4097, 12), (257, 3)
WAYS = ("lens", "maps")
VIEWS = {"views": ("row", "column", "received", "entropy", "top 5", "distance"), "rollout": ("rollout",)}


def work(way: str, what: str, tokens: int, layers: int) -> None:
    """In a worker process: one view per request, which is its name."""
    import torch

    torch.manual_seed(0)
    with torch.no_grad():
        qk = [torch.randn(2, 1, HEADS, tokens, WIDTH) for _ in range(layers)]
        views = rollouts(qk, way) if what == "rollout" else views_of(qk[0], way, tokens)
        serve(views.__getitem__)


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


def measure(what: str, tokens: int, layers: int, repeats: int) -> dict[str, dict[str, Any] | None]:
    """Seconds of every turn and bytes of each view, by way; None for "maps" where they would not fit."""
    fits = (layers + 2) * HEADS * tokens**2 * 4 <= available()
    with ExitStack() as scope:
        workers = {
            way: scope.enter_context(
                worker(
                    __spec__.name, way, what, tokens, layers, environment=NO_HOARDING
                )  # one view does not pay for another
            )
            for way in WAYS
            if fits or way == "lens"
        }
        results: dict[str, dict[str, Any] | None] = {way: {} if way in workers else None for way in WAYS}
        for view in VIEWS[what]:
            answers = interleave({way: partial(ask, view) for way, ask in workers.items()}, repeats)
            for way, each in answers.items():
                seconds = [answer["seconds"] for answer in each]
                used = max(max(answer["peak"] - answer["idle"] for answer in each), 1)
                results[way][view] = {"times": seconds, "seconds": statistics.median(seconds), "bytes": used}
    return results


def growth(points: dict[int, float]) -> float:
    """The exponent of a power law through the points: tokens -> cost."""
    if len(points) < 2:
        return math.nan
    return statistics.linear_regression([math.log(n) for n in points], [math.log(c) for c in points.values()]).slope


def cell(result: dict | None, key: str, scale: float, unit: str) -> str:
    return f"{'does not fit':>14}" if result is None else f"{result[key] * scale:11,.1f} {unit}"


def report(sizes: tuple[int, ...], rollout: tuple[int, int], repeats: int) -> dict:
    """Measure all, print the tables, and return the measurements."""
    views = {n: measure("views", n, 1, repeats) for n in sizes}
    for name in VIEWS["views"]:
        print_view(name, {n: {way: each and each[name] for way, each in ways.items()} for n, ways in views.items()})
    tokens, layers = rollout
    ways = {way: each and each["rollout"] for way, each in measure("rollout", tokens, layers, repeats).items()}
    print(f"\nrollout of one token, {tokens:,} tokens x {layers} layers")
    for way in WAYS:
        print(f"  {way:<6} {cell(ways[way], 'seconds', 1e3, 'ms')} {cell(ways[way], 'bytes', 1e-6, 'MB')}")
    ratios = rollout_ratios(ways, rollout == ROLLOUT) if ways["maps"] else {}
    return {"views": views, f"rollout of one token, {tokens:,} tokens x {layers} layers": ways | ratios}


def print_view(name: str, results: dict[int, dict[str, dict | None]]) -> None:
    """A table of one view: tokens, time and memory of each way, the spread of the time ratio, and growth."""
    print(f"\n{name}\n  {'tokens':>8} {'lens':>14} {'maps':>14} {'lens':>14} {'maps':>14}  time: maps / lens")
    for n, ways in results.items():
        cells = [cell(ways[way], *what) for what in (("seconds", 1e3, "ms"), ("bytes", 1e-6, "MB")) for way in WAYS]
        print(f"  {n:>8,} {' '.join(cells)}  {time_ratio(ways)}")
    slopes = [
        growth({n: ways[way][key] for n, ways in results.items() if ways[way]})
        for key in ("seconds", "bytes")
        for way in WAYS
    ]
    print(f"  {'growth':>8} " + " ".join(f"{'n^' + format(slope, '.2f'):>14}" for slope in slopes))


def time_ratio(ways: dict[str, dict | None]) -> str:
    return str(speedup({way: each["times"] for way, each in ways.items()}, "lens", "maps")) if ways["maps"] else ""


def rollout_ratios(ways: dict[str, dict], full: bool) -> dict[str, dict[str, object]]:
    """Print rollout from maps over rollout from the lens, and return it for JSON. full: at the size of the aims."""
    memory = Ratio.of_memory(ways["maps"]["bytes"] / ways["lens"]["bytes"])
    time = speedup({way: ways[way]["times"] for way in WAYS}, "lens", "maps")
    found = {}
    for what, ratio, aim in (("time", time, "at least 10"), ("peak memory", memory, "at least 50")):
        aim = aim if full else ""
        print(f"  {what + ': maps / lens':<28} {ratio!s:24}   {judged(ratio, aim)}")
        found[f"{what}: maps / lens"] = ratio.to_dict(aim)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two small sizes, to see that it runs")
    parser.add_argument("--sizes", type=int, nargs="+", help="numbers of tokens, squares of whole numbers")
    parser.add_argument("--repeats", type=int, default=3, help="timed runs of each view")
    parser.add_argument("--json-file", type=Path, help="write the measurements to this file as well")
    parser.add_argument("--worker", nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        way, what, *numbers = args.worker
        return work(way, what, *map(int, numbers))
    sizes = tuple(args.sizes or (QUICK if args.quick else SIZES))
    if any(math.isqrt(n) ** 2 != n for n in sizes):
        raise SystemExit(f"sizes {sizes}: the view `distance` needs squares, such as 256")
    results = report(sizes, QUICK_ROLLOUT if args.quick else ROLLOUT, args.repeats)
    write_json(args.json_file, results)


if __name__ == "__main__":
    main()
