"""Public pipelines that make films as tasks: from a text, and from a text and the first frame."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from PIL import Image

from saccade.checkpoints.film_pipeline_classes import image_to_video_class, takes_last_frame
from saccade.checkpoints.pipelines import PublicPipeline, guidance, load_pipeline
from saccade.data.images import Source
from saccade.errors import SaccadeError
from saccade.tasks.generate.base import NoPredictMixin, first_seed, repeat_with_seeds
from saccade.tasks.generate.film import KnownFrames, known_frames
from saccade.tasks.generate.film_settings import FilmSettings
from saccade.tasks.generate.image_to_image import SourceImage, SourceImages, resized
from saccade.tasks.generate.pipeline_progress import PipelineProgress
from saccade.tasks.generate.public_film_model import PublicFilmModel
from saccade.tasks.generate.public_pictures import convert_pipeline, picture_input
from saccade.tasks.generate.public_prompt import check_prompts
from saccade.tasks.generate.result import GeneratedFilm
from saccade.tasks.generate.sample import Callback, Sampling
from saccade.tasks.generate.settings import Settings, require_film_settings


class PublicFilmTask(NoPredictMixin, PublicFilmModel):
    """A pipeline of diffusers that makes films.

    One for films from text begins with a picture too, where its networks can (`beginning_with`).
    """

    kind = "generate"

    def __init__(self, public: PublicPipeline):
        super().__init__(public)
        self.card: dict[str, Any] = {}

    def generate(
        self,
        prompt: str,
        *,
        negative_prompt: str = "",
        n: int = 1,
        seed: int | None = None,
        num_inference_steps: int | None = None,
        guidance_scale: float | None = None,
        height: int | None = None,
        width: int | None = None,
        num_frames: int | None = None,
        fps: float | None = None,
        image: Source | None = None,
        last_image: Source | None = None,
        callback: Callback | None = None,
    ) -> list[GeneratedFilm]:
        """Make `n` films of a prompt.

        Args:
            prompt: what to show. Brackets give weights, as for `GenerateTask`, and weights are refused here; \\( is a
                plain bracket.
            negative_prompt: what to move away from; it has an effect where the guidance scale is above 1.
            seed: of the first film, 0 to 2^63 - 1; film i has seed + i. Default: drawn at random.
            num_inference_steps, guidance_scale: default: the pipeline's.
            height, width: in pixels; default: the pipeline's, with an image about their area in its aspect.
            num_frames: one that the pipeline does not round (`geometry`). Default: the pipeline's.
            fps: frames a second, which go into the network where it reads them (LTX). Default: those of its training.
            image: the first frame. last_image: the last one, for the pipelines of Wan that take one.
            callback: called after each step as callback(steps done, steps in all).

        Raises:
            DataError: a prompt that is empty, too long, or with weights.
            SaccadeError: values out of range, or that the pipeline does not take.
        """
        first = None if image is None else SourceImage.read(image)
        known = known_frames(first, None if last_image is None else SourceImage.read(last_image), None, False)
        film = self.film_settings(num_frames, fps, known)
        given = {"steps": num_inference_steps, "guidance": guidance_scale}
        changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        sampling = replace(self.default_sampling, **changes)
        height, width = self.fit_size(known, height, width)
        settings = self.settings(prompt, negative_prompt, seed, sampling, height, width, film=film)
        return list(self.generate_films(repeat_with_seeds(settings, n), known, callback=callback))

    def film_settings(
        self, frames: int | None = None, fps: float | None = None, known: KnownFrames | None = None
    ) -> FilmSettings:
        """Of a film with the known frames; default: the pipeline's length and rate, as far as they are not given.

        Raises SaccadeError where they are out of range."""
        frames = self.default_frames if frames is None else frames
        return (known or KnownFrames()).settings(frames, self.default_fps if fps is None else fps)

    def fit_size(
        self, known: KnownFrames, height: int | None = None, width: int | None = None
    ) -> tuple[int | None, int | None]:
        """(height, width) of a film that begins with a picture: about the area of the default size in its aspect, or
        the given sides, of which one gives the other; as given without a picture."""
        return known.fit_size(self.default_size, math.lcm(*self.geometry.multiple), height, width)

    def settings(
        self,
        prompt: str,
        negative: str = "",
        seed: int | None = None,
        sampling: Sampling | None = None,
        height: int | None = None,
        width: int | None = None,
        originals: SourceImages | None = None,
        strength: float | None = None,
        style_strength: float = 1.0,
        film: FilmSettings | None = None,
    ) -> Settings:
        """The settings of one film, checked. film: default: `film_settings()`. Raises as `generate` does, and for
        pictures other than the frames of `film`."""
        given = originals or SourceImages()
        if strength is not None or given.image is not None or given.style is not None:
            raise SaccadeError(f"{self.name} takes no strength and no style: an image is the first frame of a film")
        sampling, usual = sampling or self.default_sampling, self.default_size
        size = (usual[0] if height is None else height, usual[1] if width is None else width)
        check_prompts(self.name, self.tokenizers, prompt, negative)
        found = Settings(
            prompt, first_seed(seed), size, negative, sampling, self.name, self.digest, scheduler=self.scheduler,
            film=film or self.film_settings(),
        )  # fmt: skip
        self._check(found)
        return found

    def generate_films(
        self,
        settings: Sequence[Settings],
        known: KnownFrames | None = None,
        originals: SourceImages | None = None,
        callback: Callback | None = None,
    ) -> Iterator[GeneratedFilm]:
        """A film for each of the settings, in order, one at a time: the same, bit for bit, whatever is made beside it,
        and the same as the pipeline's own call gives with a generator of the seed on the CPU.

        known: the first frame, and the last, which are resized to the size of the settings. originals: as of
        `generate_films` of our own generators; a public pipeline takes none. callback: as of `generate`.

        Raises SaccadeError where the settings are of other frames, or of what the pipeline does not take; where the
        pipeline fails, its output is not finite, or is of another size or length.
        """
        known = known or KnownFrames()
        steps = [each.sampling.steps for each in settings]
        for i, each in enumerate(settings):
            task = self._check(each)
            known.check(require_film_settings(each))
            progress = PipelineProgress(callback, sum(steps[:i]), sum(steps), steps[i])
            pixels = task._run(each, known, progress)
            images = [Image.fromarray((frame.clip(0, 1) * 255).round().astype(np.uint8)) for frame in pixels]
            yield GeneratedFilm(images, each)

    def image_to_video_task(self, film: FilmSettings) -> "PublicFilmTask":
        """The task whose pipeline takes the known frames of a film: this one, or of a pipeline for films from text the
        one of the same networks that begins with a picture.

        Raises SaccadeError where there is none, for a pipeline that needs a picture, and for a last frame or a film to
        go on from where it takes none."""
        kind = type(self.model).__name__
        if film.before is not None:
            raise SaccadeError(f"{self.name} is a {kind}, which goes on from no film: leave it out, or give an image")
        if film.first is None:
            if picture_input(self.model) is not None:
                raise SaccadeError(f"{self.name} is a {kind}, which begins with a picture: give an image")
            return self
        task = self if picture_input(self.model) is not None else self._begun
        if film.last is not None and not takes_last_frame(task.model):
            raise SaccadeError(f"{self.name} is a {kind}, which takes no last frame: leave it out")
        return task

    @cached_property
    def _begun(self) -> "PublicFilmTask":
        kind = image_to_video_class(self.model)
        if kind is None:
            raise SaccadeError(
                f"{self.name} is a {type(self.model).__name__}, whose networks begin with no picture: leave the image "
                "out, or use a pipeline for image to video"
            )
        pipeline = convert_pipeline(self.model, kind, self.name)
        task = PublicFilmTask(PublicPipeline(pipeline, guidance(pipeline), self.name, self.notes))
        task.digest = self.digest  # of the same networks
        return task

    def unknown_words(self, prompt: str) -> list[str]:
        """None: what a public pipeline was trained on is not recorded."""
        return []

    def _check(self, settings: Settings) -> "PublicFilmTask":
        """The task that makes the film. Raises SaccadeError for settings that no pipeline of these networks takes."""
        if settings.layout or settings.style or settings.image:
            raise SaccadeError(
                f"{self.name} takes no layout of another prompt, no style and no picture beside the first frame: leave "
                "them out"
            )
        self.check_sampling(settings.sampling)
        self.check_length(require_film_settings(settings).frames)
        self.check_size(settings.size)
        return self.image_to_video_task(require_film_settings(settings))

    def _run(self, settings: Settings, known: KnownFrames, progress: PipelineProgress) -> Float[np.ndarray, "t y x 3"]:
        """Pixels, 0 to 1."""
        self.check_libraries()
        found = self.call(self._options(settings, known), progress).frames[0]
        self.check_finite(found, settings)
        frames, (height, width) = settings.frames, settings.size
        if found.shape[:3] != (frames, height, width):
            t, y, x = found.shape[:3]
            raise SaccadeError(
                f"{self.name} made {t} frames of {x} x {y} pixels instead of {frames} of {width} x {height}: choose a "
                "length and a size that it supports"
            )
        return found

    def _options(self, settings: Settings, known: KnownFrames) -> dict[str, Any]:
        """Arguments of the pipeline's call."""
        height, width = settings.size
        options = self.shared_call_arguments([settings]) | {
            "num_frames": settings.frames,
            "height": height,
            "width": width,
        }
        if self.film.rate:
            options[self.film.rate] = require_film_settings(settings).fps
        if getattr(self.config, "max_text_seq_length", None):  # the default of the call is that of one checkpoint
            options["max_sequence_length"] = self.config.max_text_seq_length
        takes = picture_input(self.model)
        if takes is not None:
            options[takes.image] = resized(known.before[0], settings.size)
        if known.last is not None:
            options["last_image"] = resized(known.last.image, settings.size)
        return options


def load_film_pipeline(spec: str | Path) -> PublicFilmTask:
    """A pipeline that makes films. spec: "diffusers:FOLDER", a folder that diffusers saved, or "hf:owner/name".

    Raises CheckpointError for a pipeline that makes no films, and as `load_pipeline` does."""
    return PublicFilmTask(load_pipeline(spec))
