"""Time and memory of watching a ViT-B/16: unwatched, watched before, watched, and eager attention with maps.

    python -m benchmarks.lens.watch                          # 224, 512 and 1024 pixels; needs about 21 GB of memory
    python -m benchmarks.lens.watch --sizes 224 --repeats 9
    python -m benchmarks.lens.watch --quick                  # 112 pixels, once: does it run

Random weights, one image, fp32, no gradients. Time: the four take turns, each in a process of its own, so that what
else the machine does falls on all of them; the median of the repeats after one warm-up. Memory: the peak resident size
of one forward in a fresh process, in full and above what the process had before it, with an allocator told to give
freed memory back at once (glibc's MALLOC_MMAP_THRESHOLD_), since what it would hoard varies from run to run by more
than Q and K. On 2 quiet cores the default takes about 5 minutes.
"""

import argparse
import statistics
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.common.machine import write_json
from benchmarks.common.paired import Ratio, interleave, judged, speedup
from benchmarks.common.worker import NO_HOARDING, serve, worker

WAYS = ("fused", "after", "watched", "eager")
LAYERS, HEADS, WIDTH, PATCH = 12, 12, 768, 16
AIMS_AT = 1024  # pixels


def work(way: str, size: int) -> None:
    """In a worker process: one forward pass per request."""
    import torch
    from transformers import ViTConfig, ViTModel

    import saccade

    torch.manual_seed(0)
    model = ViTModel(ViTConfig(image_size=size), add_pooling_layer=False).eval()
    model.set_attn_implementation("eager" if way == "eager" else "sdpa")
    x = torch.randn(1, 3, size, size)
    if way == "after":
        with torch.no_grad(), saccade.watch(model):
            model(x)
    watch = saccade.watch  # imports the lens, which is not part of a forward pass

    def forward() -> None:
        with torch.no_grad(), ExitStack() as scope:
            trace = scope.enter_context(watch(model)) if way == "watched" else None
            out = model(x, output_attentions=way == "eager")
        maps = len(trace) if trace is not None else len(out.attentions or ())
        assert maps == (0 if way in ("fused", "after") else LAYERS), f"{way}: {maps} layers seen"

    serve(lambda request: forward)


def measure(size: int, repeats: int) -> dict[str, dict[str, Any]]:
    """Seconds, peak memory and its part above the idle model, of each way at one image size."""
    results: dict[str, dict[str, Any]] = {}
    module = __spec__.name
    for way in WAYS:
        with worker(module, way, size, environment=NO_HOARDING) as forward:
            answer = forward()
        results[way] = {"peak": answer["peak"], "above": answer["peak"] - answer["idle"]}
    with ExitStack() as scope:
        forwards = {way: scope.enter_context(worker(module, way, size)) for way in WAYS}
        answers = interleave(forwards, repeats)
    times = {way: [answer["seconds"] for answer in answers[way]] for way in WAYS}
    for way in WAYS:
        results[way] |= {"seconds": statistics.median(times[way]), "times": times[way]}
    return results


def compare(size: int, ways: dict[str, dict[str, Any]]) -> dict[str, tuple[Ratio, str]]:
    """The ratios that have aims, with their aims."""
    fused, watched, eager = (ways[way] for way in ("fused", "watched", "eager"))
    tokens = (size // PATCH) ** 2 + 1
    stored = LAYERS * tokens * (2 * WIDTH + HEADS) * 4
    times = {way: ways[way]["times"] for way in WAYS}
    after, slower, faster = (
        speedup(times, *pair) for pair in (("fused", "after"), ("fused", "watched"), ("watched", "eager"))
    )
    extra = (watched["above"] - fused["above"]) / stored
    leaner = eager["peak"] / watched["peak"]
    return {
        "time: after it was watched / unwatched": (after, "at most 1.05"),
        "time: watched / unwatched": (slower, "at most 1.05"),
        "extra memory of watching / Q, K, log-sum-exp": (Ratio.of_memory(extra), "at most 1"),
        "time: eager / watched": (faster, "at least 2"),
        "peak memory: eager / watched": (Ratio.of_memory(leaner), "at least 12"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[224, 512, 1024], help="picture sizes in pixels")
    parser.add_argument("--repeats", type=int, default=5, help="timed forwards of each way")
    parser.add_argument("--quick", action="store_true", help="one small size, once, to see that it runs")
    parser.add_argument("--json-file", type=Path, help="write the measurements to this file as well")
    parser.add_argument("--worker", nargs=2, metavar=("WAY", "SIZE"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        return work(args.worker[0], int(args.worker[1]))
    found: dict[str, Any] = {}
    sizes, repeats = [112] if args.quick else args.sizes, 1 if args.quick else args.repeats
    for size in sizes:
        ways = measure(size, repeats)
        print(f"\nViT-B/16 at {size} pixels, {(size // PATCH) ** 2 + 1} tokens, median of {repeats}")
        for way, each in ways.items():
            print(
                f"  {way:<8} {each['seconds'] * 1e3:10,.0f} ms   peak {each['peak'] / 1e9:6.2f} GB"
                f"   above the idle model {each['above'] / 1e9:6.2f} GB"
            )
        ratios = compare(size, ways)
        for what, (ratio, aim) in ratios.items():
            print(f"  {what:<44} {ratio!s:24}   {judged(ratio, aim) if size == AIMS_AT else ''}")
        found[f"{size} pixels"] = {
            what: ratio.to_dict(aim if size == AIMS_AT else "") for what, (ratio, aim) in ratios.items()
        }
    write_json(args.json_file, found)


if __name__ == "__main__":
    main()
