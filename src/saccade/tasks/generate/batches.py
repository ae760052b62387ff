"""Batches to train a generator: pictures with captions, each noised several times."""

from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Generator, Tensor

from saccade.data.scenes import Scenes, draw_caption
from saccade.data.scenes.stream import Stream
from saccade.ops import WordBatch
from saccade.ops.flow import logit_normal
from saccade.ops.words import merged
from saccade.tasks.generate.recipe import GenerateRecipe
from saccade.tasks.training import SceneSource

_CAPTIONS = 4  # stream of random numbers; scenes, films, edits and pairs use 0 to 3


class Batch(NamedTuple):
    """pictures: one frame each. words: of the captions. present: False where the caption is left out. t: time of each
    frame, 0 (noise) to 1 (picture). uniform: from 0 to 1, for what an objective draws besides. noise: seeds, each with
    the number of consecutive samples that it is for; the noise is drawn where it is used.
    """

    pictures: UInt8[Tensor, "b 1 c y x"]
    words: WordBatch
    present: Bool[Tensor, "b"]
    t: Float[Tensor, "b 1"]
    uniform: Float[Tensor, "b 3"]
    noise: tuple[tuple[int, int], ...]

    def on(self, device: torch.device) -> "NoisedBatch":
        """On a device, with noise: the same every time on devices of one kind."""
        data = self.pictures.to(device).float() / 127.5 - 1
        noise = [
            torch.randn((n, *data.shape[1:]), generator=Generator(device).manual_seed(seed), device=device)
            for seed, n in self.noise
        ]
        words, present = self.words.to(device), self.present.to(device)
        return NoisedBatch(data, torch.cat(noise), words, present, self.t.to(device), self.uniform.to(device))


class NoisedBatch(NamedTuple):
    """pictures: -1 to 1. noise: standard normal. The others: as in `Batch`."""

    pictures: Float[Tensor, "b 1 c y x"]
    noise: Float[Tensor, "b 1 c y x"]
    words: WordBatch
    present: Bool[Tensor, "b"]
    t: Float[Tensor, "b 1"]
    uniform: Float[Tensor, "b 3"]


class CaptionedScenes(SceneSource):
    """Scenes that never repeat. Each is in `views` samples of a batch, with a caption drawn for each."""

    label = "scenes with captions, rendered for each batch"

    def __init__(self, scenes: Scenes, views: int):
        super().__init__(scenes)
        self.views = views

    def samples(
        self, indices: Tensor, size: tuple[int, int], generator: Generator
    ) -> tuple[UInt8[Tensor, "b c y x"], list[str]]:
        n = len(indices)
        seeds: list[int] = torch.randint(2**62, (-(-n // self.views),), generator=generator).tolist()
        drawn = [captioned_scene(self.scenes, self.views, size, seed) for seed in seeds]
        pictures = torch.from_numpy(np.stack([pixels for pixels, _ in drawn])).permute(0, 3, 1, 2)
        captions = [caption for _, texts in drawn for caption in texts]
        return pictures.repeat_interleave(self.views, dim=0)[:n], captions[:n]


def captioned_scene(scenes: Scenes, views: int, size: tuple[int, int], seed: int) -> tuple[np.ndarray, list[str]]:
    """The pixels of the scene of a seed, and `views` captions of it."""
    scene, stream = scenes.fresh(size, seed), Stream(seed, _CAPTIONS)
    return scene.pixels, [draw_caption(scene.description, stream).text for _ in range(views)]


def new_batch(
    pictures: UInt8[Tensor, "b c y x"], words: WordBatch, recipe: GenerateRecipe, generator: Generator
) -> Batch:
    """Times, absent captions and a seed of the noise for pictures with captions."""
    b = len(pictures)
    t = logit_normal((b, 1), generator, recipe.time_mean, recipe.time_std)
    present = torch.rand(b, generator=generator) >= recipe.caption_dropout
    uniform, seed = torch.rand(b, 3, generator=generator), int(torch.randint(2**62, (), generator=generator))
    return Batch(pictures[:, None], words, present, t, uniform, ((seed, b),))


def join(batches: Sequence[Batch]) -> Batch:
    """One batch of several."""
    pictures, words, present, t, uniform, noise = zip(*batches, strict=True)
    joined = torch.cat(pictures), merged(words), torch.cat(present), torch.cat(t), torch.cat(uniform)
    return Batch(*joined, tuple(chain(*noise)))
