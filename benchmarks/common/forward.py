"""Forward passes of two networks in turns: batches of 1 and 16, fp32 and bf16, in processor seconds of one thread."""

import argparse
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from statistics import median

import torch
from torch import Tensor, nn

from benchmarks.common.machine import print_machine, write_json
from benchmarks.common.paired import judged, measure, speedup
from saccade.device import keep_freed_memory
from saccade.models.vit import ViTConfig

AIM = "at least 1"
OURS, COARSE = "ours", "ours in patches of 16 pixels"

Network = Callable[[Tensor], object]


def parse(description: str | None) -> argparse.Namespace:
    """The options of such a benchmark: size, repeats, quick, json_file."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=128, help="side of the pictures in pixels, a multiple of 32")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--json-file", type=Path, help="write the ratios to this file as well")
    parser.add_argument("--quick", action="store_true", help="three turns, small pictures; its figures mean nothing")
    options = parser.parse_args()
    return options if not options.quick else argparse.Namespace(**{**vars(options), "size": 64, "repeats": 3})


def parameters(model: nn.Module) -> str:
    """Number of learned values."""
    return f"{sum(p.numel() for p in model.parameters()) / 1e6:.2f} M"


def in_patches_of_16(vit: ViTConfig) -> ViTConfig:
    """The encoder with a quarter as many tokens as one in patches of 8 pixels."""
    return vit.model_copy(update={"patch": 16, "window": 32, "grid": (vit.grid[0] // 2, vit.grid[1] // 2)})


@torch.inference_mode()
def compare_forward(ways: Mapping[str, Network], peer: str, options: argparse.Namespace) -> None:
    """Time `ways`, the peer among them; print how many times faster the others are, and write that as JSON."""
    torch.set_num_threads(1)
    keep_freed_memory()  # for all, as the commands do
    print_machine()
    cases = []
    for precision in ("fp32", "bf16"):
        for batch in (1, 16):
            pictures = torch.randn(batch, 3, options.size, options.size)
            networks = {name: partial(way, pictures) for name, way in ways.items()}
            with torch.autocast("cpu", torch.bfloat16) if precision == "bf16" else nullcontext():
                times = measure(networks, options.repeats, warmup=2, clock=time.process_time)
            rates = "  ".join(f"{name} {batch / median(seconds):.1f}" for name, seconds in times.items())
            print(f"{precision}, batch {batch}: pictures a second: {rates}")
            case: dict[str, object] = {"case": f"{options.size} pixels, batch {batch}", "precision": precision}
            for name in ways.keys() - {peer}:
                ratio, aim = speedup(times, name, peer), AIM if name == OURS else ""
                print(f"  {name} / {peer} {ratio} {judged(ratio, aim)}")
                case[f"{name} / {peer}"] = ratio.to_dict(aim)
            cases.append(case)
    write_json(options.json_file, {"cases": cases})
