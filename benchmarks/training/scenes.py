"""How many scenes one core draws, beside how many one core trains on: if more are drawn, training never waits for them.

    python -m benchmarks.training.scenes                      # 128 and 256 pixels; about a minute on a quiet core
    python -m benchmarks.training.scenes --sizes 128 --preset tiny --json-file scenes.json
    python -m benchmarks.training.scenes --quick              # proof that it works

A scene is all of it: picture, boxes, masks, relations, captions. A training step is forward and backward of the encoder
alone of one of our models, random weights, no optimizer, in bf16 autocast where the processor computes in it, else
fp32; a whole detector takes longer, so what is printed is more than it asks for. Both run on one core and are timed by
the processor's clock, which other processes do not add to, in turns: scenes, steps, scenes, steps, ... The ratio is
that of the medians; beside it stand the least and the greatest of any turn. `--appetite` takes a training's measured
pictures a second a core in place of the steps.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable

import torch

from benchmarks.common.paired import Ratio, machine, ratio
from saccade.data.scenes import Scenes
from saccade.models import ViT, preset


def main() -> None:
    options = arguments()
    torch.set_num_threads(1)
    where = machine()
    print("  ".join(f"{key} {value}" for key, value in where.items()))
    results = []
    for size in options.sizes:
        found = measure(size, options)
        results.append(found)
        print(said(found, options))
    if options.json_file:
        with open(options.json_file, "w") as file:
            json.dump({"machine": where, "results": results}, file, indent=1)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 256], help="pixels of a side")
    parser.add_argument("--preset", default="small/8", help="the encoder that trains")
    parser.add_argument("--batch", type=int, default=16, help="pictures a step")
    parser.add_argument("--scenes", type=int, default=200, help="scenes a turn at 128 pixels; fewer of larger ones")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--appetite", type=float, help="pictures a second a core, instead of measuring steps")
    parser.add_argument("--json-file")
    parser.add_argument("--quick", action="store_true", help="one short turn")
    options = parser.parse_args()
    if options.quick:
        options.sizes, options.batch, options.scenes, options.repeats = [64], 2, 10, 1
    return options


def measure(size: int, options: argparse.Namespace) -> dict[str, object]:
    """Pictures a second a core: drawn, and trained on."""
    count = max(4, min(options.scenes, options.scenes * 128 * 128 // (size * size)))
    step = None if options.appetite else training_step(size, options)
    draw(size, 0, 2)  # tables of noise are made once
    times: dict[str, list[float]] = {"scenes": [], "step": []}
    if step is not None:
        step()
    for turn in range(options.repeats):
        times["scenes"].append(seconds(lambda turn=turn: draw(size, turn, count)) / count)
        times["step"].append(seconds(step) / options.batch if step else 1 / options.appetite)
    against: Ratio = ratio(times, "scenes", "step")
    return {
        "size": size,
        "scenes_a_second": round(1 / statistics.median(times["scenes"]), 1),
        "trained_a_second": round(1 / statistics.median(times["step"]), 1),
        "ratio": [round(part, 2) for part in (against.value, against.low, against.high)],
    }


def draw(size: int, seed: int, count: int) -> None:
    scenes = Scenes(count, size, seed)
    for i in range(count):
        scenes.scene(i)


def training_step(size: int, options: argparse.Namespace) -> Callable[[], None]:
    torch.manual_seed(0)
    model = ViT(preset(options.preset))
    pictures = torch.rand(options.batch, 3, size, size)
    fast = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()

    def step() -> None:
        model.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=fast):
            tokens = model(pictures)
        tokens.float().square().mean().backward()

    return step


def seconds(work: Callable[[], None]) -> float:
    """Of the processor, for this process."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


def said(found: dict, options: argparse.Namespace) -> str:
    peer = "the training named" if options.appetite else f"training steps of {options.preset}"
    value, low, high = found["ratio"]
    return (
        f"{found['size']} pixels: {found['scenes_a_second']} scenes a second a core; {peer} take "
        f"{found['trained_a_second']}: {value}x as many drawn ({low} to {high})"
    )


if __name__ == "__main__":
    main()
