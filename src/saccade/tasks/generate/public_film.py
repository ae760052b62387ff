"""Public pipelines that make films as tasks: from a text, and from a text and the first frame."""

import importlib.util
import math
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float
from PIL import Image

from saccade.checkpoints.film_classes import FILM_PIPELINES, FilmGeometry, FilmPipeline, film_pipeline
from saccade.checkpoints.pipelines import PublicPipeline, guidance, load_pipeline
from saccade.errors import CheckpointError, SaccadeError
from saccade.tasks.generate.base import ReadsNoPictures, first_seed
from saccade.tasks.generate.image import Original, Originals, resized
from saccade.tasks.generate.pipeline_progress import PipelineProgress
from saccade.tasks.generate.public_model import PublicModel
from saccade.tasks.generate.public_pictures import check_image, image_settings, picture_input, picture_pipeline
from saccade.tasks.generate.public_prompt import check_prompts
from saccade.tasks.generate.sample import Callback, Sampling
from saccade.tasks.generate.settings import Settings


class PublicFilmTask(ReadsNoPictures, PublicModel):
    """A pipeline of diffusers that makes films.

    One for films from text begins with a picture too, where its networks can (`painting_from`).

    Raises CheckpointError for a pipeline that is not in FILM_PIPELINES.
    """

    kind = "generate"

    def __init__(self, public: PublicPipeline):
        super().__init__(public)
        found = film_pipeline(self.model)
        if found is None:
            raise CheckpointError(
                f"{self.name} is a {type(self.model).__name__}, which makes no films; expected one of "
                f"{', '.join(FILM_PIPELINES)}"
            )
        self.film: FilmPipeline = found
        self.card: dict[str, Any] = {}
        self._from_picture: PublicFilmTask | None = None

    @cached_property
    def geometry(self) -> FilmGeometry:
        """How many frames and pixels it takes, and how they become tokens."""
        return self.film.geometry(self.model)

    @property
    def default_fps(self) -> float:
        """Frames a second of the films that it was trained on."""
        return float(self.film.fps(self.model))

    @property
    def default_frames(self) -> int:
        """Frames of a film that the pipeline makes by default."""
        usual = self.arguments["num_frames"].default
        frames = self.config.sample_frames if usual is None else usual
        return frames if self.geometry.fits(frames) else self.geometry.nearest(frames)[0]

    @property
    def default_size(self) -> tuple[int, int]:
        """(height, width) in pixels that the pipeline makes by default."""
        if isinstance(self.arguments["height"].default, int):
            return super().default_size
        return self.config.sample_height * self.geometry.spatial, self.config.sample_width * self.geometry.spatial

    def text_tokens(self, tokenizer: Any) -> int:
        """How many tokens the pipeline takes from its tokenizer."""
        return getattr(self.config, "max_text_seq_length", None) or super().text_tokens(tokenizer)

    def painting_from(self, originals: Originals) -> "PublicFilmTask":
        """The task whose pipeline takes the pictures: this one, or of a pipeline for films from text and an image the
        one of the same networks that begins with it. Raises SaccadeError where there is none."""
        if originals.image is None or picture_input(self.model):
            return self
        if self._from_picture is None:
            pipeline = picture_pipeline(self.model, originals.image.mask is not None, self.name)
            task = PublicFilmTask(PublicPipeline(pipeline, guidance(pipeline), self.name, self.notes))
            task.digest = self.digest  # of the same networks
            self._from_picture = task
        return self._from_picture

    def settings(
        self,
        prompt: str,
        negative: str = "",
        seed: int | None = None,
        sampling: Sampling | None = None,
        height: int | None = None,
        width: int | None = None,
        originals: Originals | None = None,
        strength: float | None = None,
    ) -> Settings:
        """The settings of a film, checked; of its length see `length`.

        negative: has an effect where the guidance scale is above 1. seed: default: drawn at random. sampling, height,
        width: default: the pipeline's. originals: with the image that a film begins with.

        Raises:
            DataError: a prompt that is empty, too long, or with weights.
            SaccadeError: values out of range, or that the pipeline does not take.
        """
        given = originals or Originals()
        task = self.painting_from(given)
        if task is not self:
            return task.settings(prompt, negative, seed, sampling, height, width, given, strength)
        seed, sampling = first_seed(seed), sampling or self.default_sampling
        self.check_sampling(sampling)
        usual = self.default_size
        size = (usual[0] if height is None else height, usual[1] if width is None else width)
        self._check_size(size)
        if given.style is not None:
            raise SaccadeError(f"{self.name} is a {type(self.model).__name__}, which takes no style: leave it out")
        check_prompts(self.name, self.tokenizers, prompt, negative)
        image = image_settings(self.model, self.name, given.image, strength, sampling.steps)
        return Settings(
            prompt, seed, size, negative, sampling, self.name, self.digest, scheduler=self.scheduler, image=image
        )

    def length(self, frames: int | None = None, fps: float | None = None) -> tuple[int, float]:
        """(frames, frames a second) of a film, checked; default: the pipeline's.

        Raises SaccadeError for a number of frames that the pipeline would round, and for frames a second that are not
        above 0."""
        frames = self.default_frames if frames is None else frames
        fps = self.default_fps if fps is None else float(fps)
        if not self.geometry.fits(frames):
            first, step = self.geometry.first, self.geometry.step
            raise SaccadeError(
                f"a film of {frames} frames: {self.name} makes {first}, {first + step}, {first + 2 * step} and so on, "
                f"each {step} more: use {' or '.join(map(str, self.geometry.nearest(frames)))}"
            )
        if not (math.isfinite(fps) and fps > 0):
            raise SaccadeError(f"{fps:g} frames a second: a number above 0 is expected")
        return frames, fps

    def fit(self, image: Original, height: int | None = None, width: int | None = None) -> tuple[int, int]:
        """(height, width) of a film that begins with an image: about the area of the default size in its aspect, or the
        given sides, of which one gives the other."""
        return image.fit(self.default_size, math.lcm(*self.geometry.multiple), height, width)

    def films(
        self,
        settings: Sequence[Settings],
        frames: int,
        fps: float,
        callback: Callback | None = None,
        originals: Originals | None = None,
    ) -> Iterator[list[Image.Image]]:
        """The frames of a film for each of the settings, in order, one film at a time: the same, bit for bit, whatever
        is made beside it, and the same as the pipeline's own call gives with a generator of the seed.

        frames, fps: as `length` returns them. The frames a second go into the network where it reads them (LTX).
        callback: called after each step as callback(steps done, steps in all). originals: the image that films begin
        with, which is resized to the size of the settings.

        Raises SaccadeError for a layout, a style or an image that the pipeline does not take, where the pipeline fails,
        where its output is not finite, or is of another size or length.
        """
        frames, fps = self.length(frames, fps)
        if any(each.layout or each.style for each in settings):
            raise SaccadeError(f"{self.name} takes no layout of another prompt and no style: leave them out")
        steps = [each.sampling.steps for each in settings]
        for i, each in enumerate(settings):
            own = (originals or Originals()).of(each)
            task = self.painting_from(own)
            check_image(task.model, self.name, each.image, each.sampling.steps)
            progress = PipelineProgress(callback, sum(steps[:i]), sum(steps), steps[i])
            pixels = task._run(each, frames, fps, own, progress)
            yield [Image.fromarray((frame.clip(0, 1) * 255).round().astype(np.uint8)) for frame in pixels]

    def unknown_words(self, prompt: str) -> list[str]:
        """None: what a public pipeline was trained on is not recorded."""
        return []

    def _run(
        self, settings: Settings, frames: int, fps: float, originals: Originals, progress: PipelineProgress
    ) -> Float[np.ndarray, "t y x 3"]:
        """Pixels, 0 to 1."""
        self._check_libraries()
        found = self.call(self._options(settings, frames, fps, originals), progress).frames[0]
        self.check_finite(found, settings)
        if found.shape[:3] != (frames, *settings.size):
            t, y, x = found.shape[:3]
            raise SaccadeError(
                f"{self.name} made {t} frames of {x} x {y} pixels instead of {frames} of {settings.size[1]} x "
                f"{settings.size[0]}: choose a length and a size that it supports"
            )
        return found

    def _options(self, settings: Settings, frames: int, fps: float, originals: Originals) -> dict[str, Any]:
        """Arguments of the pipeline's call."""
        height, width = settings.size
        options = self.shared_options([settings]) | {"num_frames": frames, "height": height, "width": width}
        if self.film.rate:
            options[self.film.rate] = fps
        if getattr(self.config, "max_text_seq_length", None):  # the default of the call is that of one checkpoint
            options["max_sequence_length"] = self.config.max_text_seq_length
        takes = picture_input(self.model)
        if takes is not None and originals.image is not None:
            options[takes.image] = resized(originals.image.image, settings.size)
        return options

    def _check_size(self, size: tuple[int, int]) -> None:
        multiple = self.geometry.multiple
        if any(side < each or side % each for side, each in zip(size, multiple, strict=True)):
            raise SaccadeError(
                f"a size of {size[1]} x {size[0]} pixels: multiples of {multiple[1]} x {multiple[0]}, from there on, "
                f"are expected by {self.name}"
            )

    def _check_libraries(self) -> None:
        """Raises SaccadeError without ftfy, which diffusers uses for Wan's prompts; with a picture, without a check."""
        kind = type(self.model).__name__
        if kind == "WanImageToVideoPipeline" and importlib.util.find_spec("ftfy") is None:
            raise SaccadeError(f"{self.name} is a {kind}, for which diffusers needs the package ftfy: pip install ftfy")


def load_film_pipeline(spec: str) -> PublicFilmTask:
    """A pipeline that makes films. spec: "diffusers:FOLDER", a folder that diffusers saved, or "hf:owner/name".

    Raises CheckpointError for a pipeline that makes no films, and as `load_pipeline` does."""
    return PublicFilmTask(load_pipeline(spec))
