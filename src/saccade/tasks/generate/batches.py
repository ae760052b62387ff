"""Pictures with captions to train a generator: drawn scenes, each noised several times."""

import multiprocessing
import signal
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Generator, Tensor

from saccade.data.scenes import Scenes, draw_caption
from saccade.data.scenes.stream import Stream
from saccade.ops.flow import logit_normal
from saccade.tasks.generate.recipe import GenerateRecipe
from saccade.tasks.training import SceneSource

_CAPTIONS = 4  # stream of random numbers; scenes, films, edits and pairs use 0 to 3


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
    """Scenes that never repeat. Each is in `views` samples of a batch, with a caption drawn for each.

    workers: processes that draw them; the samples are the same for any number.
    """

    label = "scenes with captions, rendered for each batch"

    def __init__(self, scenes: Scenes, views: int, workers: int = 0):
        super().__init__(scenes)
        self.views, self.workers = views, workers
        self._pool: ProcessPoolExecutor | None = None

    def samples(
        self, indices: Tensor, size: tuple[int, int], generator: Generator
    ) -> tuple[Float[Tensor, "b c y x"], list[str]]:
        n = len(indices)
        seeds: list[int] = torch.randint(2**62, (-(-n // self.views),), generator=generator).tolist()
        if self.workers and self._pool is None:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self.workers, context, _begin, (self.scenes, self.views))
        if self._pool is None:
            drawn = [captioned_scene(self.scenes, self.views, size, seed) for seed in seeds]
        else:
            drawn = list(self._pool.map(_draw, repeat(size), seeds, chunksize=-(-len(seeds) // self.workers)))
        pictures = torch.from_numpy(np.stack([pixels for pixels, _ in drawn])).permute(0, 3, 1, 2).float() / 255
        captions = [caption for _, texts in drawn for caption in texts]
        return pictures.repeat_interleave(self.views, dim=0)[:n], captions[:n]


def captioned_scene(scenes: Scenes, views: int, size: tuple[int, int], seed: int) -> tuple[np.ndarray, list[str]]:
    """The pixels of the scene of a seed, and `views` captions of it."""
    scene, stream = scenes.fresh(size, seed), Stream(seed, _CAPTIONS)
    return scene.pixels, [draw_caption(scene.description, stream).text for _ in range(views)]


_world: tuple[Scenes, int]  # of a worker process


def _begin(scenes: Scenes, views: int) -> None:
    global _world
    _world = scenes, views
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the training process, which saves its state


def _draw(size: tuple[int, int], seed: int) -> tuple[np.ndarray, list[str]]:
    return captioned_scene(*_world, size, seed)


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
