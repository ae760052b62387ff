"""Pictures with captions to train a generator: drawn scenes, each noised several times."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Generator, Tensor

from saccade.data.scenes import Scene, Scenes, draw_caption
from saccade.ops.flow import logit_normal
from saccade.tasks.generate.recipe import GenerateRecipe
from saccade.tasks.training import SceneSource


class Batch(NamedTuple):
    """pictures: -1 to 1, one frame each. noise: standard normal. t: time of each frame, 0 (noise) to 1 (picture).
    present: False where the caption is left out.
    uniform: from 0 to 1, for what an objective draws besides."""

    pictures: Float[Tensor, "b 1 c y x"]
    captions: list[str]
    noise: Float[Tensor, "b 1 c y x"]
    t: Float[Tensor, "b 1"]
    present: Bool[Tensor, "b"]
    uniform: Float[Tensor, "b 3"]

    def to(self, device: torch.device) -> "Batch":
        """The same batch with its tensors on another device."""
        tensors: Any = {k: v.to(device) for k, v in self._asdict().items() if isinstance(v, Tensor)}
        return self._replace(**tensors)


class CaptionedScenes(SceneSource):
    """Scenes that never repeat. Each is in `views` samples of a batch, with a caption drawn for each."""

    label = "scenes with captions, rendered for each batch"

    def __init__(self, scenes: Scenes, views: int):
        super().__init__(scenes)
        self.views = views

    def samples(
        self, indices: Tensor, size: tuple[int, int], generator: Generator
    ) -> tuple[Float[Tensor, "b c y x"], list[str]]:
        pictures, scenes = self.scenes.batch(-(-len(indices) // self.views), size, generator)
        samples = [each for each in range(len(scenes)) for _ in range(self.views)][: len(indices)]
        return pictures[samples], draw_captions([scenes[i] for i in samples], generator)


def draw_captions(scenes: Sequence[Scene], generator: Generator) -> list[str]:
    """A caption of each scene."""
    return [draw_caption(scene.description, generator).text for scene in scenes]


def noised_batch(
    pictures: Float[Tensor, "b c y x"], captions: list[str], recipe: GenerateRecipe, generator: Generator
) -> Batch:
    """Noise, times and absent captions for pictures from 0 to 1."""
    data, b = pictures[:, None] * 2 - 1, len(pictures)
    noise = torch.randn(data.shape, generator=generator)
    t = logit_normal((b, 1), generator, recipe.time_mean, recipe.time_std)
    present = torch.rand(b, generator=generator) >= recipe.caption_dropout
    return Batch(data, captions, noise, t, present, torch.rand(b, 3, generator=generator))


def join(batches: Sequence[Batch]) -> Batch:
    """One batch of several."""
    pictures, captions, noise, t, present, uniform = zip(*batches, strict=True)
    texts = [text for each in captions for text in each]
    return Batch(torch.cat(pictures), texts, *map(torch.cat, (noise, t, present, uniform)))
