"""A generator of films by its public interface."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from PIL import Image
from tqdm.auto import tqdm

from benchmarks.generation.filming.prompts import FilmPrompt, film_prompts
from saccade.data.scenes import Combinations
from saccade.data.scenes.phrasing import LANGUAGES, Language
from saccade.device import init_device
from saccade.errors import UsageError
from saccade.tasks.generate.result import GeneratedFilm
from saccade.tasks.generate.task import GenerateTask
from saccade.tasks.loading import load

COMBINATIONS: tuple[Combinations, ...] = ("seen", "held-out")


@dataclass
class FilmPaintSettings:
    """How films are painted.

    Parameters
    ----------
    model
        A generator of films: a bundled one, or a folder that `saccade train generate` wrote.
    n
        Films of each row.
    frames
        Of each film; those that go on have three times as many.
    language
        en, ko or mixed, of the captions.
    steps
        Steps of the sampler, euler.
    guidance
        Scale of the guidance by the prompt. Default: the generator's own.
    device
        Where to paint; the judge works on the CPU.
    precision
        fp32, as `saccade generate` paints, or bf16.
    sheets
        A folder for sheets of the worst films and of those in the middle.
    quick
        4 films of each row, in 2 steps; the figures mean nothing.
    """

    model: str = "painter"
    n: int = 200
    frames: int = 16
    language: Language = "en"
    steps: int = 25
    guidance: float | None = None
    device: str = "auto"
    precision: str = "fp32"
    sheets: Path | None = None
    quick: bool = False

    def __post_init__(self) -> None:
        if self.quick:
            self.n, self.steps = 4, 2
        if self.n < 2:
            raise UsageError(f"--n is {self.n}; 2 or more expected, as one row has the descriptions of other films")
        if self.frames < 2:
            raise UsageError(f"--frames is {self.frames}; 2 or more expected")
        if self.language not in LANGUAGES:
            raise UsageError(f"--language is {self.language!r}; one of {', '.join(LANGUAGES)} expected")


class FilmPainter:
    """A generator that paints films. Raises UsageError for a model that paints none."""

    def __init__(self, settings: FilmPaintSettings):
        self.settings, task = settings, load(settings.model)
        if not isinstance(task, GenerateTask) or not task.model.config.films:
            raise UsageError(f"--model {settings.model}: it does not paint films; give a generator of films")
        self.task, self.device = task, init_device(settings.device, settings.precision)
        self.task.model.to(self.device.device)
        self.seconds, self.frames = 0.0, 0

    def prompts(self, combinations: Combinations, frames: int | None = None) -> list[FilmPrompt]:
        """n drawn films at the size of the generator's training, with their captions."""
        about = self.settings
        size = self.task.preprocess.size
        return film_prompts(about.n, size, frames or about.frames, combinations, about.language)

    def from_texts(self, prompts: Sequence[FilmPrompt], title: str) -> list[list[Image.Image]]:
        """A film of each caption; that of prompt i has the seed i. title: of the progress bar."""
        return self._paint(prompts, [{"num_frames": self.settings.frames}] * len(prompts), title)

    def from_first_frames(self, prompts: Sequence[FilmPrompt], title: str) -> list[list[Image.Image]]:
        """The same from the first frames of the drawn films."""
        given = [{"num_frames": self.settings.frames, "image": prompt.frames[0]} for prompt in prompts]
        return self._paint(prompts, given, title)

    def going_on(self, prompts: Sequence[FilmPrompt], known: int, title: str) -> list[list[Image.Image]]:
        """Films as long as the drawn ones that begin with their first `known` frames."""
        given = [
            {"num_frames": len(prompt.frames) - known, "video": prompt.frames[:known]} for prompt in prompts
        ]  # fmt: skip
        return self._paint(prompts, given, title)

    def _paint(
        self, prompts: Sequence[FilmPrompt], given: Sequence[dict[str, Any]], title: str
    ) -> list[list[Image.Image]]:
        start, films = time.perf_counter(), []
        bar = tqdm(prompts, title, unit="films", delay=1, disable=None, leave=False)
        with self.device.autocast_context():
            for i, (prompt, options) in enumerate(zip(bar, given, strict=True)):
                found = self.task.generate(
                    prompt.text,
                    seed=i,
                    num_inference_steps=self.settings.steps,
                    guidance_scale=self.settings.guidance,
                    **options,
                )
                films.append(cast(GeneratedFilm, found[0]).frames)
                self.frames += options["num_frames"]
        self.seconds += time.perf_counter() - start
        return films

    def __str__(self) -> str:
        return f"{self.task.name} ({self.task.digest}), {self.device}"

    @property
    def about(self) -> dict[str, object]:
        """For JSON: the generator, and the seconds that a frame took."""
        seconds = self.seconds / max(self.frames, 1)
        return {"model": self.task.name, "digest": self.task.digest, "frames": self.frames, "seconds": seconds}
