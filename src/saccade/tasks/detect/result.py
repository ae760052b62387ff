"""Results of a detector."""

from dataclasses import dataclass
from typing import Any

from jaxtyping import Float, Int64
from torch import Tensor

from saccade.data.files import escape
from saccade.data.objects.run_lengths import RunLengths, area, rle_to_polygons


@dataclass(frozen=True)
class Detections:
    """Detected objects of one picture, as tensors, by descending score.

    Attributes:
        boxes: left, top, right, bottom in pixels of the picture, as in `saccade.data.objects.ObjectAnnotations`.
        scores: of each object, 0 to 1.
        labels: class index of each object.
        relations: (subject, relation, object), indices as in `ObjectAnnotations.relations`, by descending score.
        relation_scores: of each relation, 0 to 1.
        queries: index of the object query that predicted each object, where known.
        masks: the pixels of each object in the picture, as COCO's run lengths; no two overlap. None for a detector of
            boxes alone.
    """

    boxes: Float[Tensor, "n 4"]
    scores: Float[Tensor, "n"]
    labels: Int64[Tensor, "n"]
    relations: Int64[Tensor, "r 3"] | None = None
    relation_scores: Float[Tensor, "r"] | None = None
    queries: Int64[Tensor, "n"] | None = None
    masks: tuple[RunLengths, ...] | None = None

    def __len__(self) -> int:
        return len(self.boxes)


@dataclass(frozen=True)
class Detection:
    """Detected objects of one picture, with the names of their classes.

    Attributes:
        name: of the picture.
        found: boxes in pixels of the picture, scores, labels, relations.
        size: (height, width) of the picture in pixels.
        labels: class name of each object.
        relations: (subject, name of the relation, object), indices of objects, by descending score.
        notes: what was assumed when the picture was read.
    """

    name: str
    found: Detections
    size: tuple[int, int]
    labels: tuple[str, ...]
    relations: tuple[tuple[int, str, int], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def areas(self) -> list[int]:
        """Pixels of each object's mask; empty for a detector of boxes alone."""
        return [area(mask) for mask in self.found.masks or ()]

    def __str__(self) -> str:
        rows = zip(self.labels, self.found.scores.tolist(), self.found.boxes.tolist(), strict=True)
        objects = [f"{label} {score:.0%} ({', '.join(f'{edge:.0f}' for edge in box)})" for label, score, box in rows]
        return escape(f"{self.name}: {'  '.join(objects) or 'nothing found'}")

    def to_dict(self) -> dict[str, Any]:
        """For JSON. Boxes are left, top, right, bottom in pixels. Objects with a mask have its area in pixels, its
        outline (`saccade.data.objects.run_lengths.rle_to_polygons`), and its run lengths as COCO's `segmentation`."""
        found = self.found
        masks = [None] * len(found) if found.masks is None else found.masks
        rows = zip(self.labels, found.scores.tolist(), found.boxes.tolist(), masks, strict=True)
        scores = [] if found.relation_scores is None else found.relation_scores.tolist()
        return {
            "name": self.name,
            "width": self.size[1],
            "height": self.size[0],
            "objects": [
                {"label": label, "score": round(score, 6), "box": [round(edge, 3) for edge in box], **_mask(mask)}
                for label, score, box, mask in rows
            ],
            "relations": [
                {"subject": i, "relation": name, "object": j, "score": round(score, 6)}
                for (i, name, j), score in zip(self.relations, scores, strict=True)
            ],
            "notes": list(self.notes),
        }


def _mask(mask: RunLengths | None) -> dict[str, Any]:
    return {} if mask is None else {"area": area(mask), "outline": rle_to_polygons(mask), "segmentation": mask}
