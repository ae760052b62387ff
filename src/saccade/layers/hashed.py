"""A vector for each word without a vocabulary."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

_PRIME = 2**31 - 1
_BASES = (1_000_003, 48_271)  # of the two hashes


class HashEmbedding(nn.Module):
    """The sum of two rows of a table, chosen by hashes of a word's bytes (hash embeddings, Svenstrup et al. 2017,
    without importance weights).

    Words that are spelled alike have much in common in what is pooled from their bytes. Here each has a direction of
    its own from the start, and is trained by itself. A word that was never trained gets rows of other words.

    rows: of the table, a few for each word that is expected.
    """

    def __init__(self, rows: int, width: int):
        super().__init__()
        self.table = nn.Parameter(nn.init.normal_(torch.empty(rows, width), std=2**-0.5))

    def forward(self, ids: Int[Tensor, "u w"], mask: Bool[Tensor, "u w"]) -> Float[Tensor, "u d"]:
        """ids: bytes, from the left. mask: True where there is a byte."""
        ids = ids * mask
        first, second = (self.table[_hashed(ids, base) % len(self.table)] for base in _BASES)
        return first + second


def _hashed(ids: Int[Tensor, "u w"], base: int) -> Int[Tensor, "u"]:
    """A polynomial in `base` modulo a prime (Karp and Rabin 1987). Zeros add nothing to it."""
    powers = torch.tensor([pow(base, i + 1, _PRIME) for i in range(ids.shape[1])], device=ids.device)
    return (ids * powers).sum(dim=1) % _PRIME
