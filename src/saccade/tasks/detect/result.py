"""What a detector finds in one picture."""

from dataclasses import dataclass

from jaxtyping import Float, Int64
from torch import Tensor


@dataclass(frozen=True)
class Detections:
    """DetectorOutput objects, surest first.

    Attributes:
        boxes: left, top, right, bottom in pixels of the picture, as in `saccade.data.objects.Objects`.
        scores: how sure the detector is of each, 0 to 1.
        labels: index of each object's class.
        relations: (subject, relation, object), indices as in `Objects.relations`, surest first.
        relation_scores: how sure it is of each relation, 0 to 1.
        queries: index of the detector's query that found each object, where that is known.
    """

    boxes: Float[Tensor, "n 4"]
    scores: Float[Tensor, "n"]
    labels: Int64[Tensor, "n"]
    relations: Int64[Tensor, "r 3"] | None = None
    relation_scores: Float[Tensor, "r"] | None = None
    queries: Int64[Tensor, "n"] | None = None

    def __len__(self) -> int:
        return len(self.boxes)
