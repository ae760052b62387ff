"""A model's forward pass in PyTorch, compiled, in ONNX Runtime and in OpenVINO: ratios, and seconds to load.

    python -m benchmarks.core.engines                      # cifar, batches of 1 and 16
    python -m benchmarks.core.engines --model scenes --no-compile
    python -m benchmarks.core.engines --quick

All are the graph that `saccade export` writes, in float32, with the same number of threads, and answer alike: export
compares them. Engines that are not installed are left out.
"""

import argparse
import importlib.util
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from benchmarks.common.machine import machine, print_machine
from benchmarks.common.paired import elapsed, measure, speedup
from saccade.tasks import load
from saccade.tasks.exported import export, exported_class

ENGINES = {"onnx": (".onnx", "onnxruntime"), "openvino": (".xml", "openvino")}
BASELINE = "eager"

Network = Callable[[Tensor], object]


def exported(model: str, format: str, suffix: str, place: Path) -> Network:
    """The model in an engine; prints what export and load take."""
    file = place / f"model{suffix}"
    written = elapsed(lambda: export(load(model), file, format))
    start = time.perf_counter()
    network = load(file).model
    print(f"{format}: exported in {written:.1f} s, loaded in {time.perf_counter() - start:.2f} s")
    return network


def compiled(graph: torch.nn.Module, example: Tensor) -> Network:
    """By torch.compile, for any batch; prints what that takes."""
    network = torch.compile(graph, dynamic=True)
    print(f"compiled: in {elapsed(lambda: network(example)):.1f} s")
    return network


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="cifar", help="a classifier, detector or segmenter, as for saccade export")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--repeats", type=int, default=21)
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--json-file", type=Path, help="write the ratios to this file as well")
    parser.add_argument("--quick", action="store_true", help="three turns, no torch.compile")
    options = parser.parse_args()
    repeats = 3 if options.quick else options.repeats
    task = load(options.model)
    graph = exported_class(task.kind).graph(task).eval()
    shape = (len(task.preprocess.mean), *task.preprocess.size)
    print_machine()
    found: dict[str, object] = {}
    with TemporaryDirectory() as place, torch.no_grad():
        ways: dict[str, Network] = {BASELINE: graph}
        if options.compile and not options.quick:
            ways["compiled"] = compiled(graph, torch.randn(2, *shape))
        for format, (suffix, package) in ENGINES.items():
            if importlib.util.find_spec(package) and importlib.util.find_spec("onnxscript"):
                ways[format] = exported(options.model, format, suffix, Path(place))
        for batch in options.batches:
            pictures = torch.randn(batch, *shape)
            times = measure({name: partial(way, pictures) for name, way in ways.items()}, repeats, warmup=2)
            print(f"{options.model}, batch {batch}, {len(times[BASELINE])} turns, faster than {BASELINE}:")
            ratios = {name: speedup(times, name, BASELINE) for name in ways if name != BASELINE}
            for name, ratio in ratios.items():
                print(f"  {name:<10} {ratio}")
            title = f"{options.model}, batch {batch}"
            found[title] = {f"{name} / {BASELINE}": ratio.to_dict() for name, ratio in ratios.items()}
    if options.json_file:
        options.json_file.write_text(json.dumps({"machine": machine(), **found}, indent=2) + "\n")


if __name__ == "__main__":
    main()
