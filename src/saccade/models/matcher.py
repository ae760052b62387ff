"""Matching pictures with texts: two encoders compared by one product, and a cross-attention head for the fine decision.

The towers give one vector a picture and one a text, so that millions of pairs cost one matrix product (SigLIP, Zhai et
al. 2023). One vector each loses which word belongs to which (a red star and a blue ring, or the reverse), so the best
candidates are decided by the head, in which the words of a text attend to the patches of a picture.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from saccade.errors import SaccadeError
from saccade.layers import NORMS, AttentionPool, BlockConfig, CrossBlock
from saccade.models.text import TextEncoder, TextEncoderConfig, word_rotary_angles
from saccade.models.vit import ViT, ViTConfig
from saccade.ops import WordBatch
from saccade.ops.image_text_matching import cosines
from saccade.ops.positions import rotary_sincos


class MatcherConfig(BaseModel):
    """Two encoders, the width of the space in which their vectors are compared, and a head of `depth` cross-attention
    blocks like the text encoder's."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    vit: ViTConfig
    text: TextEncoderConfig = Field(default_factory=lambda: TextEncoderConfig.model_validate({}))
    width: int = Field(128, gt=0, le=65536)
    depth: int = Field(2, gt=0, le=100)


class PictureFeatures(NamedTuple):
    """tokens: one a patch, row by row. vector: of length 1."""

    tokens: Float[Tensor, "b n d"]
    vector: Float[Tensor, "b e"]


class TextFeatures(NamedTuple):
    """tokens: one a word. mask: True where there is a word. vector: of length 1."""

    tokens: Float[Tensor, "b m d"]
    mask: Bool[Tensor, "b m"]
    vector: Float[Tensor, "b e"]


class Match(NamedTuple):
    """Whether a text describes a picture, as a logit a pair; `words` holds the logits of the words, +inf for padding,
    and the pair's is their soft minimum."""

    logits: Float[Tensor, "p"]
    words: Float[Tensor, "p m"]


class Matcher(nn.Module):
    """Compare pictures with texts.

    pictures = matcher.encode_pictures(pixels)
    texts = matcher.encode_texts(matcher.tokenize(["a red star left of a blue ring", "..."]))
    matcher.similarity(pictures.vector, texts.vector)         # every picture with every text
    matcher.match(pictures.tokens, texts.tokens, texts.mask)  # each picture with its own texts
    """

    def __init__(self, config: MatcherConfig):
        super().__init__()
        self.config = config
        block, picture_width = config.text.block, config.vit.block.width
        self.vit = ViT(config.vit)
        self.text = TextEncoder(config.text)
        self.picture_pool = AttentionPool(config.width, block.heads, picture_width)
        self.text_pool = AttentionPool(config.width, block.heads, block.width)
        self.log_scale = nn.Parameter(torch.tensor(math.log(10.0)))  # t' and b of SigLIP, as it starts them
        self.bias = nn.Parameter(torch.tensor(-10.0))
        self.head = MatchHead(block, config.depth, picture_width)

    def tokenize(self, texts: Sequence[str]) -> WordBatch:
        """The texts as words, on the matcher's device; limits and errors as in `saccade.ops.tokenize`."""
        return self.text.tokenize(texts).to(self.bias.device)

    def encode_pictures(self, pixels: Float[Tensor, "b c y x"]) -> PictureFeatures:
        patches = self.vit(pixels)[:, self.vit.prefix :]
        tokens = patches + patch_positions(self.vit.grid(pixels), self.config.vit).to(patches)
        return PictureFeatures(tokens, unit_vectors(self.picture_pool(tokens)))

    def encode_texts(self, words: WordBatch) -> TextFeatures:
        tokens = self.text(words)
        return TextFeatures(tokens, words.word_mask, unit_vectors(self.text_pool(tokens, words.word_mask)))

    def similarity(self, pictures: Float[Tensor, "b e"], texts: Float[Tensor, "p e"]) -> Float[Tensor, "b p"]:
        """Logits of every picture with every text: exp(t') x·y + b (Zhai et al. 2023, eq. 1), x and y of length 1."""
        return self.log_scale.exp() * cosines(pictures, texts) + self.bias

    def match(
        self, pictures: Float[Tensor, "b n d"], texts: Float[Tensor, "p m e"], word_mask: Bool[Tensor, "p m"]
    ) -> Match:
        """The head's decision on pairs. p is a multiple of b: the first p / b texts belong to the first picture, and so
        on; p = b pairs them one by one. Raises SaccadeError for another number of texts."""
        b, p = len(pictures), len(texts)
        if b == 0 or p % b:
            raise SaccadeError(f"{p} texts for {b} pictures: expected the same number of texts for every picture")
        return self.head(texts, pictures, word_mask)

    def forward(
        self,
        pixels: Float[Tensor, "b c y x"],
        words: WordBatch,
        chosen: Int[Tensor, "b k"] | Callable[[Tensor], Tensor] | None = None,
    ) -> tuple[Float[Tensor, "b p"], Match]:
        """Logits of every picture with every text, and the head's decision on pairs: of each picture with its `chosen`
        texts, by their places among the p, or by a function of the logits that gives these places; without them, on the
        pairs that `match` makes."""
        pictures, texts = self.encode_pictures(pixels), self.encode_texts(words)
        similarity = self.similarity(pictures.vector, texts.vector)
        tokens, mask = texts.tokens, texts.mask
        if callable(chosen):
            chosen = chosen(similarity.detach())
        if chosen is not None:
            tokens, mask = tokens[chosen.flatten()], mask[chosen.flatten()]
        return similarity, self.match(pictures.tokens, tokens, mask)


class MatchHead(nn.Module):
    """Words attend to one another and to the patches of a picture, block by block; each word then has a logit, and a
    text describes a picture as well as its worst word does."""

    def __init__(self, block: BlockConfig, depth: int, source_width: int):
        super().__init__()
        self.block = block
        self.blocks = nn.ModuleList(CrossBlock(block, source_width) for _ in range(depth))
        self.norm = NORMS[block.norm](block.width, eps=block.eps)
        self.logit = nn.Linear(block.width, 1)

    def forward(
        self, words: Float[Tensor, "p m d"], patches: Float[Tensor, "b n e"], word_mask: Bool[Tensor, "p m"]
    ) -> Match:
        x, angles = words, word_rotary_angles(words, self.block)
        for block in self.blocks:
            x = block(x, patches, mask=word_mask[:, None, None, :], angles=angles)
        logits = self.logit(self.norm(x)).squeeze(-1).float()
        logits = logits.masked_fill(~word_mask, math.inf)
        return Match(soft_minimum(logits), logits)


def soft_minimum(logits: Float[Tensor, "p m"]) -> Float[Tensor, "p"]:
    """-log mean exp(-logit) over the finite logits: between their minimum and their mean, and all logits take part at
    first, when they are about equal."""
    count = logits.isfinite().sum(dim=1).to(logits.dtype)
    return count.log() - torch.logsumexp(-logits, dim=1)


def unit_vectors(x: Float[Tensor, "b e"]) -> Float[Tensor, "b e"]:
    """Vectors scaled to length 1, in float32 or better."""
    return F.normalize(x if x.dtype == torch.float64 else x.float(), dim=-1)


def patch_positions(grid: tuple[int, int], config: ViTConfig) -> Float[Tensor, "n d"]:
    """Where each patch is, as sines and cosines to add to its token: rotary positions leave it out of the tokens, and
    "left of" cannot be decided without. Measured on the native grid, so that pictures of any resolution agree."""
    return rotary_sincos(grid, config.block.width, extent=config.grid)
