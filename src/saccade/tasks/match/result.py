"""What a matcher says of one picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from jaxtyping import Float
from torch import Tensor

from saccade.data.files import escape
from saccade.data.images import Picture


@dataclass(frozen=True)
class Ranking:
    """Texts for one picture, best first.

    Attributes:
        name: of the picture.
        size: (height, width) of the picture.
        texts: as they were given.
        scores: of each text, 0 to 1. Of a matcher of this library the sigmoid of the head's logit, that the text
            describes the picture, and of SigLIP that of its logit: they do not sum to 1, as several texts can be true,
            or none. Of CLIP the softmax over the texts: they sum to 1.
        similarities: of each text, by the towers alone: the cosine of picture and text, -1 to 1.
        notes: what was done to the picture, one sentence each.
    """

    name: str
    size: tuple[int, int]
    texts: tuple[str, ...]
    scores: tuple[float, ...]
    similarities: tuple[float, ...]
    notes: tuple[str, ...] = ()

    @classmethod
    def ordered(
        cls,
        picture: Picture,
        texts: Sequence[str],
        by: Float[Tensor, "t"],
        scores: Float[Tensor, "t"],
        similarities: Float[Tensor, "t"],
    ) -> Self:
        """The texts by descending values of `by`; of equals, the one given first comes first."""
        order = by.argsort(descending=True, stable=True).tolist()
        return cls(
            picture.name,
            (picture.image.height, picture.image.width),
            tuple(texts[i] for i in order),
            tuple(scores[order].tolist()),
            tuple(similarities[order].tolist()),
            picture.notes,
        )

    @property
    def text(self) -> str:
        """The text with the highest score."""
        return self.texts[0]

    def __str__(self) -> str:
        texts = "  ".join(f"{text} {score:.0%}" for text, score in zip(self.texts, self.scores, strict=True))
        return escape(f"{self.name}: {texts}")

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        rows = zip(self.texts, self.scores, self.similarities, strict=True)
        return {
            "name": self.name,
            "width": self.size[1],
            "height": self.size[0],
            "texts": [
                {"text": text, "score": round(score, 6), "similarity": round(similarity, 6)}
                for text, score, similarity in rows
            ],
            "notes": list(self.notes),
        }
