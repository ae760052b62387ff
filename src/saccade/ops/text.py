"""Text as tokens: the bytes of its UTF-8 form, so that every language works and there is no vocabulary file."""

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from saccade.errors import SaccadeError

PAD, START, END = 0, 1, 2
FIRST_BYTE = 3
VOCABULARY = FIRST_BYTE + 256


def encode(texts: list[str], length: int | None = None) -> tuple[Int[Tensor, "b m"], Bool[Tensor, "b m"]]:
    """Token ids, 0 to 258, and which of them are text rather than padding.

    Each text becomes START, its bytes, END. m is `length`, or what the longest text needs. Raises SaccadeError
    if a text does not fit: nothing is cut off silently.
    """
    rows = [[START, *(FIRST_BYTE + byte for byte in text.encode("utf-8")), END] for text in texts]
    longest = max((len(row) for row in rows), default=0)
    length = longest if length is None else length
    if longest > length:
        text = max(texts, key=lambda t: len(t.encode("utf-8")))
        raise SaccadeError(f"the text {text[:40]!r} takes {longest} tokens (bytes + 2), more than {length}: shorten it")
    ids = torch.tensor([row + [PAD] * (length - len(row)) for row in rows], dtype=torch.long).view(len(rows), length)
    return ids, ids != PAD


def decode(ids: Int[Tensor, "b m"]) -> list[str]:
    """The texts of token ids, 0 to 258; bytes that are no valid UTF-8 become the replacement character."""
    if ids.numel() and not 0 <= int(ids.min()) <= int(ids.max()) < VOCABULARY:
        raise SaccadeError(f"token ids lie in {int(ids.min())} to {int(ids.max())}: 0 to {VOCABULARY - 1} expected")
    return [
        bytes(i - FIRST_BYTE for i in row if i >= FIRST_BYTE).decode("utf-8", errors="replace") for row in ids.tolist()
    ]
