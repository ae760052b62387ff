"""What a model wrote about pictures, and where it looked for each piece of its answer."""

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from saccade.tasks.ask.image_token_layout import SeenPicture

# What a piece attends to: places in pictures; tokens of pictures without a place; the prompt's text; words written
# before it, its own last included.
SHARES = ("pictures", "other", "prompt", "written")


@dataclass(frozen=True)
class Word:
    """A word of an answer, and the indices of its pieces."""

    text: str
    pieces: list[int]


@dataclass(frozen=True)
class LayerAttention:
    """Attention of n pieces in one layer.

    weights: on each place of all pictures. shares: by `SHARES`; they sum to 1. tokens: number of sources of the last
    piece.
    """

    name: str
    weights: Float[Tensor, "h n p"]
    shares: Float[Tensor, "h n 4"]
    tokens: int

    def first_tokens(self, n: int) -> "LayerAttention":
        """Of the first n pieces."""
        return replace(self, weights=self.weights[:, :n], shares=self.shares[:, :n])


@dataclass(frozen=True)
class Answer:
    """An answer with its attention.

    pieces: the tokens of the answer, as text. words: groups of pieces. pictures: as the model saw them, with the places
    that `weights` run over, one after another. located: whether places are parts of pictures; otherwise each picture
    is one place.
    """

    question: str
    text: str
    pieces: list[str]
    words: list[Word]
    layers: list[LayerAttention]
    pictures: list[SeenPicture]
    located: bool
    seconds: float
    notes: list[str] = field(default_factory=list)

    def first_tokens(self, n: int) -> "Answer":
        """Its first n pieces, with the text of the whole."""
        words = [Word(word.text, [i for i in word.pieces if i < n]) for word in self.words if word.pieces[0] < n]
        return replace(
            self, pieces=self.pieces[:n], words=words, layers=[layer.first_tokens(n) for layer in self.layers]
        )

    def attention_shares(self) -> Float[Tensor, "n 4"]:
        """Of each piece, the mean of all layers and heads."""
        return torch.stack([layer.shares.mean(dim=0) for layer in self.layers]).mean(dim=0)

    def mean_attention(self) -> Float[Tensor, "n p"]:
        """Of each piece, the mean of all layers and heads."""
        return torch.stack([layer.weights.mean(dim=0) for layer in self.layers]).mean(dim=0)

    def to_dict(self) -> dict[str, Any]:
        """For JSON: the answer, and for each word the shares of its attention, mean of all layers and heads."""
        shares = self.attention_shares()
        return {
            "question": self.question,
            "answer": self.text,
            "words": [
                {
                    "word": word.text,
                    "pieces": [self.pieces[i] for i in word.pieces],
                    **{name: round(x, 4) for name, x in zip(SHARES, shares[word.pieces].mean(0).tolist(), strict=True)},
                }
                for word in self.words
            ],
        }


def decode_tokens(ids: Sequence[int], decode: Callable[[Sequence[int]], str], name: Callable[[int], str]) -> list[str]:
    """The text that each token adds; of one that adds none (a special token) its name, "" for one whose character is
    not complete."""
    pieces, before = [], ""
    for i, token in enumerate(ids):
        text = decode(ids[: i + 1])
        open_end = text.endswith("\ufffd")
        if text == before and not open_end:
            pieces.append(name(token))
            continue
        pieces.append("" if open_end else text[len(before) :] if text.startswith(before) else decode([token]))
        before = before if open_end else text
    return pieces


def words_of(pieces: Sequence[str]) -> list[Word]:
    """Groups of pieces: a word begins at a blank, at a mark of punctuation, after one, and at each Chinese or Japanese
    character."""
    words: list[Word] = []
    new = True
    for i, piece in enumerate(pieces):
        begins = new or piece[:1].isspace() or _stands_alone(piece.strip())
        if begins:
            words.append(Word("", []))
        last = words[-1]
        words[-1] = Word(last.text + piece, [*last.pieces, i])
        new = bool(piece) and (piece[-1:].isspace() or _stands_alone(piece.strip()))
    return [Word(word.text.strip() or "␣", word.pieces) for word in words]


def _stands_alone(piece: str) -> bool:
    """Whether it is punctuation, a special token, or begins with an ideograph."""
    if not piece:
        return False
    first = unicodedata.name(piece[0], "")
    ideograph = first.startswith(("CJK", "HIRAGANA", "KATAKANA"))
    special = len(piece) > 2 and piece[0] == "<" and piece[-1] == ">"
    return ideograph or special or (piece != "'" and all(unicodedata.category(x)[0] in "PS" for x in piece))
