"""The objects that a detector found in a picture, and where the query of each looked."""

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from saccade.data import Picture
from saccade.data.files import shown
from saccade.data.preprocess import Preprocess
from saccade.lens import Trace
from saccade.lens.scores import coverage
from saccade.models.detector import Found
from saccade.studio.queries import query_layers, rounded
from saccade.studio.targets import Queries
from saccade.tasks.detect.result import Detections
from saccade.tasks.detect.task import Detection, DetectTask, FindsObjects, detections, kept

MOST = 24  # objects with maps on a page: more than a person can click through, and 24 bytes a patch, layer and head


@dataclass(frozen=True, kw_only=True)
class FoundObjects(Queries):
    """The objects found in one picture, surest first, and where their queries looked.

    labels: of their classes. boxes: left, top, right, bottom in shares of the picture
    that the grid covers. relations: (subject, name, object, score). found: how many there are in all, if more than
    these. queries: of the detector. threshold: the least score of an object.
    """

    kind, place = "objects", "box"

    labels: list[str]
    scores: list[float]
    boxes: Float[Tensor, "n 4"]
    relations: list[tuple[int, str, int, float]]
    found: int
    queries: int
    threshold: float

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def names(self) -> list[str]:
        """To tell them apart by: the label, numbered where it comes twice."""
        many, met, names = Counter(self.labels), Counter[str](), list[str]()
        for label in self.labels:
            met[label] += 1
            names.append(f"{label} {met[label]}" if many[label] > 1 else label)
        return names

    @property
    def cover(self) -> Float[Tensor, "n m"]:
        return coverage(self.boxes, self.grid)

    def first(self, n: int) -> "FoundObjects":
        """The n surest."""
        return replace(
            self,
            labels=self.labels[:n],
            scores=self.scores[:n],
            boxes=self.boxes[:n],
            relations=[told for told in self.relations if max(told[0], told[2]) < n],
            layers=self._layers_of(n),
        )

    def cut(self, n: int) -> str:
        return f"the page shows the {n} surest of {self.found} objects, to stay small"

    def details(self) -> dict[str, Any]:
        return {
            "labels": self.labels,
            "scores": rounded(torch.tensor(self.scores)),
            "boxes": rounded(self.boxes, 5),
            "relations": [[i, name, j, float(f"{score:.3g}")] for i, name, j, score in self.relations],
            "found": self.found,
            "queries": self.queries,
            "threshold": self.threshold,
        }


def find_objects(
    task: DetectTask,
    preprocess: Preprocess,
    out: Found,
    picture: Picture,
    trace: Trace,
    grid: tuple[int, int],
    threshold: float,
) -> tuple[Detection, FoundObjects]:
    """What a detector says of one picture, and where the queries of the surest MOST objects looked."""
    sized = replace(task, preprocess=preprocess)
    raw = detections(out, preprocess.size)[0]
    sure = kept(raw, threshold)
    patch = task.vit.config.patch
    edges = torch.tensor([grid[1], grid[0], grid[1], grid[0]]) * patch
    said = sized.named(sized.to_picture(sure, picture), picture)
    scene = Surveyed(trace, grid, 0, out.logits[-1].shape[1])
    return said, surveyed(sized, said, sure.boxes / edges, raw, scene, threshold)


@dataclass(frozen=True)
class Surveyed:
    """A watched forward pass over one picture: the grid of its patches, the tokens before them, and how many queries
    there were."""

    trace: Trace
    grid: tuple[int, int]
    prefix: int
    queries: int


def surveyed(
    task: FindsObjects,
    said: Detection,
    boxes: Float[Tensor, "n 4"],
    raw: Detections,
    scene: Surveyed,
    threshold: float,
) -> FoundObjects:
    """The objects of a prediction with where their queries looked. boxes: in shares of what the grid covers. raw: all
    that the detector proposes, however unsure."""
    queries, patches = said.found.queries, scene.grid[0] * scene.grid[1]
    assert queries is not None
    seen = query_layers(scene.trace, queries[:MOST], scene.queries, patches, scene.prefix)
    notes = seen.notes
    if not len(said.found):
        surest = f"{shown(task.labels[int(raw.labels[0])])} at {float(raw.scores[0]):.1%}"
        notes = [f"nothing is found at {threshold:.0%} or more; the surest is {surest}: try a lower threshold", *notes]
    if len(said.found) > MOST:
        notes = [f"the page shows the {MOST} surest of {len(said.found)} objects", *notes]
    scores = [] if said.found.relation_scores is None else said.found.relation_scores.tolist()
    objects = FoundObjects(
        labels=list(said.labels),
        scores=said.found.scores.tolist(),
        boxes=boxes.clamp(0, 1),
        relations=[(i, name, j, score) for (i, name, j), score in zip(said.relations, scores, strict=True)],
        layers=[],
        others=seen.others,
        grid=scene.grid,
        found=len(said.found),
        queries=scene.queries,
        threshold=threshold,
        notes=notes,
    ).first(MOST)
    return replace(objects, layers=seen.layers)
