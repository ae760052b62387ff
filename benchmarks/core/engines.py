"""Bundled models in PyTorch and exported to engines, in float32, bf16 and int8: forward passes, scores and loading.

ONNX Runtime, OpenVINO and torch.compile beside PyTorch; scores are of held-out pictures.

    python -m benchmarks.core.engines --cifar-test test/ --cifar-train train/   # all models, batches of 1 and 16
    python -m benchmarks.core.engines --models scenes --compile                 # also torch.compile, minutes a model
    python -m benchmarks.core.engines --quick

All ways run the file that `saccade export` writes, or its graph in PyTorch, with the same number of threads; of a
matcher the network of pictures is timed. bf16 is measured where the processor computes in it. int8 is each engine's own
quantization with 64 pictures to calibrate it that are not among the scored ones; it needs nncf for OpenVINO. A way
whose score falls by more than half a point is marked. cifar is scored and calibrated on the pictures that are given.
Engines that are not installed are left out.
"""

import argparse
import importlib.util
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from benchmarks.common.machine import computes_in_bf16, print_machine, write_json
from benchmarks.common.paired import Ratio, elapsed, measure, speedup
from benchmarks.core.quantized import quantize_onnx, quantize_openvino
from saccade.data import ImageFolder
from saccade.data.scenes import Scenes
from saccade.device import Device
from saccade.engines.run import ENGINES
from saccade.engines.write import KEY
from saccade.tasks import load
from saccade.tasks.exported import export, exported_class, part_file
from saccade.tasks.registry import commands_for_model

MODELS = ("cifar", "scenes", "shapes", "matcher")
BASELINE = "eager"
CALIBRATION = 64  # pictures
ALLOWED = 0.005  # that a score may fall
SCORES = {"classify": "top1", "detect": "mAP", "segment": "mIoU", "match": "recall@1"}

Network = Callable[[Tensor], object]


class Way:
    """One way to run a model. network: what is timed. task: what is scored; None where it is the baseline's."""

    def __init__(self, network: Network, task: Any, bf16: bool = False):
        self.network, self.task, self.bf16 = network, task, bf16


def ways_of(model: str, pictures: list[Tensor], place: Path, compile: bool) -> Iterator[tuple[str, Way]]:
    """All ways that are installed, by name; prints what they take to be made. pictures: to calibrate int8 with."""
    task = load(model)
    graph = exported_class(task.kind).graph(task).eval()
    yield BASELINE, Way(graph, task)
    if computes_in_bf16():
        yield "eager bf16", Way(torch.autocast("cpu", torch.bfloat16)(graph.forward), task, bf16=True)
    if compile:
        network = torch.compile(graph, dynamic=True)
        print(f"  compiled in {elapsed(lambda: network(torch.stack(pictures[:2]))):.1f} s")
        yield "compiled", Way(network, task)
    if not (_installed("onnxruntime") and _installed("onnxscript")):
        return
    file = place / f"{model}.onnx"
    print(f"  onnx: exported in {elapsed(lambda: export(task, file, 'onnx')):.1f} s", end="")
    yield "onnx", Way(*_opened(file))
    if pictures:
        quantized = _renamed(file, task, place / f"{model}-int8.onnx")
        quantize_onnx(file, quantized, pictures)
        yield "onnx int8", Way(*_opened(quantized))
    if not _installed("openvino"):
        return
    xml = _converted(file, task, place / f"{model}.xml")
    yield "openvino", Way(*_opened(xml))
    if pictures and _installed("nncf"):
        quantized = _renamed(xml, task, place / f"{model}-int8.xml")
        quantize_openvino(xml, quantized, pictures)
        yield "openvino int8", Way(*_opened(quantized))


def _opened(file: Path) -> tuple[Network, Any]:
    start = time.perf_counter()
    task: Any = load(file)
    print(f"  {file.name}: loaded in {time.perf_counter() - start:.2f} s")
    return getattr(task.model, "pictures", task.model), task


def _converted(file: Path, task: Any, to: Path) -> Path:
    """The ONNX files as those of OpenVINO, which `saccade export` makes in the same way."""
    import openvino

    for part in ("", *exported_class(task.kind).parts):
        model = openvino.convert_model(part_file(file, part))
        model.set_rt_info(ENGINES[".onnx"](part_file(file, part)).metadata, [KEY])
        openvino.save_model(model, part_file(to, part), compress_to_fp16=False)
    return to


