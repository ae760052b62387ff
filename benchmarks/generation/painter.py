"""What benchmarks of pictures as sources share: a generator by its public interface, the scenes, and sheets."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from tqdm.auto import tqdm

from saccade.data.scenes import Combinations, Scenes
from saccade.device import init_device
from saccade.errors import UsageError
from saccade.tasks.drawing import INK, PAPER, font, truncate_text
from saccade.tasks.generate.task import GenerateTask
from saccade.tasks.loading import load

SCENE_SEED = 6_000_017  # of scenes that neither training nor validation draws
ON_SHEET = 16  # examples
_SIDE, _GAP, _LINE = 128, 8, 18  # pixels


@dataclass
class PaintSettings:
    """How pictures are painted.

    Parameters
    ----------
    model
        A generator: a bundled one, or a folder that `saccade train generate` wrote.
    n
        Pictures of each row.
    steps
        Steps of the sampler, euler.
    guidance
        Scale of the guidance by the prompt. Default: the generator's own.
    image_guidance
        Scale of the guidance by the image.
    style_guidance
        Scale of the guidance by the style.
    device
        Where to paint; the judge works on the CPU.
    precision
        fp32, as `saccade generate` paints, or bf16.
    sheets
        A folder for sheets of the first examples.
    quick
        2 pictures of each row, in 2 steps; the figures mean nothing.
    """

    model: str = "painter"
    n: int = 100
    steps: int = 25
    guidance: float | None = None
    image_guidance: float = 1.0
    style_guidance: float = 1.0
    device: str = "auto"
    precision: str = "fp32"
    sheets: Path | None = None
    quick: bool = False

    def __post_init__(self) -> None:
        if self.quick:
            self.n, self.steps = 2, 2
        if self.n < 2:
            raise UsageError(f"--n is {self.n}; 2 or more expected, as one row has the sources of other pictures")


@dataclass(frozen=True, eq=False)
class Request:
    """A picture to paint: arguments of `GenerateTask.generate`."""

    prompt: str = ""
    image: Image.Image | None = None
    mask_image: Image.Image | None = None
    style_image: Image.Image | None = None
    strength: float | None = None


class Painter:
    """A generator that paints requests. Raises UsageError for a model that is none."""

    def __init__(self, settings: PaintSettings):
        self.settings, task = settings, load(settings.model)
        if not isinstance(task, GenerateTask):
            raise UsageError(f"--model {settings.model}: it does not paint pictures; give a generator")
        self.task, self.device = task, init_device(settings.device, settings.precision)
        self.task.model.to(self.device.device)
        self.seconds, self.pictures = 0.0, 0

    def paint(self, requests: Sequence[Request], title: str) -> list[Image.Image]:
        """A picture of each request; that of request i has the seed i. title: of the progress bar."""
        return self.timed([partial(self._paint, each, i) for i, each in enumerate(requests)], title)

    def timed(self, calls: Sequence[Callable[[], Image.Image]], title: str) -> list[Image.Image]:
        """The pictures that calls paint."""
        start = time.perf_counter()
        with self.device.autocast_context():
            bar = tqdm(calls, title, unit="pictures", delay=1, disable=None, leave=False)
            pictures = [call() for call in bar]
        self.seconds += time.perf_counter() - start
        self.pictures += len(pictures)
        return pictures

    def scenes(self, n: int, combinations: Combinations = "seen") -> Scenes:
        """Scenes of one to three objects apart, at the size of the generator's training."""
        size = self.task.preprocess.size
        return Scenes(n, size, SCENE_SEED, objects=(1, 3), apart=True, combinations=combinations)

    def __str__(self) -> str:
        sources = ", ".join(self.task.model.config.pictures) or "none"
        return f"{self.task.name} ({self.task.digest}), {self.device}, pictures it attends to: {sources}"

    @property
    def about(self) -> dict[str, object]:
        """For JSON: the generator, and the seconds that a picture took."""
        seconds = self.seconds / max(self.pictures, 1)
        return {"model": self.task.name, "digest": self.task.digest, "pictures": self.pictures, "seconds": seconds}

    def _paint(self, request: Request, seed: int) -> Image.Image:
        about = self.settings
        return self.task.generate(
            request.prompt,
            seed=seed,
            num_inference_steps=about.steps,
            guidance_scale=about.guidance if request.prompt else 1.0,  # without words there is nothing to guide by
            image=request.image,
            mask_image=request.mask_image,
            strength=request.strength,
            image_guidance_scale=about.image_guidance,
            style_image=request.style_image,
            style_guidance_scale=about.style_guidance,
        )[0].image


def shifted(values: Sequence) -> list:
    """Those of the next one, for controls."""
    return [*values[1:], *values[:1]]


def draw_sheet(titles: Sequence[str], examples: Sequence[Sequence[Image.Image]], texts: Sequence[str]) -> Image.Image:
    """A row for each of the first examples: its pictures, under their titles, and its text."""
    across, down = _SIDE + _GAP, _SIDE + _LINE + _GAP
    rows = list(zip(examples, texts, strict=True))[:ON_SHEET]
    sheet = Image.new("RGB", (_GAP + len(titles) * across, _LINE + _GAP + len(rows) * down), PAPER)
    draw = ImageDraw.Draw(sheet)
    for column, title in enumerate(titles):
        draw.text((_GAP + column * across, _LINE), truncate_text(title, 20), INK, font(12), anchor="ls")
    for row, (pictures, text) in enumerate(rows):
        top = _LINE + _GAP + row * down
        for column, picture in enumerate(pictures):
            enlarged = picture.resize((_SIDE, _SIDE), Image.Resampling.NEAREST)
            sheet.paste(enlarged, (_GAP + column * across, top))
        draw.text(
            (_GAP, top + _SIDE + _LINE / 2), truncate_text(text, 20 * len(titles)), INK, font(12, text), anchor="lm"
        )
    return sheet


def picture_of(pixels: np.ndarray) -> Image.Image:
    """Of uint8 (y x 3)."""
    return Image.fromarray(np.ascontiguousarray(pixels))
