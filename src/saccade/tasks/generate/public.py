"""Public pipelines that paint as tasks."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float
from PIL import Image

from saccade.checkpoints.film_pipeline_classes import film_pipeline_spec
from saccade.checkpoints.pipelines import PublicPipeline, guidance
from saccade.data.images import Source
from saccade.errors import CheckpointError, SaccadeError
from saccade.tasks.generate.base import NoPredictMixin, chunk_settings, first_seed, repeat_with_seeds
from saccade.tasks.generate.image_to_image import SourceImage, SourceImages
from saccade.tasks.generate.pipeline_progress import PipelineProgress
from saccade.tasks.generate.public_model import PublicModel
from saccade.tasks.generate.public_pictures import (
    check_image,
    check_style,
    image_settings,
    picture_options,
    picture_pipeline,
    spent_steps,
)
from saccade.tasks.generate.public_prompt import check_prompts
from saccade.tasks.generate.result import GeneratedPicture
from saccade.tasks.generate.sample import Callback, Sampling
from saccade.tasks.generate.settings import Settings


class PublicGenerateTask(NoPredictMixin, PublicModel):
    """A pipeline of diffusers that paints, with the methods of `GenerateTask`.

    A text-to-image pipeline paints from pictures by diffusers' image-to-image and inpainting pipelines of the same
    networks (`painting_from`).

    Raises CheckpointError for a pipeline that makes films: `PublicFilmTask` takes it.
    """

    kind = "generate"

    def __init__(self, public: PublicPipeline):
        super().__init__(public)
        if film_pipeline_spec(self.model) is not None:
            raise CheckpointError(
                f"{self.name} is a {type(self.model).__name__}, which makes films and no pictures: load it with "
                "saccade.tasks.generate.public_film.load_film_pipeline"
            )
        self.card: dict[str, Any] = {}
        self._converted: dict[str, PublicGenerateTask] = {}  # by the class of the pipeline

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
        image: Source | None = None,
        mask_image: Source | None = None,
        strength: float | None = None,
        image_guidance_scale: float | None = None,
        style_image: Source | None = None,
        style_strength: float = 1.0,
        callback: Callback | None = None,
    ) -> list[GeneratedPicture]:
        """Paint `n` pictures of a prompt.

        Args:
            prompt: what to paint. Brackets give weights, as for `GenerateTask`, and weights are refused here: \\( is a
                plain bracket.
            negative_prompt: what to move away from, where the pipeline is guided (`guidance.formula`).
            seed: of the first picture, 0 to 2^63 - 1; picture i has seed + i. Default: drawn at random. Noise is drawn
                on the CPU by a generator for each picture.
            num_inference_steps, guidance_scale: default: the pipeline's. The scale is passed on as it is.
            height, width: in pixels; default: the pipeline's, with an image about their area in its aspect.
            image: the picture that is changed, or that a ControlNet or its kin follows.
            mask_image: of its size: white pixels are painted and the others kept exactly, in the image's own size.
            strength: how much of an image that sampling starts at is painted anew; the pipeline spends about that share
                of the steps (`spent_steps`). Default: the pipeline's.
            image_guidance_scale: for pipelines that take one (`guidance.image`). Default: the pipeline's.
            style_image: for pipelines with an IP adapter. style_strength: factor of what the adapter adds.
            callback: called after each step as callback(steps done, steps in all).

        Raises:
            DataError: a prompt that is empty, too long, or with weights.
            SaccadeError: values out of range, or that the pipeline does not take.
        """
        if image is None and mask_image is not None:
            raise SaccadeError("a mask_image goes with an image: give it too")
        originals = SourceImages(
            None if image is None else SourceImage.read(image, mask_image),
            None if style_image is None else SourceImage.read(style_image),
        )
        task = self.image_to_image_task(originals)
        given = {"steps": num_inference_steps, "guidance": guidance_scale, "image_guidance": image_guidance_scale}
        changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        sampling = replace(task.default_sampling, **changes)
        if originals.image is not None:
            height, width = task.fit_size(originals.image, height, width)
        settings = task.settings(
            prompt, negative_prompt, seed, sampling, height, width, originals, strength, style_strength
        )
        return list(task.generate_all(repeat_with_seeds(settings, n), callback, originals=originals))

    def image_to_image_task(self, originals: SourceImages) -> "PublicGenerateTask":
        """The task whose pipeline takes the pictures: this one, or of a text-to-image pipeline and an image the one of
        the image-to-image or inpainting pipeline of the same networks. Raises SaccadeError where there is none."""
        return self if originals.image is None else self._painting(originals.image.mask is not None)

    def _painting(self, masked: bool) -> "PublicGenerateTask":
        pipeline = picture_pipeline(self.model, masked, self.name)
        if pipeline is self.model:
            return self
        kind = type(pipeline).__name__
        if kind not in self._converted:
            task = PublicGenerateTask(PublicPipeline(pipeline, guidance(pipeline), self.name, self.notes))
            task.digest = self.digest  # of the same networks
            self._converted[kind] = task
        return self._converted[kind]

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
    ) -> Settings:
        """The settings of one picture, checked. Raises as `generate` does."""
        given = originals or SourceImages()
        task = self.image_to_image_task(given)
        if task is not self:
            return task.settings(prompt, negative, seed, sampling, height, width, given, strength, style_strength)
        seed = first_seed(seed)
        sampling = sampling or self.default_sampling
        self.check_sampling(sampling)
        if negative.strip() and not self.guidance.negative:
            raise SaccadeError(f"{self.name} takes no negative prompt: its guidance is an input of the network")
        usual = (0, 0) if height is not None and width is not None else self.default_size
        size = (usual[0] if height is None else height, usual[1] if width is None else width)
        self._check_size(size)
        check_prompts(self.name, self.tokenizers, prompt, negative)
        image = image_settings(self.model, self.name, given.image, strength, sampling.steps)
        check_style(self.model, self.name, given.style is not None)
        style = None if given.style is None else given.style.style_settings(style_strength)
        found = Settings(prompt, seed, size, negative, sampling, self.name, self.digest, scheduler=self.scheduler)
        return replace(found, image=image, style=style)

    def generate_all(
        self,
        settings: Sequence[Settings],
        callback: Callback | None = None,
        batch: int = 1,
        originals: SourceImages | None = None,
    ) -> Iterator[GeneratedPicture]:
        """A picture for each of the settings, in order. With a batch of 1 a picture is the same, bit for bit, whatever
        is painted beside it; in larger ones the last digits of its pixels may differ. originals: the pictures of
        settings with an image or a style.

        Raises SaccadeError for settings with a layout, or with an image or a style that the pipeline does not take or
        that `originals` are not, where the pipeline fails, its output is not finite or its safety checker blanks a
        picture.
        """
        if any(each.layout for each in settings):
            raise SaccadeError(
                f"{self.name} cannot keep the layout of another prompt: leave it out, or use our generator"
            )
        runs = list(chunk_settings(settings, _shared, lambda _: batch))
        tasks = [self._task_of(run[0]) for run in runs]
        spent = [spent_steps(task.model, run[0]) for task, run in zip(tasks, runs, strict=True)]
        for i, (task, chunk) in enumerate(zip(tasks, runs, strict=True)):
            own = (originals or SourceImages()).select_for(chunk[0])
            pixels = task._run(chunk, own, PipelineProgress(callback, sum(spent[:i]), sum(spent), spent[i]))
            for each, picture in zip(chunk, pixels, strict=True):
                image = Image.fromarray((picture.clip(0, 1) * 255).round().astype(np.uint8))
                if (image.height, image.width) != each.size:
                    raise SaccadeError(
                        f"{self.name} painted {image.width} x {image.height} pixels instead of {each.size[1]} x "
                        f"{each.size[0]}: choose a size that it supports"
                    )
                yield GeneratedPicture(image if own.image is None else own.image.finish(image), each)

    def _task_of(self, settings: Settings) -> "PublicGenerateTask":
        """The task that paints settings. Raises SaccadeError where there is none."""
        image = settings.image
        task = self if image is None else self._painting(bool(image.mask_digest))
        check_image(task.model, self.name, image, settings.sampling.steps)
        check_style(task.model, self.name, settings.style is not None)
        return task

    def fit_size(self, image: SourceImage, height: int | None = None, width: int | None = None) -> tuple[int, int]:
        """(height, width) at which an image is painted: about the area of the default size in its aspect, or the given
        sides, of which one gives the other."""
        multiple = math.lcm(self.pixels_per_token, 8) if hasattr(self.model, "unet") else self.pixels_per_token
        known = height is not None and width is not None
        return image.fit_size((0, 0) if known else self.default_size, multiple, height, width)

    def spent_steps(self, settings: Settings) -> int:
        """How many of the steps of settings are spent: with a strength fewer, by the pipeline's own rounding."""
        return spent_steps(self._task_of(settings).model, settings)

    def unknown_words(self, prompt: str) -> list[str]:
        """None: what a public pipeline was trained on is not recorded."""
        return []

    def _check_size(self, size: tuple[int, int]) -> None:
        multiple = self.pixels_per_token
        if any(side < multiple or side % multiple for side in size):
            raise SaccadeError(
                f"a size of {size[1]} x {size[0]} pixels: multiples of {multiple}, from {multiple} on, are expected "
                f"by {self.name}"
            )

    def _run(
        self, chunk: list[Settings], originals: SourceImages, progress: PipelineProgress
    ) -> Float[np.ndarray, "b y x 3"]:
        """Pixels, 0 to 1."""
        found = self.call(self._options(chunk, originals), progress)
        flagged = getattr(found, "nsfw_content_detected", None) or []
        if any(flagged):
            seeds = ", ".join(str(each.seed) for each, flag in zip(chunk, flagged, strict=True) if flag)
            raise SaccadeError(f"the safety checker of {self.name} blanked the picture of seed {seeds}: take another")
        self.check_finite(found.images, chunk[0])
        return found.images

    def _options(self, chunk: list[Settings], originals: SourceImages) -> dict[str, Any]:
        """Arguments of the pipeline's call."""
        first, b = chunk[0], len(chunk)
        options = self.shared_call_arguments(chunk) | picture_options(self.model, first, originals, b)
        if "height" in self.arguments:  # others take the size of the picture
            options |= {"height": first.size[0], "width": first.size[1]}
        if self.guidance.image:
            options[self.guidance.image] = first.sampling.image_guidance
        if "clean_caption" in self.arguments:
            options["clean_caption"] = False  # it depends on which libraries are installed
        if "use_resolution_binning" in self.arguments:
            options["use_resolution_binning"] = self.config.sample_size in (32, 64, 128)
        return options


def _shared(settings: Settings) -> Settings:
    """What pictures that are painted together have in common: all but the seed."""
    return replace(settings, seed=0)
