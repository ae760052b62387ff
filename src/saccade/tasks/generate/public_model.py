"""A public pipeline, and what it says of itself."""

import inspect
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from saccade.checkpoints.pipelines import PublicPipeline, denoiser, digest, networks, quiet_diffusers
from saccade.errors import SaccadeError, in_one_line
from saccade.tasks.generate.pipeline_progress import PipelineProgress
from saccade.tasks.generate.prompt import parse_prompt
from saccade.tasks.generate.sample import Sampling
from saccade.tasks.generate.settings import Settings


class PublicModel:
    """A pipeline of diffusers.

    Attributes:
        model: the pipeline; `saccade.watch`, `saccade.edit` and `.to(device)` take it as it is.
        guidance: its convention for the guidance scale and the negative prompt.
        name: short name for display.
        notes: what to know of it, one sentence each.
    """

    def __init__(self, public: PublicPipeline):
        self.model, self.name, self.notes = public.pipeline, public.name, public.notes
        self.guidance = public.guidance

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
        """The pipeline's own steps and guidance scales."""
        steps, scale = (self.arguments[name].default for name in ("num_inference_steps", self.guidance.argument))
        image = self.arguments[self.guidance.image].default if self.guidance.image else 1.0
        return Sampling(steps, float(scale), image_guidance=float(image))

    @property
    def default_size(self) -> tuple[int, int]:
        """(height, width) in pixels that the pipeline paints by default. Raises SaccadeError if it names none."""
        sides = [self.arguments[side].default for side in ("height", "width") if side in self.arguments]
        if len(sides) == 2 and all(isinstance(side, int) for side in sides):
            return sides[0], sides[1]
        latents = getattr(self.model, "default_sample_size", None) or getattr(self.config, "sample_size", None)
        if latents is None:
            raise SaccadeError(f"{self.name} names no size of its own: give height and width")
        height, width = (latents, latents) if isinstance(latents, int) else latents
        return height * self.model.vae_scale_factor, width * self.model.vae_scale_factor

    @property
    def pixels_per_token(self) -> int:
        """Side in pixels of a token of the finest layer: a latent pixel of a U-Net, a patch of them of a transformer,
        or 2 x 2 of them that the pipeline packs together."""
        patch = getattr(self.config, "patch_size", 1)
        packed = 2 if hasattr(self.model, "_pack_latents") else 1
        return self.model.vae_scale_factor * max(patch if isinstance(patch, int) else 1, packed)

    def text_tokens(self, tokenizer: Any) -> int:
        """How many tokens the pipeline takes from one of its tokenizers."""
        usual = self.arguments.get("max_sequence_length")
        clip = type(tokenizer).__name__.startswith("CLIP")
        return tokenizer.model_max_length if clip or usual is None or usual.default is None else usual.default

    @cached_property
    def digest(self) -> str:
        """A short hash of the weights of its networks, and of the configs of the scheduler and diffusers' networks."""
        return digest(self.model)

    @cached_property
    def arguments(self) -> Mapping[str, inspect.Parameter]:
        """Those of the pipeline's call."""
        return inspect.signature(type(self.model).__call__).parameters

    @property
    def config(self) -> Any:
        """Of its U-Net or transformer."""
        return denoiser(self.model).config

    @property
    def tokenizers(self) -> list[tuple[Any, int]]:
        """Each with the number of tokens that the pipeline takes from it."""
        parts = self.model.components.items()
        found = [part for name, part in parts if name.startswith("tokenizer") and part is not None]
        return [(tokenizer, self.text_tokens(tokenizer)) for tokenizer in found]

    def check_sampling(self, sampling: Sampling) -> None:
        """Raises SaccadeError for a sampler, an interval or a guidance scale that the pipeline does not have."""
        if sampling.sampler != Sampling.sampler or sampling.interval != Sampling.interval:
            raise SaccadeError(
                f"{self.name} is sampled by its own {self.scheduler}, without a guidance interval: leave out the "
                "sampler and the interval"
            )
        if sampling.style_guidance != 1 or (sampling.image_guidance != 1 and not self.guidance.image):
            which = "style" if sampling.style_guidance != 1 else "image"
            raise SaccadeError(
                f"{self.name} is a {type(self.model).__name__}, which has no {which} guidance: leave it out"
            )
        if self.guidance.image and sampling.image_guidance < 1:
            raise SaccadeError(
                f"an image guidance of {sampling.image_guidance:g} turns all guidance of {self.name} off: use 1 or more"
            )

    def shared_call_arguments(self, chunk: Sequence[Settings]) -> dict[str, Any]:
        """Arguments of the pipeline's call that pictures and films have. chunk: what is painted at once, which differs
        in the seed alone."""
        first, b = chunk[0], len(chunk)
        options: dict[str, Any] = {
            "prompt": [parse_prompt(first.prompt).text] * b,
            "num_inference_steps": first.sampling.steps,
            self.guidance.argument: first.sampling.guidance,
            "generator": [torch.Generator().manual_seed(each.seed) for each in chunk],
            "output_type": "np",
        }
        negative = parse_prompt(first.negative).text
        if self.guidance.argument == "true_cfg_scale":  # guided only where there is a negative prompt
            if first.sampling.guidance > 1:
                options["negative_prompt"] = [negative or " "] * b
        elif negative:  # an absent one is not an empty one to Stable Diffusion XL
            options["negative_prompt"] = [negative] * b
        return options

    def call(self, options: Mapping[str, Any], progress: PipelineProgress) -> Any:
        """What the pipeline returns. Raises SaccadeError, in one line, where it fails."""
        with quiet_diffusers(self.name), torch.no_grad():
            try:
                return self.model(**options, **progress.callback_arguments(self.arguments))
            except SaccadeError:
                raise
            except Exception as error:  # sizes, schedules and lengths that a pipeline does not take
                raise SaccadeError(f"{self.name} cannot paint this: {in_one_line(error)}") from error

    def check_finite(self, pixels: Float[np.ndarray, "*b y x 3"], settings: Settings) -> None:
        """Raises SaccadeError for pixels that are no numbers."""
        if not np.isfinite(pixels).all():
            raise SaccadeError(
                f"the output of {self.name} is not a number: its weights are damaged, or the guidance of "
                f"{settings.sampling.guidance:g} is too large"
            )
