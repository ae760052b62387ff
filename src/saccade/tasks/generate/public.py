"""Public text-to-image pipelines as tasks."""

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image

from saccade.checkpoints.pipelines import PublicPipeline, denoiser, digest, networks, quiet_diffusers
from saccade.errors import DataError, SaccadeError, in_one_line, printable
from saccade.tasks.generate.base import ReadsNoPictures, chunks, first_seed, several
from saccade.tasks.generate.pipeline_progress import PipelineProgress
from saccade.tasks.generate.prompt import parse_prompt
from saccade.tasks.generate.result import GeneratedPicture
from saccade.tasks.generate.sample import Callback, Sampling
from saccade.tasks.generate.settings import Settings


class PublicGenerateTask(ReadsNoPictures):
    """A text-to-image pipeline of diffusers, with the methods of `GenerateTask`.

    Attributes:
        model: the pipeline; `saccade.watch`, `saccade.edit` and `.to(device)` take it as it is.
        guidance: its convention for the guidance scale and the negative prompt.
        name: short name for display.
        notes: what to know of it, one sentence each.
    """

    kind = "generate"

    def __init__(self, public: PublicPipeline):
        self.model, self.name, self.notes = public.pipeline, public.name, public.notes
        self.guidance = public.guidance
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
            height, width: in pixels; default: the pipeline's.
            callback: called after each step as callback(steps done, steps in all).

        Raises:
            DataError: a prompt that is empty, too long, or with weights.
            SaccadeError: values out of range, or that the pipeline does not take.
        """
        usual = self.default_sampling
        steps = usual.steps if num_inference_steps is None else num_inference_steps
        scale = usual.guidance if guidance_scale is None else guidance_scale
        settings = self.settings(prompt, negative_prompt, seed, Sampling(steps, scale), height, width)
        return list(self.generate_all(several(settings, n), callback))

    def settings(
        self,
        prompt: str,
        negative: str = "",
        seed: int | None = None,
        sampling: Sampling | None = None,
        height: int | None = None,
        width: int | None = None,
    ) -> Settings:
        """The settings of one picture, checked. Raises as `generate` does."""
        seed = first_seed(seed)
        sampling = sampling or self.default_sampling
        if sampling.sampler != Sampling.sampler or sampling.interval != Sampling.interval:
            raise SaccadeError(
                f"{self.name} is sampled by its own {self.scheduler}, without a guidance interval: leave out the "
                "sampler and the interval"
            )
        if negative.strip() and not self.guidance.negative:
            raise SaccadeError(f"{self.name} takes no negative prompt: its guidance is an input of the network")
        usual = (0, 0) if height is not None and width is not None else self.default_size
        size = (usual[0] if height is None else height, usual[1] if width is None else width)
        self._check_size(size)
        self._check_prompts(prompt, negative)
        return Settings(prompt, seed, size, negative, sampling, self.name, self.digest, scheduler=self.scheduler)

    def generate_all(
        self, settings: Sequence[Settings], callback: Callback | None = None, batch: int = 1
    ) -> Iterator[GeneratedPicture]:
        """A picture for each of the settings, in order. With a batch of 1 a picture is the same, bit for bit, whatever
        is painted beside it; in larger ones the last digits of its pixels may differ.

        Raises SaccadeError for settings with a layout or an image, where the pipeline fails, its output is not finite
        or its safety checker blanks a picture.
        """
        if any(each.layout for each in settings):
            raise SaccadeError(
                f"{self.name} cannot keep the layout of another prompt: leave it out, or use our generator"
            )
        if any(each.image for each in settings):
            raise SaccadeError(
                f"{self.name} is a pipeline from text alone: a picture to start from needs our generator"
            )
        runs = list(chunks(settings, _shared, lambda _: batch))
        total, done = sum(run[0].sampling.steps for run in runs), 0
        for chunk in runs:
            pixels = self._run(chunk, PipelineProgress(callback, done, total, chunk[0].sampling.steps))
            done += chunk[0].sampling.steps
            for each, picture in zip(chunk, pixels, strict=True):
                image = Image.fromarray((picture.clip(0, 1) * 255).round().astype(np.uint8))
                if (image.height, image.width) != each.size:
                    raise SaccadeError(
                        f"{self.name} painted {image.width} x {image.height} pixels instead of {each.size[1]} x "
                        f"{each.size[0]}: choose a size that it supports"
                    )
                yield GeneratedPicture(image, each)

    def unknown_words(self, prompt: str) -> list[str]:
        """None: what a public pipeline was trained on is not recorded."""
        return []

    @property
    def scheduler(self) -> str:
        """The class of the pipeline's scheduler."""
        return type(self.model.scheduler).__name__

    @property
    def parameters(self) -> int:
        """Number of parameters of all its networks."""
        return sum(p.numel() for _, network in networks(self.model) for p in network.parameters())

    @property
    def default_sampling(self) -> Sampling:
        """The pipeline's own steps and guidance scale."""
        steps, scale = (self._arguments[name].default for name in ("num_inference_steps", self.guidance.argument))
        return Sampling(steps, float(scale))

    @property
    def default_size(self) -> tuple[int, int]:
        """(height, width) in pixels that the pipeline paints by default. Raises SaccadeError if it names none."""
        given = self._arguments["height"].default, self._arguments["width"].default
        if all(isinstance(side, int) for side in given):
            return given
        latents = getattr(self.model, "default_sample_size", None) or getattr(self._config, "sample_size", None)
        if latents is None:
            raise SaccadeError(f"{self.name} names no size of its own: give height and width")
        height, width = (latents, latents) if isinstance(latents, int) else latents
        return height * self.model.vae_scale_factor, width * self.model.vae_scale_factor

    @property
    def pixels_per_token(self) -> int:
        """Side in pixels of a token of the finest layer: a latent pixel of a U-Net, a patch of them of a transformer,
        or 2 x 2 of them that the pipeline packs together."""
        patch = getattr(self._config, "patch_size", 1)
        packed = 2 if hasattr(self.model, "_pack_latents") else 1
        return self.model.vae_scale_factor * max(patch if isinstance(patch, int) else 1, packed)

    def text_tokens(self, tokenizer: Any) -> int:
        """How many tokens the pipeline takes from one of its tokenizers."""
        usual = self._arguments.get("max_sequence_length")
        clip = type(tokenizer).__name__.startswith("CLIP")
        return tokenizer.model_max_length if clip or usual is None or usual.default is None else usual.default

    @cached_property
    def digest(self) -> str:
        """A short hash of the weights of its networks, and of the configs of the scheduler and diffusers' networks."""
        return digest(self.model)

    @cached_property
    def _arguments(self) -> Any:
        return inspect.signature(type(self.model).__call__).parameters

    @property
    def _config(self) -> Any:
        return denoiser(self.model).config

    def _check_size(self, size: tuple[int, int]) -> None:
        multiple = self.pixels_per_token
        if any(side < multiple or side % multiple for side in size):
            raise SaccadeError(
                f"a size of {size[1]} x {size[0]} pixels: multiples of {multiple}, from {multiple} on, are expected "
                f"by {self.name}"
            )

    def _check_prompts(self, prompt: str, negative: str) -> None:
        for which, text in (("prompt", prompt), ("negative prompt", negative)):
            if any(weight != 1 for _, _, weight in parse_prompt(text).weights):
                raise DataError(
                    f'the {which} "{printable(text[:60])}" has weights, which {self.name} does not take: leave them '
                    "out, and write plain brackets as \\( and \\)"
                )
        if not parse_prompt(prompt).text.strip():
            raise DataError('the prompt is empty: say what to paint, as in "a red star"')
        for which, text in (("prompt", prompt), ("negative prompt", negative)):
            self._check_length(which, parse_prompt(text).text)

    def _check_length(self, which: str, text: str) -> None:
        """Against the longest of the pipeline's text encoders."""
        room: list[tuple[int, int]] = []  # tokens too many, tokens taken
        for name, tokenizer in self.model.components.items():
            if name.startswith("tokenizer") and tokenizer is not None:
                most = self.text_tokens(tokenizer)
                with quiet_diffusers(self.name):
                    room.append((len(tokenizer(text)["input_ids"]) - most, most))
        if room and min(room)[0] > 0:
            more, most = min(room)
            raise DataError(f"the {which} has {most + more} tokens; {self.name} takes {most}: use fewer words")

    def _run(self, chunk: list[Settings], progress: PipelineProgress) -> Float[np.ndarray, "b y x 3"]:
        """Pixels, 0 to 1."""
        first = chunk[0]
        with quiet_diffusers(self.name), torch.no_grad():
            try:
                found = self.model(**self._options(chunk), **progress.options(self._arguments))
            except SaccadeError:
                raise
            except Exception as error:  # sizes, schedules and lengths that a pipeline does not take
                raise SaccadeError(f"{self.name} cannot paint this: {in_one_line(error)}") from error
        flagged = getattr(found, "nsfw_content_detected", None) or []
        if any(flagged):
            seeds = ", ".join(str(each.seed) for each, flag in zip(chunk, flagged, strict=True) if flag)
            raise SaccadeError(f"the safety checker of {self.name} blanked the picture of seed {seeds}: take another")
        if not np.isfinite(found.images).all():
            raise SaccadeError(
                f"the output of {self.name} is not a number: its weights are damaged, or the guidance of "
                f"{first.sampling.guidance:g} is too large"
            )
        return found.images

    def _options(self, chunk: list[Settings]) -> dict[str, Any]:
        """Arguments of the pipeline's call."""
        first, b = chunk[0], len(chunk)
        options: dict[str, Any] = {
            "prompt": [parse_prompt(first.prompt).text] * b,
            "height": first.size[0],
            "width": first.size[1],
            "num_inference_steps": first.sampling.steps,
            self.guidance.argument: first.sampling.guidance,
            "generator": [torch.Generator().manual_seed(each.seed) for each in chunk],
            "output_type": "np",
        }
        negative = parse_prompt(first.negative).text
        if self.guidance.argument == "true_cfg_scale":  # guided only where there is a negative prompt
            if first.sampling.guidance > 1:
                options["negative_prompt"] = [negative or " "] * b
        elif self.guidance.negative:
            options["negative_prompt"] = [negative] * b
        if "clean_caption" in self._arguments:
            options["clean_caption"] = False  # it depends on which libraries are installed
        if "use_resolution_binning" in self._arguments:
            options["use_resolution_binning"] = self._config.sample_size in (32, 64, 128)
        return options


def _shared(settings: Settings) -> Settings:
    """What pictures that are painted together have in common: all but the seed."""
    return replace(settings, seed=0)
