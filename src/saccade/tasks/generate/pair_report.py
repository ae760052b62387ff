"""Scores of a generator on pairs of pictures and on style sets: how near its pictures are to the true ones."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from tqdm.auto import tqdm

from saccade.data import Picture
from saccade.data.cache import read_or_skip
from saccade.data.output import write_png
from saccade.data.pairs import PairSet, StyleSet
from saccade.data.preprocess import Preprocess
from saccade.device import Device
from saccade.errors import UsageError
from saccade.lens.scores.bootstrap import interval
from saccade.tasks.commands import Evaluation
from saccade.tasks.drawing import PAPER
from saccade.tasks.generate.fidelity import fidelity_scores, patch_encoder
from saccade.tasks.generate.neighbours import Pictures
from saccade.tasks.generate.result import GeneratedPicture
from saccade.tasks.generate.task import GenerateTask
from saccade.tasks.generate.training_styles import group_by_key
from saccade.tasks.saved import no_pictures_error

ON_SHEET = 24  # examples
GAP = 4  # pixels


class Example(NamedTuple):
    """A picture to paint, what it is painted from, and its caption, which may be empty; at the generator's size."""

    image: Image.Image
    style: Image.Image | None
    truth: Image.Image
    caption: str

    @property
    def shown(self) -> list[Image.Image]:
        """What is given, and the true picture."""
        return [each for each in (self.image, self.style, self.truth) if each is not None]


def evaluate_pictures(task: GenerateTask, dataset: PairSet | StyleSet, device: Device, out: Path) -> Evaluation:
    """SSIM, PSNR and the distance of features of the painted pictures to the true ones (`fidelity`), at the generator's
    size, beside those of the pictures that they are painted from ("copy").

    Pairs are painted from the first picture. Of a style set each picture whose name another style has is painted from
    that one's, and in the style of the next picture of its own. Captions are the prompts; picture i has the seed i, and
    all else is the default of `GenerateTask.generate`. sheet.png, with the first ones, goes to `out`.

    Raises UsageError for a generator that does not attend to such pictures, DataError if none can be read."""
    needed = ("picture", "style") if isinstance(dataset, StyleSet) else ("picture",)
    if lacking := [name for name in needed if name not in task.model.config.pictures]:
        raise UsageError(
            f"{task.name} attends to no source {' and '.join(lacking)}: train it with "
            f"{'--styles' if isinstance(dataset, StyleSet) else '--pairs'}"
        )
    preprocess = Preprocess(task.preprocess.size, "crop")
    examples = _styled(dataset, preprocess) if isinstance(dataset, StyleSet) else _paired(dataset, preprocess)
    if not examples:
        raise no_pictures_error(dataset.title, dataset.skipped)
    task.model.to(device.device).eval()
    with device.autocast_context():
        bar = tqdm(examples, "painting", unit="pictures", delay=1, disable=None, leave=False)
        painted = [_paint(task, each, seed) for seed, each in enumerate(bar)]
    write_png(out / "sheet.png", _sheet(examples, painted))
    truth, encoder = _stack([each.truth for each in examples]), patch_encoder()
    rows = {"": _stack(painted), "copy ": _stack([each.image for each in examples])}
    values = {
        f"{row}{name}": each
        for row, pictures in rows.items()
        for name, each in fidelity_scores(pictures, truth, encoder).items()
    }
    details = {name: _summary(each) for name, each in values.items()}
    scores: dict[str, Any] = {name: each["value"] for name, each in details.items()}
    about = {"pictures": len(examples), "skipped": dataset.skipped, "size": task.preprocess.size}
    return Evaluation({**scores, **about, "details": details}, {name: scores[name] for name in ("SSIM", "copy SSIM")})


def _paired(dataset: PairSet, preprocess: Preprocess) -> list[Example]:
    read = [read_or_skip(dataset, i, dataset.pair) for i in range(len(dataset))]
    return [
        _example(preprocess, pair[0], None, pair[1], dataset.captions(i))
        for i, pair in enumerate(read)
        if pair is not None
    ]


def _styled(dataset: StyleSet, preprocess: Preprocess) -> list[Example]:
    read = [read_or_skip(dataset, i, dataset.picture) for i in range(len(dataset))]
    kept = [i for i, picture in enumerate(read) if picture is not None]
    pictures = [picture for picture in read if picture is not None]
    contents, styles = (group_by_key([names[i] for i in kept]) for names in (dataset.stems, dataset.styles))
    examples = []
    for place, (same, own) in enumerate(zip(contents, styles, strict=True)):
        if min(len(same), len(own)) > 1:
            image, style, truth = (pictures[i] for i in (_next(same, place), _next(own, place), place))
            examples.append(_example(preprocess, image, style, truth, dataset.captions(kept[place])))
    return examples


def _next(members: Sequence[int], own: int) -> int:
    return members[(members.index(own) + 1) % len(members)]


def _example(
    preprocess: Preprocess, image: Picture, style: Picture | None, truth: Picture, captions: Sequence[str]
) -> Example:
    first, second = (preprocess.resize_and_crop(each.image) for each in (image, truth))
    shown = None if style is None else preprocess.resize_and_crop(style.image)
    return Example(first, shown, second, next(iter(captions), ""))


def _paint(task: GenerateTask, example: Example, seed: int) -> Image.Image:
    guidance = None if example.caption else 1.0  # without words there is nothing to guide by
    (painted,) = task.generate(
        example.caption, seed=seed, image=example.image, style_image=example.style, guidance_scale=guidance
    )
    assert isinstance(painted, GeneratedPicture)
    return painted.image


def _summary(values: Sequence[float]) -> dict[str, Any]:
    """The mean with its 95 % interval, by the bootstrap over pictures."""
    n = len(values)
    low, high = interval(torch.tensor(values, dtype=torch.float64)[:, None], lambda sums: sums[:, 0] / n, 0)
    return {"value": sum(values) / n, "low": low, "high": high, "n": n}


def _sheet(examples: Sequence[Example], painted: Sequence[Image.Image]) -> Image.Image:
    """A row for each of the first examples: what is given, the true picture, the painted one."""
    rows = [[*each.shown, picture] for each, picture in zip(examples, painted, strict=True)][:ON_SHEET]
    width, height = painted[0].size
    sheet = Image.new("RGB", (len(rows[0]) * (width + GAP) + GAP, len(rows) * (height + GAP) + GAP), PAPER)
    for y, row in enumerate(rows):
        for x, picture in enumerate(row):
            sheet.paste(picture, (GAP + x * (width + GAP), GAP + y * (height + GAP)))
    return sheet


def _stack(pictures: Sequence[Image.Image]) -> Pictures:
    return np.stack([np.array(each) for each in pictures])
