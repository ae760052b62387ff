"""Peak resident memory of every command in a process of its own, beside `import torch` alone.

    python -m benchmarks.core.memory --json-file memory.json
    python -m benchmarks.core.memory --quick

Sets and pictures are drawn in a temporary folder. A segmenter is trained on street-like pictures of 480 x 360 with
default settings, of which a few steps are enough: memory does not grow from step to step.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import cyclopts
import numpy as np
from PIL import Image

from benchmarks.common.machine import print_machine, write_json
from benchmarks.common.paired import Ratio

STREETS, PHOTOS, SCENES = 367, 60, 96  # pictures of each set
STREET_SIZE, PHOTO_SIZE, CLASSES = (360, 480), (2400, 3200), 12  # (height, width)
LIMIT = 3e9  # bytes of the segmenter's training

# In a small process: what a process took before it became another one, as a copy of its parent, counts as its own.
MEASURE = """
import resource, subprocess, sys
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(done.returncode)
"""


@dataclass(frozen=True)
class Case:
    """A command. name: in the table. held: pictures and models that it works on. limit: bytes that it may take."""

    name: str
    arguments: tuple[str, ...]
    held: str
    limit: float | None = None


def main(
    *,
    only: str = "",
    quick: bool = False,
    json_file: Annotated[Path | None, cyclopts.Parameter(name=["--json", "--json-file"])] = None,
) -> None:
    """Peak resident memory of whole commands; the largest of their processes counts.

    Parameters
    ----------
    only
        Commands whose name contains this.
    quick
        Sets of a few pictures.
    json_file
        Write all figures there.
    """
    print_machine()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        draw_sets(folder, quick)
        base = peak_of(["-c", "import torch"], folder)
        print(f"{'command':18} {'peak MB':>8}  of import torch  works on")
        print(f"{'import torch':18} {base / 1e6:8.0f}")
        results = {}
        for case in cases(quick):
            if only not in case.name:
                continue
            peak = peak_of(["-m", "saccade", *case.arguments], folder)
            results[case.name] = {"bytes": peak, "works on": case.held}
            if not case.limit:
                results[case.name]["of import torch"] = Ratio.of_memory(peak / base).to_dict()
            else:
                limit = f"of {case.limit / 1e9:g} GB"
                results[case.name][limit] = Ratio.of_memory(peak / case.limit).to_dict("at most 1")
            print(f"{case.name:18} {peak / 1e6:8.0f}  {peak / base:14.2f}x  {case.held}", flush=True)
    write_json(json_file, {"import torch": {"bytes": base}, "results": results})


def cases(quick: bool) -> Iterator[Case]:
    """Every command, on the sets of `draw_sets`."""
    streets, photos, scenes = counts(quick)
    small, train = f"{scenes} pictures of 64 x 64, an epoch", ("--epochs", "1", "--size", "64")
    yield Case("train classify", ("train", "classify", "--data", "kinds", *train), small)
    yield Case("train detect", ("train", "detect", "--data", "boxes", *train), small)
    yield Case("train segment", ("train", "segment", "--data", "masks", *train), small)
    yield Case("train match", ("train", "match", "--data", "captions", *train), small)
    yield Case("train generate", ("train", "generate", "--data", "captions", *train), small)
    height, width = STREET_SIZE
    limit, held = LIMIT, f"{streets} pictures of {width} x {height}, default settings, steps of 90 s"
    yield Case(
        "train on streets",
        ("train", "segment", "--data", "streets", "--name", "streets", "--budget", "90s"),
        held,
        limit,
    )
    yield Case("val detect", ("val", "boxes", "--model", "scenes"), f"{scenes} pictures of 64 x 64")
    yield Case("val segment", ("val", f"scenes:{scenes}", "--model", "shapes"), f"{scenes} scenes of 128 x 128")
    large = f"{photos} photos of {PHOTO_SIZE[1]} x {PHOTO_SIZE[0]}"
    yield Case("predict classes", ("predict", "photos", "--csv", "--out", "found.csv"), large)
    yield Case("predict areas", ("predict", "photos", "--model", "shapes", "--csv", "--out", "areas.csv"), large)
    yield Case("look", ("look", "photos/0.jpg", "--out", "look.html"), "one photo")
    yield Case("doctor", ("doctor", "streets"), f"{streets} pictures of {width} x {height} with masks")
    yield Case("scenes", ("scenes", "drawn", "--n", str(scenes), "--size", "128"), f"{scenes} scenes of 128 x 128")
    yield Case("generate", ("generate", "a red star", "--steps", "4"), "a picture of 64 x 64 in 4 steps")
    yield Case("search", ("search", "a red star", "photos"), large)
    yield Case("export", ("export", "cifar", "--format", "torch", "--out", "cifar.pt2"), "a model of 1.2 M parameters")


def counts(quick: bool) -> tuple[int, int, int]:
    """Pictures of the sets of streets, photos and scenes."""
    return (24, 3, 40) if quick else (STREETS, PHOTOS, SCENES)


def draw_sets(folder: Path, quick: bool) -> None:
    """Write the sets of all cases."""
    streets, photos, scenes = counts(quick)
    generator = np.random.default_rng(0)
    for part in ("photos", "streets/images", "streets/masks", "kinds/a", "kinds/b"):
        (folder / part).mkdir(parents=True)
    for i in range(photos):
        blocks(generator, PHOTO_SIZE)[0].save(folder / f"photos/{i}.jpg")
    for i in range(streets):
        picture, mask = blocks(generator, STREET_SIZE)
        picture.save(folder / f"streets/images/{i}.jpg")
        mask.save(folder / f"streets/masks/{i}.png")
    for i in range(scenes):
        blocks(generator, (64, 64))[0].save(folder / "kinds" / "ab"[i % 2] / f"{i}.png")
    for to, form in (("boxes", "coco"), ("masks", "masks"), ("captions", "captions")):
        peak_of(["-m", "saccade", "scenes", to, "--n", str(scenes), "--size", "64", "--format", form], folder)


def blocks(generator: np.random.Generator, size: tuple[int, int]) -> tuple[Image.Image, Image.Image]:
    """A picture of noisy boxes, and the class of each of its pixels."""
    mask, picture = np.zeros(size, np.uint8), np.full((*size, 3), 200, np.uint8)
    for _ in range(CLASSES):
        (top, left), side = (int(generator.integers(length)) for length in size), int(generator.integers(size[0] // 2))
        box = slice(top, top + side), slice(left, left + side)
        mask[box], picture[box] = generator.integers(1, CLASSES), generator.integers(0, 240, 3)
    picture += generator.integers(0, 15, picture.shape, dtype=np.uint8)
    return Image.fromarray(picture), Image.fromarray(mask)


def peak_of(arguments: list[str], folder: Path) -> int:
    """Bytes of the largest process of `python arguments`, run in `folder`. Raises SystemExit, with its messages, if it
    fails."""
    command = [sys.executable, "-c", MEASURE, sys.executable, *arguments]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if run.returncode:
        raise SystemExit(run.stderr)
    return int(run.stdout) * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    cyclopts.run(main)
