"""What watching costs: Hugging Face's ViT-B/16 unwatched, unwatched after it was watched, watched, and with eager
attention that returns its maps. What views cost is in views.py.

    python -m benchmarks.lens.watch                          # 224, 512 and 1024 pixels; needs about 21 GB of memory
    python -m benchmarks.lens.watch --sizes 224 --repeats 9
    python -m benchmarks.lens.watch --quick                  # 112 pixels, once: does it run

Random weights, one picture, fp32, no gradients. Time: the four take turns, each in a process of its own, so that what
else the machine does falls on all of them; the median of the repeats after one warm-up. Memory: the peak resident size
of one forward in a fresh process, in full and above what the process had before it, with an allocator told to give
freed memory back at once (glibc's MALLOC_MMAP_THRESHOLD_), since what it would hoard varies from run to run by more
than Q and K. On 2 quiet cores the default takes about 5 minutes.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.common.memory import peak, reset_peak

WAYS = ("fused", "after", "watched", "eager")
LAYERS, HEADS, WIDTH, PATCH = 12, 12, 768, 16


def worker(way: str, size: int) -> None:
    """Run one forward for each line that comes in, and answer with its seconds; at the end with the memory."""
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
    watch = saccade.watch  # imports the lens, which is no part of a forward
    idle = reset_peak()
    print("ready", flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        with torch.no_grad(), ExitStack() as scope:
            trace = scope.enter_context(watch(model)) if way == "watched" else None
            out = model(x, output_attentions=way == "eager")
        seconds = time.perf_counter() - start
        maps = len(trace) if trace is not None else len(out.attentions or ())
        assert maps == (0 if way in ("fused", "after") else LAYERS), f"{way}: {maps} layers seen"
        del trace, out
        print(json.dumps({"seconds": seconds, "peak": peak(), "idle": idle}), flush=True)


@contextmanager
def process(way: str, size: int, **environment: str) -> Iterator[Callable[[], dict[str, float]]]:
    """A worker process; calling what this yields runs one forward in it and returns its seconds and memory."""
    command = [sys.executable, "-m", __spec__.name, "--worker", way, str(size)]
    run = subprocess.Popen(command, stdin=-1, stdout=-1, text=True, bufsize=1, env=os.environ | environment)

    def forward() -> dict[str, float]:
        run.stdin.write("go\n")
        if answer := run.stdout.readline():
            return json.loads(answer)
        raise SystemExit(f"{way} at {size} pixels ended with {run.wait()} (out of memory?)")

    with run:
        try:
            run.stdout.readline()
            yield forward
        finally:
            run.kill()


def measure(size: int, repeats: int) -> dict[str, dict[str, float]]:
    """Seconds, peak memory and its part above the idle model, of each way at one picture size."""
    found = {}
    for way in WAYS:
        with process(way, size, MALLOC_MMAP_THRESHOLD_="65536") as forward:
            answer = forward()
        found[way] = {"peak": answer["peak"], "above": answer["peak"] - answer["idle"]}
    with ExitStack() as scope:
        forwards = {way: scope.enter_context(process(way, size)) for way in WAYS}
        turns = [{way: forward()["seconds"] for way, forward in forwards.items()} for _ in range(repeats + 1)]
    for way in WAYS:
        found[way]["seconds"] = statistics.median(turn[way] for turn in turns[1:])
    return found


def compare(size: int, ways: dict[str, dict[str, float]]) -> list[tuple[str, float, str, bool]]:
    """The ratios that the goals speak of: what, measured, goal, reached."""
    fused, after, watched, eager = (ways[way] for way in WAYS)
    tokens = (size // PATCH) ** 2 + 1
    kept = LAYERS * tokens * (2 * WIDTH + HEADS) * 4
    time_ratio = watched["seconds"] / fused["seconds"]
    extra = (watched["above"] - fused["above"]) / kept
    faster = eager["seconds"] / watched["seconds"]
    leaner = eager["peak"] / watched["peak"]
    left = after["seconds"] / fused["seconds"]
    return [
        ("time: after it was watched / unwatched", left, "1, and noise", abs(left - 1) <= 0.05),
        ("time: watched / unwatched", time_ratio, "at most 1.05", time_ratio <= 1.05),
        ("extra memory of watching / Q, K, log-sum-exp", extra, "at most 1", round(extra, 2) <= 1),
        ("time: eager / watched", faster, "at least 2", faster >= 2),
        ("peak memory: eager / watched", leaner, "at least 12", leaner >= 12),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[224, 512, 1024], help="picture sizes in pixels")
    parser.add_argument("--repeats", type=int, default=5, help="timed forwards of each way")
    parser.add_argument("--quick", action="store_true", help="one small size, once, to see that it runs")
    parser.add_argument("--json", type=Path, help="write the measurements to this file as well")
    parser.add_argument("--worker", nargs=2, metavar=("WAY", "SIZE"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        return worker(args.worker[0], int(args.worker[1]))
    results, sizes, repeats = {}, [112] if args.quick else args.sizes, 1 if args.quick else args.repeats
    for size in sizes:
        ways = results[size] = measure(size, repeats)
        print(f"\nViT-B/16 at {size} pixels, {(size // PATCH) ** 2 + 1} tokens, median of {repeats}")
        for way, found in ways.items():
            print(
                f"  {way:<8} {found['seconds'] * 1e3:10,.0f} ms   peak {found['peak'] / 1e9:6.2f} GB"
                f"   above the idle model {found['above'] / 1e9:6.2f} GB"
            )
        for what, ratio, goal, reached in compare(size, ways):
            judged = ("reached" if reached else "NOT reached") if size == 1024 else "(the goal is for 1024 pixels)"
            print(f"  {what:<44} {ratio:6.2f}   goal {goal:<13} {judged}")
    if args.json:
        args.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
