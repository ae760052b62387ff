"""Attention pooling: a query gathers many tokens into one."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from saccade.errors import SaccadeError
from saccade.layers.attention import Attention
from saccade.layers.block import BlockConfig
from saccade.layers.norm import NORMS


class AttentionPool(nn.Module):
    """A learned query attends to all tokens (Lee et al. 2019, Set Transformer, 3.2, with one seed).

    width: of the query and of the result. source_width: of the tokens.
    """

    def __init__(self, width: int, heads: int, source_width: int, bias: bool = False, qk_norm: bool = True):
        super().__init__()
        self.query = nn.Parameter(nn.init.normal_(torch.empty(width)))
        self.attention = Attention(width, heads, source_width=source_width, bias=bias, qk_norm=qk_norm)

    def forward(self, source: Float[Tensor, "b m e"], mask: Bool[Tensor, "b m"] | None = None) -> Float[Tensor, "b d"]:
        """mask: True where there is a token, False for padding."""
        target = self.query.expand(source.shape[0], 1, -1)
        return self.attention(target, source, mask=_over_sources(mask))[:, 0]


class BytePool(nn.Module):
    """One token per word, pooled from the word's bytes by cross-attention (Byte2Word, Feng et al. 2022).

    The target is the word: the mean of its bytes' embeddings plus a learned query. The source is the bytes, each with
    its position in the word. Words do not see one another.

    max_bytes: most bytes of a word.
    """

    def __init__(self, config: BlockConfig, max_bytes: int):
        super().__init__()
        c = config
        self.embed = nn.Embedding(256, c.width)
        self.positions = nn.Parameter(nn.init.normal_(torch.empty(max_bytes, c.width)))
        self.norm = NORMS[c.norm](c.width, eps=c.eps)
        self.query = nn.Parameter(nn.init.normal_(torch.empty(c.width)))
        self.attention = Attention(c.width, c.heads, bias=c.bias, qk_norm=c.qk_norm)

    def forward(self, ids: Int[Tensor, "u w"], mask: Bool[Tensor, "u w"]) -> Float[Tensor, "u d"]:
        """mask: True where there is a byte; every word has one at least."""
        if ids.shape[1] > len(self.positions):
            raise SaccadeError(
                f"words of {ids.shape[1]} bytes, more than the {len(self.positions)} that have a position: split them "
                "with max_bytes"
            )
        letters = self.norm(self.embed(ids) + self.positions[: ids.shape[1]])
        present = mask[..., None]
        mean = (letters * present).sum(dim=1, keepdim=True) / present.sum(dim=1, keepdim=True)
        return (mean + self.attention(mean + self.query, letters, mask=_over_sources(mask)))[:, 0]


def _over_sources(mask: Bool[Tensor, "b m"] | None) -> Bool[Tensor, "b 1 1 m"] | None:
    return None if mask is None else mask[:, None, None, :]
