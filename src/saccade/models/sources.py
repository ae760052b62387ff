"""Sources that a generated picture attends to. Each is encoded once, sees only itself, and may be absent."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from saccade.models.text import TextEncoder, TextEncoderConfig
from saccade.ops import WordBatch


class SourceTokens(NamedTuple):
    """tokens of a source. mask: True where there is a token, False for padding; at least one a sample."""

    tokens: Float[Tensor, "b m d"]
    mask: Bool[Tensor, "b m"]


class CaptionSource(nn.Module):
    """One token a word. An absent caption is one learned token, "nothing" (Ho & Salimans 2022)."""

    def __init__(self, config: TextEncoderConfig):
        super().__init__()
        self.encoder = TextEncoder(config)
        self.nothing = nn.Parameter(torch.randn(config.block.width) * 0.02)

    def forward(self, words: WordBatch, present: Bool[Tensor, "b"]) -> SourceTokens:
        """present: False where the caption is absent, whatever its words are."""
        tokens = self.encoder(words)
        first = torch.zeros_like(words.word_mask)
        first[:, 0] = True
        absent = ~present[:, None]
        tokens = torch.where(absent[..., None], self.nothing.to(tokens.dtype), tokens)
        return SourceTokens(tokens, torch.where(absent, first, words.word_mask))
