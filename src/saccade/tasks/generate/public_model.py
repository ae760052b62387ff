"""A public pipeline, and what it says of itself."""

import inspect
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from saccade.checkpoints.pipelines import PublicPipeline, denoiser, digest, networks
from saccade.errors import SaccadeError
from saccade.tasks.generate.sample import Sampling


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
