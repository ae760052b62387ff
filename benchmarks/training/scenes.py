"""Scenes that one core draws per second, beside the images that one core trains on.

    python -m benchmarks.training.scenes                      # 128 and 256 pixels; about a minute on a quiet core
    python -m benchmarks.training.scenes --sizes 128 --preset tiny --json-file scenes.json
    python -m benchmarks.training.scenes --quick              # shows that it works

A scene is all of it: image, boxes, masks, relations, captions. A training step is forward and backward of the encoder
alone of one of our models, random weights, no optimizer, in bf16 autocast where the processor computes in it, else
fp32; a whole detector takes longer, so what is printed is more than it asks for. Both run on one core and are timed by
the processor's clock, which other processes do not add to, in turns: scenes, steps, scenes, steps, ... The ratio is
that of the medians; beside it stand the least and the greatest of any turn. `--consumption` takes the images per second
and core that a training was measured to consume in place of the steps.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable

import torch

from benchmarks.common.machine import computes_in_bf16, machine, print_machine
from benchmarks.common.paired import measure, speedup
from saccade.data.scenes import Scenes
from saccade.models import ViT, preset


def main() -> None:
    options = arguments()
    torch.set_num_threads(1)
    print_machine()
    results = []
    for size in options.sizes:
        results.append(compare(size, options))
        print(summary(results[-1], options))
    if options.json_file:
        with open(options.json_file, "w") as file:
            json.dump({"machine": machine(), "results": results}, file, indent=1)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 256], help="pixels of a side")
    parser.add_argument("--preset", default="small/8", help="preset of the encoder that trains")
    parser.add_argument("--batch", type=int, default=16, help="images per step")
    parser.add_argument("--scenes", type=int, default=200, help="scenes per turn at 128 pixels; fewer of larger ones")
    parser.add_argument("--repeats", type=int, default=5, help="turns of each")
    parser.add_argument("--consumption", type=float, help="images per second and core, instead of measuring steps")
    parser.add_argument("--json-file", help="write all figures to this file")
    parser.add_argument("--quick", action="store_true", help="one short turn")
    options = parser.parse_args()
    if options.quick:
        options.sizes, options.batch, options.scenes, options.repeats = [64], 2, 10, 1
    return options


def compare(size: int, options: argparse.Namespace) -> dict[str, object]:
    """Images per second and core: drawn, and trained on."""
    count = max(4, min(options.scenes, options.scenes * 128 * 128 // (size * size)))
    ways = {"scenes": lambda: draw(size, count)}
    if not options.consumption:
        ways["step"] = training_step(size, options)
    times = measure(ways, options.repeats, clock=time.process_time)
    each = {"scenes": [seconds / count for seconds in times["scenes"]]}
    each["step"] = [seconds / options.batch for seconds in times.get("step", [])]
    each["step"] = each["step"] or [1 / options.consumption] * options.repeats
    ratio = speedup(each, "scenes", "step")
    return {
        "size": size,
        "scenes_per_second": round(1 / statistics.median(each["scenes"]), 1),
        "trained_per_second": round(1 / statistics.median(each["step"]), 1),
        "ratio": [round(part, 2) for part in (ratio.value, ratio.low, ratio.high)],
    }


def draw(size: int, count: int) -> None:
    scenes = Scenes(count, size, seed=0)
    for i in range(count):
        scenes.scene(i)


def training_step(size: int, options: argparse.Namespace) -> Callable[[], None]:
    torch.manual_seed(0)
    model = ViT(preset(options.preset))
    pictures = torch.rand(options.batch, 3, size, size)
    bf16 = computes_in_bf16()

    def step() -> None:
        model.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            tokens = model(pictures)
        tokens.float().square().mean().backward()

    return step


def summary(result: dict, options: argparse.Namespace) -> str:
    peer = "the given training takes" if options.consumption else f"training steps of {options.preset} take"
    value, low, high = result["ratio"]
    return (
        f"{result['size']} pixels: {result['scenes_per_second']} scenes per second and core; {peer} "
        f"{result['trained_per_second']}: {value}x as many drawn ({low} to {high})"
    )


if __name__ == "__main__":
    main()
