"""Outlines of nuclei: a detector with masks beside thresholds, which need no training.

    python -m benchmarks.training.nuclei write nuclei/ --pictures 200    # drawn pictures, in the layout of DSB 2018
    saccade train detect --masks --data nuclei/stage1_train --name nuclei --weights scenes --size 128 --tiles
    python -m benchmarks.training.nuclei score nuclei/stage1_test --model runs/nuclei

Nuclei are drawn as ellipses with a wavy edge, 20 to 150 a picture, of one size a picture and varying brightness,
touching in clumps, under blur, noise and uneven light; a fifth of the pictures are dark on bright and in colour. Every
nucleus has its mask in a file of its own: ID/images/ID.png, ID/masks/1.png and so on. `score` reads any such folder.

The baselines work on grey pictures: Otsu's threshold (1979) of the side that the border of the picture is not on, then
connected components, or these split between the maxima of the smoothed distance to the background. They have no score,
so the mean contrast of an object with its surroundings is taken. All are scored on the same pictures by mask mAP.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path

import cyclopts
import numpy as np
import torch
from PIL import Image
from scipy import ndimage

from saccade.data.images import read_image
from saccade.data.objects import ObjectAnnotations
from saccade.data.objects.planes import MaskPlanes
from saccade.data.objects.run_lengths import encode_instance_map
from saccade.device import init_device
from saccade.tasks import load
from saccade.tasks.detect.mask_scores import mask_scores
from saccade.tasks.detect.result import Detections

app = cyclopts.App(help=__doc__)
SIDE = 256


@app.command
def write(folder: Path, *, pictures: int = 200, test: int = 40, seed: int = 0) -> None:
    """Draw pictures to stage1_train, and `test` more to stage1_test."""
    for split, count, first in (("stage1_train", pictures, 0), ("stage1_test", test, 1_000_000)):
        for i in range(count):
            picture, numbers = draw(np.random.default_rng((seed, first + i)))
            here = folder / split / hashlib.sha256(picture.tobytes()).hexdigest()[:16]
            for part in ("images", "masks"):
                (here / part).mkdir(parents=True)
            Image.fromarray(picture).save(here / "images" / f"{here.name}.png")
            for number in range(1, numbers.max() + 1):
                Image.fromarray(np.uint8(numbers == number) * 255).save(here / "masks" / f"{number}.png")


def draw(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A picture (y x 3), and the number of the nucleus at each pixel, 0 for none."""
    radius = rng.uniform(4.5, 12)
    wanted = int(min(rng.uniform(20, 150), 0.4 * SIDE**2 / (np.pi * radius**2)))
    numbers, light = np.zeros((SIDE, SIDE), np.int32), np.zeros((SIDE, SIDE))
    centres: list[np.ndarray] = []
    clumped = rng.uniform(0.1, 0.7)
    for _ in range(wanted):
        centre = rng.uniform(0, SIDE, 2)
        if centres and rng.random() < clumped:  # beside another
            angle = rng.uniform(0, 2 * np.pi)
            centre = centres[rng.integers(len(centres))] + 1.9 * radius * np.array([np.sin(angle), np.cos(angle)])
        window, shape = _nucleus(centre, radius * rng.uniform(0.75, 1.3), rng)
        shape &= numbers[window] == 0
        if shape.sum() < 25 or ndimage.label(shape)[1] > 1:
            continue
        centres.append(centre)
        numbers[window][shape] = len(centres)
        light[window][shape] = rng.uniform(0.25, 1.0)
    return _seen(light, rng), numbers


def _nucleus(centre: np.ndarray, radius: float, rng: np.random.Generator) -> tuple[tuple[slice, slice], np.ndarray]:
    """The window around a nucleus, and its pixels there."""
    first = np.clip(centre - 1.5 * radius, 0, SIDE).astype(int)
    last = np.clip(centre + 1.5 * radius + 1, 0, SIDE).astype(int)
    y, x = np.mgrid[first[0] : last[0], first[1] : last[1]] + 0.5 - centre[:, None, None]
    turn, ratio = rng.uniform(0, np.pi), rng.uniform(0.65, 1)
    u, v = (x * np.cos(turn) + y * np.sin(turn)) / radius, (y * np.cos(turn) - x * np.sin(turn)) / (radius * ratio)
    angle = np.arctan2(v, u)
    edge = 1 + sum(rng.normal(0, 0.05) * np.cos(k * angle + rng.uniform(0, 6)) for k in (2, 3, 5))
    return (slice(first[0], last[0]), slice(first[1], last[1])), np.hypot(u, v) < edge


