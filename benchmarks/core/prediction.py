"""`saccade predict` on files beside the same model on pictures in memory: whether decoding lets the model wait.

    python -m benchmarks.core.prediction --json-file prediction.json
    python -m benchmarks.core.prediction --threads 1
    python -m benchmarks.core.prediction --quick

Both go through all steps of the command: batches, resizing, the forward pass. "in memory" has all pictures decoded
beforehand; "files" decodes the next ones while the model computes; "one after the other" decodes each when it is
needed. A model that takes every processor leaves none for decoding: then the time of both adds up, and --threads
leaves one free.
"""

import statistics
import tempfile
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated

import cyclopts
import numpy as np
import torch
from PIL import Image

from benchmarks.common.machine import print_machine, write_json
from benchmarks.common.paired import Ratio, Times, measure, speedup
from saccade.cli.predict import BATCH, PictureInputs
from saccade.data import Picture, read_image
from saccade.tasks import load
from saccade.tasks.registry import commands_for_model

MODELS = ("cifar", "scenes", "shapes")


def main(
    *,
    models: tuple[str, ...] = MODELS,
    n: int = 64,
    side: int = 480,
    threads: int | None = None,
    repeats: int = 5,
    quick: bool = False,
    json_file: Annotated[Path | None, cyclopts.Parameter(name=["--json", "--json-file"])] = None,
) -> None:
    """Seconds for all pictures, in turns.

    Parameters
    ----------
    models
        Bundled models, or folders.
    n
        Pictures.
    side
        Shorter side of the JPEGs in pixels; 3 : 4.
    threads
        Threads of PyTorch. Default: one a processor.
    repeats
        Turns.
    quick
        Few pictures, one turn.
    json_file
        Write all figures there.
    """
    n, repeats = (20, 1) if quick else (n, repeats)
    if threads is not None:
        torch.set_num_threads(threads)
    print_machine()
    results = []
    with tempfile.TemporaryDirectory() as folder:
        files = draw(Path(folder), n, side)
        decoded = [read_image(file) for file in files]
        for model in models:
            times = measure(ways(model, files, decoded), repeats)
            found = {way: speedup(times, "in memory", way) for way in ("files", "one after the other")}
            results.append(row(model, times, found))
            print(
                f"{model:8} {n / statistics.median(times['in memory']):6.1f} pictures/s in memory; files take "
                f"{found['files']}, decoded one after the other {found['one after the other']}",
                flush=True,
            )
    write_json(json_file, {"pictures": n, "side": side, "results": results})


def ways(model: str, files: list[Path], decoded: list[Picture]) -> dict[str, Callable[[], object]]:
    """Everything that the command does with the pictures."""
    task = load(model)
    commands = commands_for_model(task)
    options = commands.predict_options()

    def run(pictures: Iterable[Picture]) -> None:
        deque(commands.predict(task, pictures, options, BATCH), maxlen=0)

    return {
        "in memory": lambda: run(decoded),
        "files": lambda: run(PictureInputs(files, "fail", keep_pictures=False)),
        "one after the other": lambda: run(map(read_image, files)),
    }


def row(model: str, times: Times, found: dict[str, Ratio]) -> dict[str, object]:
    """One model's part of the JSON."""
    ratios = {
        "files / in memory": found["files"].to_dict("at most 1.05"),
        "one after the other / in memory": found["one after the other"].to_dict(),
    }
    return {"name": model, "seconds": times, "ratios": ratios}


def draw(folder: Path, n: int, side: int) -> list[Path]:
    """JPEGs with as much detail as photos have."""
    generator = np.random.default_rng(0)
    files = [folder / f"{i}.jpg" for i in range(n)]
    for file in files:
        coarse = Image.fromarray(generator.integers(0, 255, (side // 8, side // 6, 3), dtype=np.uint8))
        coarse.resize((side * 4 // 3, side), Image.Resampling.BICUBIC).save(file, quality=90)
    return files


if __name__ == "__main__":
    cyclopts.run(main)
