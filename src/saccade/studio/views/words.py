"""What the words of a text and the patches of a picture add to their similarity together, as a page shows it."""

import zlib
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from saccade.studio.queries import rounded
from saccade.studio.targets import Targets

MARKS = "begin and end"  # of the text: tokens of no word
_SIGNED = 127


@dataclass(frozen=True)
class AnswerLayer:
    """What words and patches add to the similarity together, told apart at one layer.

    name: of the picture's layer. answers: of each word, the text's marks last, and each patch. elsewhere: of each word
    and all tokens of the picture that are no patch. shared: what all of it should sum up to. gap: by how much a row
    does not, at most.
    """

    name: str
    answers: Float[Tensor, "n m"]
    elsewhere: Float[Tensor, "n"]
    shared: float
    gap: float

    def packed(self) -> tuple[bytes, list[float]]:
        """The maps as bytes, word by word, compressed, and the largest part of each, of either sign.

        part = largest · t·|t| with t = (byte − 128) / 127: off by at most 1/127 of the largest.
        """
        most = self.answers.abs().amax(dim=-1)
        parts = self.answers / most.clamp(min=1e-30)[:, None]
        coded = (parts.abs().sqrt() * parts.sign() * _SIGNED).round() + _SIGNED + 1
        return zlib.compress(coded.to(torch.uint8).numpy().tobytes(), 9), rounded(most, 6)


@dataclass(frozen=True, kw_only=True)
class AnsweringWords(Targets):
    """The words of a text, in order, and what each adds to its similarity with a picture by way of each patch.

    similarity: the cosine, -1 to 1.
    """

    kind = "words"

    layers: list[AnswerLayer]
    text: str
    words: list[str]
    similarity: float

    def __len__(self) -> int:
        return len(self.words)

    @property
    def names(self) -> list[str]:
        return self.words

    @property
    def marks(self) -> bool:
        """Whether the last of them is no word, but the text's marks of begin and end."""
        return self.words[-1] == MARKS

    def first(self, n: int) -> "AnsweringWords":
        cut = [replace(one, answers=one.answers[:n], elsewhere=one.elsewhere[:n]) for one in self.layers]
        return replace(self, words=self.words[:n], layers=cut)

    def cut(self, n: int) -> str:
        return f"the page shows the first {n} words, to stay small"

    def content(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        layers, data = [], {}
        for i, layer in enumerate(self.layers):
            data[str(i)], largest = layer.packed()
            sums = {"sums": layer.answers.sum(dim=1), "elsewhere": layer.elsewhere}
            layers.append(
                {
                    "name": layer.name,
                    "heads": len(self),
                    "largest": largest,
                    "shared": float(f"{layer.shared:.4g}"),
                    **{name: rounded(values, 4) for name, values in sums.items()},
                }
            )
        told = {"text": self.text, "similarity": float(f"{self.similarity:.4g}"), "marks": self.marks}
        return {"kind": self.kind, "names": self.names, "layers": layers, **told}, data
