"""Attribution of an image-text similarity to pairs of a word and a patch, as a page shows it."""

import zlib
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from saccade.studio.page.queries import rounded
from saccade.studio.page.targets import Targets
from saccade.tasks.match.unrelated_texts import UnrelatedTextComparison

SPECIAL = "begin and end"  # special tokens of the text
_SIGNED = 127


@dataclass(frozen=True)
class AttributionLayer:
    """Attribution of the similarity to pairs of a word and a patch, at one layer.

    name: of the image tower's layer. attributions: of each word, the special tokens last, and each patch. elsewhere:
    of each word and all image tokens that are not patches. shared: the exact sum of all pairs. gap: largest error of
    the sum.
    """

    name: str
    attributions: Float[Tensor, "n m"]
    elsewhere: Float[Tensor, "n"]
    shared: float
    gap: float

    def packed(self) -> tuple[bytes, list[float]]:
        """The maps as bytes, word by word, compressed, and the largest magnitude of each.

        attribution = largest · t·|t| with t = (byte − 128) / 127: off by at most 1/127 of the largest.
        """
        most = self.attributions.abs().amax(dim=-1)
        scaled = self.attributions / most.clamp(min=1e-30)[:, None]
        coded = (scaled.abs().sqrt() * scaled.sign() * _SIGNED).round() + _SIGNED + 1
        return zlib.compress(coded.to(torch.uint8).numpy().tobytes(), 9), rounded(most, 6)


@dataclass(frozen=True, kw_only=True)
class WordAttributions(Targets):
    """The words of a text, in order, and the attribution of its similarity with an image to each word and patch.

    similarity: the cosine, -1 to 1. comparison: of this text with others, if several were given.
    """

    kind = "attribution"

    layers: list[AttributionLayer]
    text: str
    words: list[str]
    similarity: float
    comparison: UnrelatedTextComparison | None = None

    def __len__(self) -> int:
        return len(self.words)

    @property
    def names(self) -> list[str]:
        return self.words

    @property
    def special(self) -> bool:
        """Whether the last of them stands for the special tokens of the text."""
        return self.words[-1] == SPECIAL

    def first_targets(self, n: int) -> "WordAttributions":
        cut = [replace(one, attributions=one.attributions[:n], elsewhere=one.elsewhere[:n]) for one in self.layers]
        return replace(self, words=self.words[:n], layers=cut)

    def truncation_note(self, n: int) -> str:
        return f"the page shows the first {n} words, to stay small"

    def content(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        layers, data = [], {}
        for i, layer in enumerate(self.layers):
            data[str(i)], largest = layer.packed()
            sums = {"sums": layer.attributions.sum(dim=1), "elsewhere": layer.elsewhere}
            layers.append(
                {
                    "name": layer.name,
                    "heads": len(self),
                    "largest": largest,
                    "shared": float(f"{layer.shared:.4g}"),
                    **{name: rounded(values, 4) for name, values in sums.items()},
                }
            )
        text = {"text": self.text, "similarity": float(f"{self.similarity:.4g}"), "special": self.special}
        ranked = {} if self.comparison is None else {"comparison": self.comparison.to_dict()}
        return {"kind": self.kind, "names": self.names, "layers": layers, **text, **ranked}, data