def _renamed(file: Path, task: Any, to: Path) -> Path:
    """The name for a quantized copy, with copies of the parts that stay in float32 beside it."""
    for part in exported_class(task.kind).parts:
        for suffix in {file.suffix, ".bin"}:
            source = part_file(file, part).with_suffix(suffix)
            if source.is_file():
                part_file(to, part).with_suffix(suffix).write_bytes(source.read_bytes())
    return to


def _installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def score(way: Way, data: Any, out: Path) -> float:
    """On held-out pictures, 0 to 1. data: as for `saccade val`."""
    task, commands = way.task, commands_for_model(way.task)
    with torch.no_grad(), Device(torch.device("cpu"), way.bf16, 0, 1).autocast_context():
        place = Device(torch.device("cpu"), way.bf16, 0, 1)
        return commands.evaluate(task, data, None, "fail", place, out, commands.val_options()).scores[SCORES[task.kind]]


def calibration(task: Any, cifar: Path | None) -> list[Tensor]:
    """Preprocessed pictures to calibrate int8 with: scenes of another seed than those that are scored."""
    if task.kind != "classify":
        scenes = Scenes(n=CALIBRATION, seed=97, size=task.preprocess.size)
        return [task.preprocess(scenes.picture(i).image) for i in range(CALIBRATION)]
    if cifar is None:
        return []
    folder = ImageFolder(cifar)
    step = len(folder) // CALIBRATION
    return [task.preprocess(folder[i * step][0].image) for i in range(CALIBRATION)]


def measured(model: str, options: argparse.Namespace, place: Path) -> dict[str, Any]:
    """Ratios to the baseline, a dictionary for each batch, and scores."""
    print(f"{model}:")
    task = load(model)
    pictures = [] if options.quick else calibration(task, options.cifar_train)
    ways = dict(ways_of(model, pictures, place, options.compile and not options.quick))
    found: dict[str, Any] = {}
    shape = (len(task.preprocess.mean), *task.preprocess.size)
    for batch in options.batches:
        some = torch.randn(batch, *shape)
        calls = {name: partial(way.network, some) for name, way in ways.items()}
        with torch.no_grad():
            times = measure(calls, 3 if options.quick else options.repeats, warmup=2)
        ratios = {name: speedup(times, name, BASELINE) for name in ways if name != BASELINE}
        _print(f"batch {batch}, faster than {BASELINE}", ratios)
        found[f"{model}, batch {batch}"] = {f"{name} / {BASELINE}": ratio.to_dict() for name, ratio in ratios.items()}
    data = options.cifar_test if task.kind == "classify" else Path(f"scenes:{options.scenes}")
    if data is not None and not options.quick:
        scores = {name: score(way, data, place) for name, way in ways.items() if name != "compiled"}
        _print(f"{SCORES[task.kind]} on {data.name}", {name: _judged(each, scores) for name, each in scores.items()})
        found[f"{model}, {SCORES[task.kind]}"] = scores
    return found


def _judged(score: float, scores: Mapping[str, float]) -> str:
    fall = scores[BASELINE] - score
    return f"{score:.4f}" + (f"  falls by {100 * fall:.1f} points" if fall > ALLOWED else "")


def _print(title: str, rows: Mapping[str, Ratio | str]) -> None:
    print(f"  {title}")
    for name, row in rows.items():
        print(f"    {name:<14} {row}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=list(MODELS), help="bundled models, or folders of your own")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--repeats", type=int, default=11)
    parser.add_argument("--compile", action="store_true", help="also torch.compile, which takes minutes a model")
    parser.add_argument("--scenes", type=int, default=40, help="drawn scenes to score models of scenes on")
    parser.add_argument("--cifar-test", type=Path, help="pictures in class folders to score cifar on; a thousand do")
    parser.add_argument("--cifar-train", type=Path, help="other pictures in class folders to calibrate cifar in int8")
    parser.add_argument("--json-file", type=Path, help="write the ratios to this file as well")
    parser.add_argument("--quick", action="store_true", help="cifar alone, three turns, no scores, no int8")
    options = parser.parse_args()
    print_machine()
    with TemporaryDirectory() as place:
        found = [measured(model, options, Path(place)) for model in (["cifar"] if options.quick else options.models)]
    write_json(options.json_file, {key: value for each in found for key, value in each.items()})


if __name__ == "__main__":
    main()
