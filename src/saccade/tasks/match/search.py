"""Pictures of a folder ranked for a text."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from saccade.data import Picture, read_image
from saccade.errors import DataError
from saccade.models.matcher import TextFeatures
from saccade.tasks.match.index import PictureIndex
from saccade.tasks.match.neighbour_graph import NeighbourGraph
from saccade.tasks.match.public import PublicMatchTask, Vectors
from saccade.tasks.match.task import MatchTask

RERANKED = 50  # pictures that the head decides, at least
BATCH = 16  # pictures encoded at once

Searcher = MatchTask | PublicMatchTask


@dataclass(frozen=True)
class Hit:
    """A picture that a search finds.

    path: relative to the searched folder. score: by which it is ranked; `score_meaning` says what it is. similarity:
    the cosine of the two vectors, -1 to 1.
    """

    path: str
    score: float
    similarity: float

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"path": self.path, "score": round(self.score, 6), "similarity": round(self.similarity, 6)}


def score_meaning(task: Searcher) -> str:
    """What the score of a hit is, in one line."""
    if isinstance(task, MatchTask):
        return "score: the probability that the text describes the picture, by the head; similarity: cosine"
    if task.independent_scores:
        return "score: the probability that the text describes the picture; similarity: cosine"
    return f"score: the cosine of picture and text; {task.name} gives no probabilities: compare scores of one text only"


def search(
    task: Searcher, index: PictureIndex, folder: Path, text: str, top: int, graph: NeighbourGraph | None = None
) -> list[Hit]:
    """The `top` pictures for a text, best first. The text is compared with every vector, or with those that a graph of
    the index finds; the head of a `MatchTask` then decides on the first of them.

    Raises DataError for a text that the model does not read.
    """
    encoded = task.encode_texts([text])
    if graph is not None:
        index = index.take(graph.nearest(encoded.vector[0], max(RERANKED, top)))
    cosines = index.vectors.to(encoded.vector) @ encoded.vector[0]
    if isinstance(task, MatchTask):
        assert isinstance(encoded, TextFeatures)
        first = [index.entries[i].path for i in _order(cosines)[: max(RERANKED, top)]]
        cosine = dict(zip((entry.path for entry in index.entries), cosines.tolist(), strict=True))
        decided = sorted(_decide(task, folder, first, encoded).items(), key=lambda item: -item[1])
        return [Hit(path, float(torch.tensor(logit).sigmoid()), cosine[path]) for path, logit in decided[:top]]
    order = _order(cosines)[:top]
    scores = cosines
    if task.independent_scores:
        vectors = Vectors(index.vectors.to(encoded.vector))
        scores = task.similarity(vectors, Vectors(encoded.vector))[:, 0].sigmoid()
    return [Hit(index.entries[i].path, float(scores[i]), float(cosines[i])) for i in order]


def _decide(task: MatchTask, folder: Path, paths: Sequence[str], text: TextFeatures) -> dict[str, float]:
    """The head's logit of each picture with the text, without pictures that can no longer be read."""
    logits = dict[str, float]()
    for at in range(0, len(paths), BATCH):
        pictures = {path: picture for path in paths[at : at + BATCH] if (picture := _read(folder / path))}
        if pictures:
            pairs = torch.tensor([(i, 0) for i in range(len(pictures))], device=text.vector.device)
            found = task.match(task.encode_pictures(list(pictures.values())), text, pairs)
            logits.update(zip(pictures, found.tolist(), strict=True))
    return logits


def _read(path: Path) -> Picture | None:
    try:
        return read_image(path)
    except DataError:
        return None


def _order(scores: Float[Tensor, "n"]) -> list[int]:
    return scores.argsort(descending=True, stable=True).tolist()
