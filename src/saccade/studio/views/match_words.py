"""The words of texts in the head of a matcher, and the patches to which each attends, as a page shows them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from saccade.lens import Trace, watch
from saccade.models.matcher import Matcher, PictureFeatures
from saccade.studio.page.queries import QueryLayer, rounded
from saccade.studio.page.targets import Targets
from saccade.tasks.match.unrelated_texts import UnrelatedTextComparison

MOST = 12  # texts with maps on a page; all are ranked


@dataclass(frozen=True)
class MatchedText:
    """A text in the head of a matcher.

    logits: of each word; the text's is their soft minimum. layers: the cross-attention of the words to the patches, and
    their self-attention, block by block.
    """

    text: str
    words: list[str]
    logits: Float[Tensor, "n"]
    layers: list[QueryLayer]

    def first(self, n: int) -> "MatchedText":
        """Its first n words."""
        layers = [
            replace(
                one,
                weights=one.weights[:, :n],
                self_weights=None if one.self_weights is None else one.self_weights[:, :n, :n],
            )
            for one in self.layers
        ]
        return replace(self, words=self.words[:n], logits=self.logits[:n], layers=layers)


@dataclass(frozen=True, kw_only=True)
class MatchedWords(Targets):
    """The words of texts for one image, text by text, best text first.

    texts: those with maps. comparison: of all texts.
    """

    kind = "words"

    layers: list[QueryLayer]
    texts: list[MatchedText]
    comparison: UnrelatedTextComparison

    @classmethod
    def of(
        cls, texts: list[MatchedText], comparison: UnrelatedTextComparison, others: Trace, grid: tuple[int, int]
    ) -> "MatchedWords":
        count = len(comparison.ranking.texts)
        notes = [f"the page shows the words of the {len(texts)} best of {count} texts"] if len(texts) < count else []
        return cls(texts=texts, layers=_joined(texts), comparison=comparison, others=others, grid=grid, notes=notes)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def names(self) -> list[str]:
        """The words as they are written; the same word may occur more than once."""
        return [word for text in self.texts for word in text.words]

    def first_targets(self, n: int) -> "MatchedWords":
        texts, left = list[MatchedText](), n
        for text in self.texts:
            if left > 0:
                texts.append(text.first(left))
            left -= len(text.words)
        return replace(self, texts=texts, layers=_joined(texts))

    def truncation_note(self, n: int) -> str:
        return f"the page shows the first {n} words, to stay small"

    def content(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        layers, data = [], {}
        for i, layer in enumerate(self.layers):
            data[str(i)], largest = layer.packed()
            layers.append(
                {
                    "name": layer.name,
                    "heads": layer.weights.shape[0],
                    "tokens": layer.tokens,
                    "largest": largest,
                    "entropy": rounded(layer.entropy()),
                    "among": [rounded(self_weights_of(text.layers[i])) for text in self.texts],
                }
            )
        return {
            "kind": self.kind,
            "names": self.names,
            "layers": layers,
            "scores": rounded(torch.cat([text.logits for text in self.texts]).sigmoid(), 4),
            "texts": [{"text": text.text, "words": len(text.words)} for text in self.texts],
            "comparison": self.comparison.to_dict(),
        }, data


@torch.no_grad()
def match_words(model: Matcher, picture: PictureFeatures, texts: Sequence[str]) -> list[MatchedText]:
    """The head's decision on each text for one picture, with its attention. Raises DataError as `tokenize` does."""
    batch = model.tokenize(texts)
    encoded = model.encode_texts(batch)
    found = []
    for i, text in enumerate(texts):
        words = [word.text for word in batch.words[i]]
        n = len(words)
        with watch(model.head) as trace:
            match = model.match(picture.tokens, encoded.tokens[i : i + 1, :n], encoded.mask[i : i + 1, :n])
        found.append(MatchedText(text, words, match.words[0].cpu(), _layers(trace)))
    return found


def _layers(trace: Trace) -> list[QueryLayer]:
    """In every block of the head: the cross-attention, with the self-attention before it."""
    cross = [call for call in trace if call.kind == "cross"]
    own = [call for call in trace if call.kind == "self"]
    return [
        QueryLayer(f"head.{call.name}", call.weights()[0].cpu(), among.weights()[0].cpu(), call.shape[3])
        for call, among in zip(cross, own, strict=True)
    ]


def _joined(texts: list[MatchedText]) -> list[QueryLayer]:
    """The layers of all texts, word by word; words of different texts do not attend to one another."""
    return [
        replace(blocks[0], weights=torch.cat([block.weights for block in blocks], dim=1), self_weights=None)
        for blocks in zip(*(text.layers for text in texts), strict=True)
    ]


def self_weights_of(layer: QueryLayer) -> Float[Tensor, "h n n"]:
    """The self-attention of a layer of `match_words`, which always has one."""
    assert layer.self_weights is not None
    return layer.self_weights
