"""Pictures with captions to train a matcher on, and the candidates on which it is scored."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Generator, Tensor

from saccade.data.augment_ops import jitter_colors, mean_color, random_window, resample, uniform
from saccade.data.cache import Arrays, Streamed
from saccade.data.captions import CaptionSet
from saccade.data.captions.sets import caption_key, prepare_captioned
from saccade.data.preprocess import Preprocess
from saccade.tasks.match.batches import Pairs
from saccade.tasks.match.candidates import CANDIDATES
from saccade.tasks.match.recipe import MatchRecipe

SMALLEST = 0.75  # of the sides of the input, that an augmented picture fills
JITTER = 0.1  # of brightness, contrast and saturation: no colour takes another name

Annotations = tuple[list[frozenset[str]], list[str]]  # keys of all captions of each picture, captions that were drawn


class CaptionedPictures:
    """Pictures, decoded once, with captions drawn by lot for each batch.

    Augmentation leaves the meaning as it is: the whole picture, somewhat smaller and out of the centre, with slightly
    changed colours; mirrored only if the recipe asks for it.
    """

    def __init__(self, dataset: CaptionSet, size: tuple[int, int], recipe: MatchRecipe):
        self.title, self.recipe = dataset.title, recipe
        self.data, kept = prepare_captioned(dataset, Preprocess(size, "letterbox"))
        self.captions = [dataset.captions(i) for i in kept]
        self.keys = [frozenset(map(caption_key, texts)) for texts in self.captions]
        self.each = min(recipe.captions, max(map(len, self.captions)))

    def __len__(self) -> int:
        return len(self.data)

    def samples(
        self, indices: Tensor, size: tuple[int, int], generator: Generator
    ) -> tuple[Float[Tensor, "b 3 y x"], Annotations]:
        """A picture an index, with `recipe.captions` of its captions, or as many as any picture of the set has. They
        repeat for a picture that has fewer."""
        pictures, places = self.data[indices]
        texts = [text for i in places.tolist() for text in sample_captions(self.captions[i], self.each, generator)]
        return self._augmented(pictures, size, generator), ([self.keys[i] for i in places.tolist()], texts)

    def pairs(self, annotations: Sequence[Annotations], generator: Generator) -> Pairs:
        """Of every picture its own captions, random ones, and those of other pictures that the towers find hardest."""
        keys, drawn = zip(*annotations, strict=True)
        own, texts = list(chain(*keys)), list(chain(*drawn))
        b, p = len(own), len(texts)
        labels = caption_labels(own, texts).long()
        others = torch.randint(p, (b, self.recipe.random_negatives), generator=generator)
        fixed = torch.cat([torch.arange(p).view(b, p // b), others], dim=1)
        return Pairs(texts, labels, HardestTexts(labels, fixed, self.recipe.hard_negatives))

    def _augmented(
        self, pictures: UInt8[Tensor, "b 3 h w"], size: tuple[int, int], generator: Generator
    ) -> Float[Tensor, "b 3 y x"]:
        b = len(pictures)
        whole = torch.tensor([0, 0, *pictures.shape[2:]]).expand(b, 4)
        share = SMALLEST + (1 - SMALLEST) * uniform((b,), generator)
        target = random_window(uniform((b, 2), generator), torch.tensor(size), share)
        mirrored = (uniform((b,), generator) < 0.5) & self.recipe.hflip
        x = resample(pictures, whole, size, target, mirrored, fill=mean_color(pictures))
        return jitter_colors(x, JITTER, generator)


@dataclass(frozen=True)
class HardestTexts:
    """The texts that the head compares with each picture: the `fixed` ones, then the `count` to which the towers give
    the highest similarity of those that are not labelled as true of it (hard negatives as in ALBEF, Li et al. 2021,
    section 3.2, the hardest instead of a draw)."""

    labels: Int[Tensor, "b p"]
    fixed: Int[Tensor, "b k"]
    count: int

    def __call__(self, similarity: Float[Tensor, "b p"]) -> Int[Tensor, "b n"]:
        false = similarity.masked_fill(self.labels.to(similarity.device) > 0, -torch.inf)
        hardest = false.topk(min(self.count, false.shape[1]), dim=1).indices
        return torch.cat([self.fixed.to(similarity.device), hardest], dim=1)


def sample_captions(captions: Sequence[str], count: int, generator: Generator) -> list[str]:
    """`count` captions in random order, all of them before any repeats."""
    order = torch.randperm(len(captions), generator=generator).tolist()
    return [captions[order[i % len(captions)]] for i in range(count)]


def caption_labels(own: Sequence[frozenset[str]], texts: Sequence[str]) -> Bool[Tensor, "b p"]:
    """Whether each text is one of each picture's own captions, drawn for it or for another picture. own: `caption_key`
    of all captions of a picture."""
    holders: dict[str, list[int]] = {}
    for i, keys in enumerate(own):
        for key in keys:
            holders.setdefault(key, []).append(i)
    labels = torch.zeros(len(own), len(texts), dtype=torch.bool)
    for j, text in enumerate(texts):
        labels[holders.get(caption_key(text), []), j] = True
    return labels


@dataclass
class CaptionCandidates:
    """Pictures, by their places, with a caption each. matches: whether a caption is one of a picture's own; equal
    captions of several pictures match all of them."""

    places: list[int]
    texts: list[str]
    matches: Bool[Tensor, "n n"]

    def __len__(self) -> int:
        return len(self.places)

    def part(self, chosen: Sequence[int]) -> "CaptionCandidates":
        """Those at `chosen` alone."""
        texts = [self.texts[i] for i in chosen]
        return CaptionCandidates([self.places[i] for i in chosen], texts, self.matches[chosen][:, chosen])


def caption_candidates(captions: Sequence[Sequence[str]], seed: int = 0) -> list[CaptionCandidates]:
    """Sets of at most `CANDIDATES` pictures, as equal in size as possible, each picture in one of them with one of its
    captions, in random order; the same for each seed. captions: of each picture, at least one."""
    random = np.random.default_rng(seed)
    order = random.permutation(len(captions))
    found = []
    for part in np.array_split(order, -(-len(order) // CANDIDATES)):
        places: list[int] = part.tolist()
        texts = [captions[i][int(random.integers(len(captions[i])))] for i in places]
        own = [frozenset(map(caption_key, captions[i])) for i in places]
        found.append(CaptionCandidates(places, texts, caption_labels(own, texts)))
    return found


@dataclass
class DecodedCandidates:
    """Candidates with their pictures, decoded for a model."""

    data: Arrays | Streamed
    candidates: CaptionCandidates

    def __len__(self) -> int:
        return len(self.candidates)

    @property
    def pixels(self) -> UInt8[Tensor, "n 3 y x"]:
        return self.data[self.candidates.places][0]

    @property
    def texts(self) -> list[str]:
        return self.candidates.texts

    @property
    def matches(self) -> Bool[Tensor, "n n"]:
        return self.candidates.matches


def decoded_candidates(dataset: CaptionSet, preprocess: Preprocess) -> list[DecodedCandidates]:
    """`caption_candidates` of all pictures that can be read; others are recorded in `dataset.skipped`."""
    data, kept = prepare_captioned(dataset, preprocess)
    captions = [dataset.captions(i) for i in kept]
    return [DecodedCandidates(data, each) for each in caption_candidates(captions)]
