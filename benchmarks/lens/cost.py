"""What watching and views cost in forward passes: CPU time of one thread, watched over unwatched, views over forward.

    python -m benchmarks.lens.cost                  # widths 192 to 768 at 197 tokens, views at 4,097; about 4 minutes
    python -m benchmarks.lens.cost --quick          # small sizes, twice: does it run

ViTs of transformers with random weights, one image, fp32, without gradients, fused ("sdpa") and in separate operations
("eager"). Ways take turns in one process, each watch is begun and left within its turn, and only CPU time of the
process counts, so that the figures hold on a busy machine. Median ratio, with the smallest and largest of any turn.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.common.machine import write_json
from benchmarks.common.paired import Ratio, measure, speedup

WATCHED = ((192, 12, 224), (384, 12, 224), (768, 12, 224))  # width, layers, pixels
VIEWED = (192, 12, 1024)
QUICK_WATCHED, QUICK_VIEWED = ((48, 2, 32),), (48, 2, 64)
PATCH, HEAD = 16, 64
AIMS = {"sdpa": 1.05, "eager": 1.15, "rollout, first": 0.5, "rollout": 0.5, "entropy": 1.0, "distance": 1.0}


def vit(width: int, layers: int, pixels: int, implementation: str = "sdpa"):
    """A ViT and a picture for it."""
    import torch
    from transformers import ViTConfig, ViTModel

    torch.manual_seed(0)
    heads = max(1, width // HEAD)
    config = ViTConfig(hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads, image_size=pixels)
    config.intermediate_size, config.patch_size = 4 * width, PATCH
    model = ViTModel(config, add_pooling_layer=False).eval()
    model.set_attn_implementation(implementation)
    return model, torch.randn(1, 3, pixels, pixels)


def watching(size: tuple[int, int, int], implementation: str, repeats: int) -> Ratio:
    """Watched over unwatched."""
    import torch

    import saccade

    model, x = vit(*size, implementation)

    def watched() -> None:
        with saccade.watch(model):
            model(x)

    with torch.no_grad():
        times = measure({"unwatched": lambda: model(x), "watched": watched}, repeats, 3, time.process_time)
    return speedup(times, "unwatched", "watched")


def views(size: tuple[int, int, int], repeats: int) -> dict[str, Ratio]:
    """Each view of all layers over the forward pass that it explains. First: of a trace that was read by nothing."""
    import torch

    import saccade

    model, x = vit(*size)
    side = size[2] // PATCH

    def watched() -> saccade.Trace:
        with torch.inference_mode(), saccade.watch(model) as trace:
            model(x)
        return trace

    def forward() -> None:
        with torch.inference_mode():
            model(x)

    trace, fresh = watched(), [watched() for _ in range(repeats + 1)]
    ways: dict[str, Callable[[], object]] = {
        "forward": forward,
        "rollout, first": lambda: fresh.pop().rollout(),
        "rollout": trace.rollout,
        "received": lambda: [call.received() for call in trace],
        "entropy": lambda: [call.entropy() for call in trace],
        "distance": lambda: [call.distance((side, side)) for call in trace],
        "column": lambda: [call.columns(5) for call in trace],
    }
    times = measure(ways, repeats, clock=time.process_time)
    return {name: speedup(times, "forward", name) for name in ways if name != "forward"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small sizes, twice, to see that it runs")
    parser.add_argument("--repeats", type=int, default=15, help="turns of watching")
    parser.add_argument("--json-file", type=Path, help="write the ratios to this file as well")
    args = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    sizes, viewed = (QUICK_WATCHED, QUICK_VIEWED) if args.quick else (WATCHED, VIEWED)
    repeats = 2 if args.quick else args.repeats
    found: dict[str, dict[str, object]] = {"watched / unwatched": {}, "view / forward": {}}
    print("watched / unwatched")
    for size in sizes:
        for implementation in ("sdpa", "eager"):
            name = f"width {size[0]}, {(size[2] // PATCH) ** 2 + 1} tokens, {implementation}"
            ratio = watching(size, implementation, repeats)
            found["watched / unwatched"][name] = ratio.to_dict(f"at most {AIMS[implementation]:g}")
            print(f"  {name:<32} {ratio}")
    print(f"view of {viewed[1]} layers / forward, width {viewed[0]}, {(viewed[2] // PATCH) ** 2 + 1:,} tokens")
    for name, ratio in views(viewed, 2 if args.quick else 3).items():
        found["view / forward"][name] = ratio.to_dict(f"at most {AIMS[name]:g}" if name in AIMS else "")
        print(f"  {name:<32} {ratio}")
    write_json(args.json_file, found)


if __name__ == "__main__":
    main()
