"""How far the answer of a classifier can be relied on."""

from dataclasses import dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor

MARGIN = 0.1  # threshold of models that are not calibrated


@dataclass(frozen=True)
class Confidence:
    """The margin of an answer, and how unlike the training pictures its picture is.

    Attributes:
        margin: probability of the most likely class less that of the second, 0 to 1.
        margin_threshold: of a calibrated model, the margin below which held-out pictures are more often wrong than
            right; else `MARGIN`.
        ood_score: out-of-distribution score (`OODDetector`): about 1 for pictures such as those of training, more for
            others; None without a detector.
        ood_threshold: 95 % of held-out pictures have a lower score.
    """

    margin: float
    margin_threshold: float = MARGIN
    ood_score: float | None = None
    ood_threshold: float | None = None

    @property
    def unsure(self) -> bool:
        """Whether the first two classes are too close to choose between them."""
        return self.margin < self.margin_threshold

    @property
    def out_of_distribution(self) -> bool | None:
        """Whether the picture is unlike those of training; None without a detector."""
        if self.ood_score is None or self.ood_threshold is None:
            return None
        return self.ood_score > self.ood_threshold

    def to_dict(self) -> dict[str, Any]:
        """For JSON and CSV."""
        return {
            "margin": round(self.margin, 6),
            "unsure": self.unsure,
            "out_of_distribution": self.out_of_distribution,
            "out_of_distribution_score": None if self.ood_score is None else round(self.ood_score, 4),
            "out_of_distribution_threshold": None if self.ood_threshold is None else round(self.ood_threshold, 4),
        }


def margin(probabilities: Float[Tensor, "*n classes"]) -> Float[Tensor, "*n"]:
    """The largest probability less the second largest; that of a single class itself."""
    best = probabilities.topk(min(2, probabilities.shape[-1]), dim=-1).values
    return best[..., 0] - best[..., 1] if best.shape[-1] == 2 else best[..., 0]
