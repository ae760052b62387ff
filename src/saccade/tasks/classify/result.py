"""Result of a classifier."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor

from saccade.data.files import escape
from saccade.tasks.classify.confidence import Confidence, margin


@dataclass(frozen=True)
class Classification:
    """The most likely classes of one picture.

    Attributes:
        name: of the picture.
        labels: class names, most likely first.
        probabilities: of these classes, 0 to 1.
        notes: what was assumed when the picture was read.
        confidence: how far the answer can be relied on.
    """

    name: str
    labels: tuple[str, ...]
    probabilities: tuple[float, ...]
    notes: tuple[str, ...] = ()
    confidence: Confidence | None = None

    @property
    def label(self) -> str:
        """The most likely class."""
        return self.labels[0]

    def __str__(self) -> str:
        classes = "  ".join(f"{label} {p:.0%}" for label, p in zip(self.labels, self.probabilities, strict=True))
        unsure = "not sure: " if self.confidence and self.confidence.unsure else ""
        unlike = "  (unlike the training pictures)" if self.confidence and self.confidence.out_of_distribution else ""
        return escape(f"{self.name}: {unsure}{classes}{unlike}")

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        fields = {name: value for name, value in asdict(self).items() if name != "confidence"}
        return fields if self.confidence is None else {**fields, **self.confidence.to_dict()}


def build_classification(
    name: str,
    labels: Sequence[str],
    probabilities: Float[Tensor, "classes"],
    top: int,
    notes: Sequence[str] = (),
    confidence: Confidence | None = None,
) -> Classification:
    """The `top` most likely classes. labels: of all classes. confidence: by default the margin alone."""
    best, order = probabilities.topk(min(top, len(labels)))
    known = tuple(labels[i] for i in order.tolist())
    confidence = confidence or Confidence(float(margin(probabilities)))
    return Classification(name, known, tuple(best.tolist()), tuple(notes), confidence)