def _seen(light: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What a microscope would show of it."""
    inside = light > 0
    texture = ndimage.gaussian_filter(rng.normal(0, 1, light.shape), 1.5)
    light = light * (1 + 0.5 * texture * inside)
    light = ndimage.gaussian_filter(light, rng.uniform(0.5, 1.3)) * rng.uniform(0.3, 0.9)
    uneven = ndimage.gaussian_filter(rng.normal(0, 1, light.shape), 60)
    light = light + (uneven - uneven.min()) / (np.ptp(uneven) + 1e-9) * rng.uniform(0, 0.25)
    light = light + rng.normal(0, rng.uniform(0.01, 0.05), light.shape)
    colours = light[..., None].repeat(3, axis=2)
    if rng.random() < 0.2:  # stained: dark on bright
        paper, ink = rng.uniform([0.8, 0.7, 0.8], [1, 0.9, 1]), rng.uniform([0.2, 0.1, 0.4], [0.5, 0.3, 0.7])
        colours = paper + (ink - paper) * colours
    return np.uint8(colours.clip(0, 1) * 255)


@app.command
def score(folder: Path, *, model: str | None = None, precision: str = "fp32") -> None:
    """Mask mAP and mAP50 of a model, if one is given, and of the baselines."""
    places = sorted(each for each in folder.iterdir() if (each / "masks").is_dir())
    pictures = [read_image(next((each / "images").iterdir())) for each in places]
    truth = [_truth(each / "masks") for each in places]
    methods: dict[str, Callable[[], list[Detections]]] = {
        "threshold": lambda: [_from_numbers(*threshold(np.asarray(p.image.convert("L")))) for p in pictures],
        "split": lambda: [_from_numbers(*split(np.asarray(p.image.convert("L")))) for p in pictures],
    }
    if model is not None:
        task, place = load(model), init_device("auto", precision)
        task.model.to(place.device)
        methods[model] = lambda: [found for picture in pictures for found in task.detect([picture])]
    print(f"{len(pictures)} pictures, {sum(map(len, truth)):,} nuclei")
    for name, detect in methods.items():
        scores = mask_scores(detect(), truth, ["nucleus"])
        print(f"{name:24} mask mAP50 {scores['mask_mAP50']:.3f}  mask mAP {scores['mask_mAP']:.3f}")


def _truth(folder: Path) -> ObjectAnnotations:
    masks = torch.stack([torch.from_numpy(np.array(Image.open(file).convert("L"))) > 0 for file in folder.iterdir()])
    boxes = [[x.min(), y.min(), x.max() + 1, y.max() + 1] for y, x in (mask.numpy().nonzero() for mask in masks)]
    return ObjectAnnotations(
        torch.tensor(np.array(boxes), dtype=torch.float32),
        torch.zeros(len(masks), dtype=torch.long),
        (masks.shape[1], masks.shape[2]),
        planes=MaskPlanes.of(masks, (masks.shape[1], masks.shape[2])),
    )


def threshold(grey: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of connected components, and the contrast of each."""
    inside, contrast = _foreground(grey)
    numbers, _ = ndimage.label(inside)
    return _without_specks(numbers), contrast


def split(grey: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The foreground by the nearest maximum of the distance to the background, and the contrast."""
    inside, contrast = _foreground(grey)
    depth = ndimage.gaussian_filter(ndimage.distance_transform_edt(inside), 1.0)
    tops = (depth == ndimage.maximum_filter(depth, 9)) & inside
    markers, _ = ndimage.label(tops, np.ones((3, 3)))
    nearest = ndimage.distance_transform_edt(markers == 0, return_distances=False, return_indices=True)
    return _without_specks(np.where(inside, markers[tuple(nearest)], 0)), contrast


def _foreground(grey: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    smooth = ndimage.gaussian_filter(grey.astype(float), 1)
    counts, edges = np.histogram(smooth, 256)
    middles = (edges[1:] + edges[:-1]) / 2
    below, above = counts.cumsum(), counts[::-1].cumsum()[::-1]
    mean_below = (counts * middles).cumsum() / below.clip(1)
    mean_above = (counts * middles)[::-1].cumsum()[::-1] / above.clip(1)
    between = below[:-1] * above[1:] * (mean_below[:-1] - mean_above[1:]) ** 2
    level = middles[between.argmax()]
    bright = smooth > level
    if bright[0].mean() + bright[-1].mean() > 1:
        bright = ~bright
    return ndimage.binary_fill_holes(bright), abs(smooth - level)


def _without_specks(numbers: np.ndarray) -> np.ndarray:
    """Objects of at least 20 pixels, numbered from 1."""
    sizes = np.bincount(numbers.ravel())
    kept = sizes >= 20
    kept[0] = False
    return np.where(kept, kept.cumsum(), 0)[numbers]


def _from_numbers(numbers: np.ndarray, contrast: np.ndarray) -> Detections:
    count = int(numbers.max())
    scores = torch.tensor(ndimage.mean(contrast, numbers, np.arange(1, count + 1)) / 255, dtype=torch.float32).view(-1)
    masks = encode_instance_map(torch.from_numpy(numbers.astype(np.int16)), count)
    return Detections(torch.zeros(count, 4), scores, torch.zeros(count, dtype=torch.long), masks=tuple(masks))


if __name__ == "__main__":
    app()
