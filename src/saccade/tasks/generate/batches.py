"""Batches to train a generator: pictures with captions and other sources, each noised several times."""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Generator, Tensor

from saccade.models.sources import SourcePicture, masked_pixels
from saccade.ops import WordBatch
from saccade.ops.flow import logit_normal
from saccade.ops.words import merged
from saccade.tasks.generate.recipe import GenerateRecipe

ABSENT = "\ue000"  # in place of a caption that is not there: a private character, which is one word


class Samples(NamedTuple):
    """Pictures to paint and what they are painted from. captioned: False where the caption is not true of the picture.
    sources: of the pictures beside the captions, by name, as `SourcePixels`."""

    pictures: UInt8[Tensor, "b c y x"]
    captions: list[str]
    captioned: Bool[Tensor, "b"]
    sources: "Mapping[str, SourcePixels]"


class SourcePixels(NamedTuple):
    """pixels: of "masked" the mask alone, (b 1 y x), 1 where the picture is known. present: False where it is
    absent."""

    pixels: UInt8[Tensor, "b c y x"]
    present: Bool[Tensor, "b"]


class Batch(NamedTuple):
    """pictures: one frame each. words: of the captions. present: False where the caption is left out. sources: as in
    `Samples`. t: time of each frame, 0 (noise) to 1 (picture). uniform: from 0 to 1, for what an objective draws
    besides. noise: seeds, each with the number of consecutive samples that it is for; the noise is drawn where it is
    used.
    """

    pictures: UInt8[Tensor, "b 1 c y x"]
    words: WordBatch
    present: Bool[Tensor, "b"]
    sources: dict[str, SourcePixels]
    t: Float[Tensor, "b 1"]
    uniform: Float[Tensor, "b 3"]
    noise: tuple[tuple[int, int], ...]

    def on(self, device: torch.device) -> "NoisedBatch":
        """On a device, with noise: the same every time on devices of one kind."""
        data = as_data(self.pictures.to(device))
        noise = [
            torch.randn((n, *data.shape[1:]), generator=Generator(device).manual_seed(seed), device=device)
            for seed, n in self.noise
        ]
        sources = {}
        for name, (pixels, present) in self.sources.items():
            pixels = pixels.to(device)
            given = masked_pixels(data[:, 0], pixels > 0) if name == "masked" else as_data(pixels)
            sources[name] = SourcePicture(given, present.to(device))
        words, present = self.words.to(device), self.present.to(device)
        return NoisedBatch(data, torch.cat(noise), words, present, sources, self.t.to(device), self.uniform.to(device))


class NoisedBatch(NamedTuple):
    """pictures: -1 to 1. noise: standard normal. sources: as `Generator.encode` takes them. The others: as in
    `Batch`."""

    pictures: Float[Tensor, "b 1 c y x"]
    noise: Float[Tensor, "b 1 c y x"]
    words: WordBatch
    present: Bool[Tensor, "b"]
    sources: dict[str, SourcePicture]
    t: Float[Tensor, "b 1"]
    uniform: Float[Tensor, "b 3"]


def as_data(pixels: UInt8[Tensor, "*b"]) -> Float[Tensor, "*b"]:
    """Pixels from -1 to 1."""
    return pixels.float() / 127.5 - 1


def new_batch(samples: Samples, words: WordBatch, recipe: GenerateRecipe, generator: Generator) -> Batch:
    """Times, captions left out and a seed of the noise for samples, with the words of their captions."""
    b = len(samples.pictures)
    t = logit_normal((b, 1), generator, recipe.time_mean, recipe.time_std)
    present = (torch.rand(b, generator=generator) >= recipe.caption_dropout) & samples.captioned
    uniform, seed = torch.rand(b, 3, generator=generator), int(torch.randint(2**62, (), generator=generator))
    return Batch(samples.pictures[:, None], words, present, dict(samples.sources), t, uniform, ((seed, b),))


def join(batches: Sequence[Batch]) -> Batch:
    """One batch of several."""
    pictures, words, present, sources, t, uniform, noise = zip(*batches, strict=True)
    joined = {
        name: SourcePixels(*(torch.cat(parts) for parts in zip(*(each[name] for each in sources), strict=True)))
        for name in sources[0]
    }
    tensors = torch.cat(pictures), merged(words), torch.cat(present), joined, torch.cat(t), torch.cat(uniform)
    return Batch(*tensors, tuple(chain(*noise)))
