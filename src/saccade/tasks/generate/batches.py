"""Batches to train a generator: pictures and films with captions and other sources, each noised several times."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Generator, Tensor

from saccade.models.generator import FilmClip
from saccade.models.source_encoders import PictureInput, masked_pixels
from saccade.ops import WordBatch
from saccade.ops.flow_matching import logit_normal
from saccade.ops.frames import TUBE, count_frame_groups
from saccade.ops.words import merge_batches
from saccade.tasks.generate.recipe import GenerateRecipe

ABSENT = "\ue000"  # in place of a caption that is not there: a private character, which is one word
# Shares of the films of which no frame is known, the first one, more of the first, and the first and the last.
KNOWN = (0.45, 0.2, 0.25, 0.1)


class Samples(NamedTuple):
    """Pictures, which are films of one frame, or films to paint, and what they are painted from. captioned: False where
    the caption is not true of the picture. sources: of the pictures beside the captions, by name, as
    `SourcePixels`."""

    pictures: UInt8[Tensor, "b f c y x"]
    captions: list[str]
    captioned: Bool[Tensor, "b"]
    sources: "Mapping[str, SourcePixels]"


class SourcePixels(NamedTuple):
    """pixels: of "masked" the mask alone, (b 1 y x), 1 where the picture is known. present: False where it is
    absent."""

    pixels: UInt8[Tensor, "b c y x"]
    present: Bool[Tensor, "b"]


class KnownFrameCounts(NamedTuple):
    """Frames of a film that are not painted. before: how many of the first ones, 0 or an odd number. last: whether the
    last frame is known too."""

    before: int = 0
    last: bool = False


class Batch(NamedTuple):
    """pictures: all frames. known: those that are not painted. words: of the captions. present: False where the caption
    is left out. sources: as in `Samples`. t: time of each group of frames to paint, 0 (noise) to 1 (picture). uniform:
    from 0 to 1, for what an objective draws besides. noise: seeds, each with the number of consecutive samples that it
    is for; the noise is drawn where it is used.
    """

    pictures: UInt8[Tensor, "b f c y x"]
    known: KnownFrameCounts
    words: WordBatch
    present: Bool[Tensor, "b"]
    sources: dict[str, SourcePixels]
    t: Float[Tensor, "b g"]
    uniform: Float[Tensor, "b 3"]
    noise: tuple[tuple[int, int], ...]

    def on(self, device: torch.device) -> "NoisedBatch":
        """On a device, with noise: the same every time on devices of one kind."""
        film = normalize_pixels(self.pictures.to(device))
        data, past = film[:, self.known.before :], known_clips(film, self.known)
        noise = [
            torch.randn((n, *data.shape[1:]), generator=Generator(device).manual_seed(seed), device=device)
            for seed, n in self.noise
        ]
        sources = {}
        for name, (pixels, present) in self.sources.items():
            pixels = pixels.to(device)
            given = masked_pixels(data[:, 0], pixels > 0) if name == "masked" else normalize_pixels(pixels)
            sources[name] = PictureInput(given, present.to(device))
        words, present = self.words.to(device), self.present.to(device)
        t, uniform = self.t.to(device), self.uniform.to(device)
        return NoisedBatch(data, torch.cat(noise), words, present, sources, past, self.known.before, t, uniform)


class NoisedBatch(NamedTuple):
    """pictures: the frames to paint, -1 to 1. noise: standard normal. sources: as `Generator.encode` takes them. past:
    known frames, and first: number of the first one to paint, as `Generator.with_past` takes them. The others: as in
    `Batch`."""

    pictures: Float[Tensor, "b f c y x"]
    noise: Float[Tensor, "b f c y x"]
    words: WordBatch
    present: Bool[Tensor, "b"]
    sources: dict[str, PictureInput]
    past: tuple[FilmClip, ...]
    first: int
    t: Float[Tensor, "b g"]
    uniform: Float[Tensor, "b 3"]

    def part(self, samples: slice | Int[Tensor, "n"]) -> "NoisedBatch":
        """Some of the samples."""
        words = replace(self.words, index=self.words.index[samples], word_mask=self.words.word_mask[samples])
        sources = {name: PictureInput(*(each[samples] for each in source)) for name, source in self.sources.items()}
        past = tuple(clip._replace(pixels=clip.pixels[samples]) for clip in self.past)
        tensors = {name: getattr(self, name)[samples] for name in ("pictures", "noise", "present", "t", "uniform")}
        return self._replace(**tensors, words=words, sources=sources, past=past)


def normalize_pixels(pixels: UInt8[Tensor, "*b"]) -> Float[Tensor, "*b"]:
    """Pixels from -1 to 1."""
    return pixels.float() / 127.5 - 1


def known_clips(film: Float[Tensor, "b f c y x"], known: KnownFrameCounts) -> tuple[FilmClip, ...]:
    """The known frames of a film."""
    clips = [FilmClip(film[:, : known.before])] if known.before else []
    if known.last:
        clips.append(FilmClip(film[:, -1:], film.shape[1] - 1))
    return tuple(clips)


def random_known_frames(frames: int, generator: Generator) -> KnownFrameCounts:
    """Which frames of a film of an odd number of frames are known: none; the first; more of the first, from which it
    goes on; or the first and the last, between which it is filled in. None of one frame."""
    if frames == 1:
        return KnownFrameCounts()
    kind = int(torch.multinomial(torch.tensor(KNOWN), 1, generator=generator))
    tubes = frames // TUBE
    more = 1 + TUBE * int(torch.randint(1, tubes, (), generator=generator)) if tubes > 1 else 1
    return (KnownFrameCounts(), KnownFrameCounts(1), KnownFrameCounts(more), KnownFrameCounts(1, last=True))[kind]


def new_batch(
    samples: Samples,
    words: WordBatch,
    recipe: GenerateRecipe,
    generator: Generator,
    known: KnownFrameCounts | None = None,
) -> Batch:
    """Times, captions left out and a seed of the noise for samples, with the words of their captions. All groups of
    frames of a sample have the same time. known: frames that are not painted."""
    known, (b, frames) = known or KnownFrameCounts(), samples.pictures.shape[:2]
    t = logit_normal((b, 1), generator, recipe.time_mean, recipe.time_std).repeat(
        1, count_frame_groups(frames - known.before)
    )
    present = (torch.rand(b, generator=generator) >= recipe.caption_dropout) & samples.captioned
    uniform, seed = torch.rand(b, 3, generator=generator), int(torch.randint(2**62, (), generator=generator))
    return Batch(samples.pictures, known, words, present, dict(samples.sources), t, uniform, ((seed, b),))


def concat_batches(batches: Sequence[Batch]) -> Batch:
    """One batch of several with as many frames, the same of them known."""
    pictures, known, words, present, sources, t, uniform, noise = zip(*batches, strict=True)
    joined = {
        name: SourcePixels(*(torch.cat(parts) for parts in zip(*(each[name] for each in sources), strict=True)))
        for name in sources[0]
    }
    tensors = (
        torch.cat(pictures),
        known[0],
        merge_batches(words),
        torch.cat(present),
        joined,
        torch.cat(t),
        torch.cat(uniform),
    )
    return Batch(*tensors, tuple(chain(*noise)))
