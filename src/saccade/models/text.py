"""The text encoder: one token a word, pooled from its bytes, then self-attention between words."""

from collections.abc import Sequence

import torch.nn.functional as F
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from saccade.layers import NORMS, Block, BlockConfig, BytePool, HashEmbedding
from saccade.ops import WordBatch, rotary_angles, tokenize


class TextEncoderConfig(BaseModel):
    """`depth` blocks over the words of a text; max_words and max_bytes as in `saccade.ops.tokenize`. hashed: rows of
    the table that gives each word a vector of its own, in addition to what is pooled from its bytes; 0 for none."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    block: BlockConfig = BlockConfig.model_validate({"width": 128, "heads": 4, "hidden": 256})
    depth: int = Field(2, gt=0, le=1000)
    max_words: int = Field(64, gt=0, le=65536)
    max_bytes: int = Field(32, ge=4, le=1024)
    hashed: int = Field(0, ge=0, le=1_000_000)


class TextEncoder(nn.Module):
    """Encode texts into one token a word.

    There is no vocabulary: words of any language, and words never seen, are read from their bytes. Padding takes no
    part, so that a text's tokens are the same in every batch.
    """

    def __init__(self, config: TextEncoderConfig):
        super().__init__()
        self.config, block = config, config.block
        self.pool = BytePool(block, config.max_bytes)
        self.hashed = HashEmbedding(config.hashed, block.width) if config.hashed else None
        self.blocks = nn.ModuleList(Block(block) for _ in range(config.depth))
        self.final_norm = NORMS[block.norm](block.width, eps=block.eps)

    def tokenize(self, texts: Sequence[str]) -> WordBatch:
        """The texts as words, on the CPU; limits and errors as in `saccade.ops.tokenize`."""
        return tokenize(texts, self.config.max_words, self.config.max_bytes)

    def forward(self, words: WordBatch) -> Float[Tensor, "b m d"]:
        """Tokens of padding are zero."""
        different = self.pool(words.ids, words.byte_mask)
        if self.hashed is not None:
            different = different + self.hashed(words.ids, words.byte_mask)
        x = F.embedding(words.index, different)
        angles = word_rotary_angles(x, self.config.block)
        mask = words.word_mask[:, None, None, :]
        for block in self.blocks:
            x = block(x, mask=mask, angles=angles)
        return self.final_norm(x) * words.word_mask[..., None]


def word_rotary_angles(x: Float[Tensor, "b m d"], block: BlockConfig) -> Float[Tensor, "m half"]:
    """Rotary angles of words in the order of the text: what counts between two words is how far apart they are."""
    return rotary_angles((x.shape[1],), block.width // block.heads, device=x.device)
