"""The objects that a detector found in an image, and the attention of each object's query."""

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from saccade.data.files import escape
from saccade.lens import Trace
from saccade.lens.scores import coverage
from saccade.studio.page.queries import query_layers, rounded
from saccade.studio.page.targets import Queries
from saccade.tasks.detect.result import Detection, Detections

MOST = 24  # objects with maps on a page: more than a person can click through, and 24 bytes a patch, layer and head


@dataclass(frozen=True, kw_only=True)
class DetectedObjects(Queries):
    """The objects found in one image, highest score first, with the attention of their queries.

    labels: class names. boxes: left, top, right, bottom, relative to the image that the grid covers. relations:
    (subject, name, object, score). outlines: of a detector with masks, the rings around each object's pixels, of
    relative (x, y). found: number of all objects, which may be more than these. queries: number of queries of the
    detector. threshold: minimum score of an object.
    """

    kind, region = "objects", "box"

    labels: list[str]
    scores: list[float]
    boxes: Float[Tensor, "n 4"]
    relations: list[tuple[int, str, int, float]]
    found: int
    queries: int
    threshold: float
    outlines: list[list[list[list[float]]]] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def names(self) -> list[str]:
        """Unique names: the label, numbered if it occurs more than once."""
        counts, seen, names = Counter(self.labels), Counter[str](), list[str]()
        for label in self.labels:
            seen[label] += 1
            names.append(f"{label} {seen[label]}" if counts[label] > 1 else label)
        return names

    @property
    def region_coverage(self) -> Float[Tensor, "n m"]:
        return coverage(self.boxes, self.grid)

    def first_targets(self, n: int) -> "DetectedObjects":
        """The n of highest score."""
        return replace(
            self,
            labels=self.labels[:n],
            scores=self.scores[:n],
            boxes=self.boxes[:n],
            outlines=None if self.outlines is None else self.outlines[:n],
            relations=[one for one in self.relations if max(one[0], one[2]) < n],
            layers=self._layers_of(n),
        )

    def truncation_note(self, n: int) -> str:
        return f"the page shows the {n} highest-scoring of {self.found} objects, to stay small"

    def details(self) -> dict[str, Any]:
        return {
            "labels": self.labels,
            "scores": rounded(torch.tensor(self.scores)),
            "boxes": rounded(self.boxes, 5),
            "outlines": self.outlines,
            "relations": [[i, name, j, float(f"{score:.3g}")] for i, name, j, score in self.relations],
            "found": self.found,
            "queries": self.queries,
            "threshold": self.threshold,
        }


@dataclass(frozen=True)
class DetectorTrace:
    """A watched forward pass over one image. grid: (rows, columns) of patches. prefix: number of tokens before the
    patches where queries are tokens beside them. queries: number of queries."""

    trace: Trace
    grid: tuple[int, int]
    prefix: int
    queries: int


def detections_with_attention(
    classes: list[str],
    prediction: Detection,
    boxes: Float[Tensor, "n 4"],
    proposed: Detections,
    decoder: DetectorTrace,
    threshold: float,
    outlines: list[list[list[list[float]]]] | None = None,
) -> DetectedObjects:
    """The objects of a prediction, at most MOST of them with the attention of their queries. boxes, outlines: relative
    to the image that the grid covers. proposed: all proposals of the detector, before the threshold."""
    found = prediction.found
    assert found.queries is not None
    seen = query_layers(
        decoder.trace, found.queries[:MOST], decoder.queries, decoder.grid[0] * decoder.grid[1], decoder.prefix
    )
    notes = seen.notes
    if not len(found):
        label, best = escape(classes[int(proposed.labels[0])]), float(proposed.scores[0])
        notes = [
            f"nothing is found at {threshold:.0%} or more; the highest score is {label} at {best:.1%}: "
            "try a lower threshold",
            *notes,
        ]
    if len(found) > MOST:
        notes = [f"the page shows the {MOST} highest-scoring of {len(found)} objects", *notes]
    scores = [] if found.relation_scores is None else found.relation_scores.tolist()
    objects = DetectedObjects(
        labels=list(prediction.labels),
        scores=found.scores.tolist(),
        boxes=boxes.clamp(0, 1),
        relations=[(i, name, j, score) for (i, name, j), score in zip(prediction.relations, scores, strict=True)],
        layers=[],
        others=seen.others,
        grid=decoder.grid,
        found=len(found),
        queries=decoder.queries,
        threshold=threshold,
        outlines=outlines,
        notes=notes,
    ).first_targets(MOST)
    return replace(objects, layers=seen.layers)
