"""Where a detector's queries look: from a watched forward pass to the maps of the objects that it found.

Two kinds of network are known by the shapes of their calls alone. A decoder's queries attend to the picture's patches
(cross-attention) and to one another (DETR and ours). Or the queries are tokens among the patches, after them, and both
are parts of one self-attention (YOLOS).
"""

import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from saccade.data import Picture
from saccade.data.files import shown
from saccade.data.preprocess import Preprocess
from saccade.lens import Call, Trace
from saccade.lens.scores import coverage
from saccade.models.detector import Found
from saccade.tasks.detect import Detection, DetectTask, detections, kept

MOST = 24  # objects with maps on a page: more than a person can click through, and 24 bytes a patch, layer and head
_BYTE = 255
_DIGITS = 3


@dataclass(frozen=True)
class ObjectLayer:
    """What the queries of n objects attended to in one layer.

    looks: weights over the m patches of the picture. among: weights over one another's queries, None where it could
    not be told. tokens: how many tokens a row of `looks` was shared over; more than m where queries and patches are
    tokens of one self-attention.
    """

    name: str
    looks: Float[Tensor, "h n m"]
    among: Float[Tensor, "h n n"] | None
    tokens: int

    def inside(self, cover: Float[Tensor, "n m"]) -> Float[Tensor, "h+1 n"]:
        """The share of what each object gives to the patches that falls inside its box: of the mean of the heads,
        then of each head. cover: see `saccade.lens.scores.coverage`."""
        looks = torch.cat([self.looks.mean(dim=0, keepdim=True), self.looks])
        return (looks * cover).sum(dim=-1) / looks.sum(dim=-1).clamp(min=1e-12)

    def entropy(self) -> Float[Tensor, "h n"]:
        """In nats, over the patches alone: 0 (one patch) to log m (all alike)."""
        share = self.looks / self.looks.sum(dim=-1, keepdim=True).clamp(min=1e-12)
        return torch.special.entr(share).sum(dim=-1)

    def packed(self) -> tuple[bytes, list[list[float]]]:
        """The maps as bytes, head by head and object by object, compressed, and the largest weight of each (h n).

        weight = largest · (byte / 255)²: off by at most 1/255 of the largest, and by less where weights are small.
        """
        most = self.looks.amax(dim=-1)
        coded = (self.looks / most.clamp(min=1e-30)[..., None]).clamp(min=0).sqrt().mul(_BYTE).round()
        return zlib.compress(coded.to(torch.uint8).contiguous().numpy().tobytes(), 9), _rounded(most, 6)


@dataclass(frozen=True)
class QueryLayers:
    """The layers in which queries were seen to look at patches, the calls that are none of theirs, and what to say of
    those that could not be shown."""

    layers: list[ObjectLayer]
    others: Trace
    notes: list[str]


def query_layers(trace: Trace, queries: Int64[Tensor, "n"], count: int, patches: int, prefix: int = 0) -> QueryLayers:
    """What some of a detector's `count` queries attended to, in every layer of one forward pass over one picture.

    queries: indices of those to keep. patches: of the picture, m. prefix: tokens before the patches where queries
    are tokens beside them. Calls are told by their kind and shape, and the self-attention of a decoder's layer by the
    module that holds both of its attentions; what does not fit is left out and named in the notes.
    """
    cross = [call for call in trace if call.kind == "cross" and call.shape[2:] == (count, patches)]
    tokens = prefix + patches + count
    joint = [call for call in trace if call.kind == "self" and call.shape[2:] == (tokens, tokens)]
    layers, used, notes = list[ObjectLayer](), list[Call](), list[str]()
    for call in cross or joint:
        if why := _unfit(call, (cross or joint)[0]):
            notes.append(f"Not shown: {call.name}: {why}.")
            continue
        used.append(call)
        if not cross:
            layers.append(_joint(call, queries, patches, prefix))
            continue
        own = _beside(call, trace, count)
        if own is None:
            notes.append(f"Of {call.name} it could not be told how its queries attend to one another.")
        else:
            used.append(own)
        layers.append(_crossed(call, own, queries))
    others = Trace([call for call in trace if not any(call is one for one in used)], trace.missed)
    if not layers:
        notes.append(f"No layer was seen in which {count} queries attend to {patches} patches: there are no maps.")
    return QueryLayers(layers, others, [*notes, *_unlike(others, count, patches)])


def _unfit(call: Call, first: Call) -> str:
    if call.shape[0] != 1:
        return "it holds more than one picture"
    if call.run != first.run:
        return "it is of another forward pass"
    return "" if bool(call.q.isfinite().all() and call.k.isfinite().all()) else "its queries or keys are not all finite"


def _beside(call: Call, trace: Trace, count: int) -> Call | None:
    """The only self-attention among the queries in the module that holds this cross-attention."""
    found = [
        one
        for one in trace
        if one.kind == "self" and one.shape[2:] == (count, count) and not _unfit(one, call)
        if _holder(one) == _holder(call)
    ]
    return found[0] if len(found) == 1 else None


def _holder(call: Call) -> str:
    return call.name.rpartition(".")[0]


def _crossed(call: Call, own: Call | None, queries: Tensor) -> ObjectLayer:
    among = None if own is None else own.rows(queries)[0][:, :, queries.to(own.q.device)].cpu()
    return ObjectLayer(call.name, call.rows(queries)[0].cpu(), among, call.shape[3])


def _joint(call: Call, queries: Tensor, patches: int, prefix: int) -> ObjectLayer:
    targets = queries + prefix + patches
    rows = call.rows(targets)[0].cpu()
    return ObjectLayer(call.name, rows[..., prefix : prefix + patches], rows[..., targets.cpu()], call.shape[3])


def _unlike(others: Trace, count: int, patches: int) -> list[str]:
    """Cross-attention of other sizes, which the page has no place for."""
    return [
        f"Not shown: {call.name}: {call.shape[2]} targets attend to {call.shape[3]} sources there, not {count} queries "
        f"to {patches} patches."
        for call in others
        if call.kind == "cross"
    ]


@dataclass(frozen=True)
class FoundObjects:
    """The objects found in one picture, surest first, and where their queries looked.

    labels: of their classes. boxes: left, top, right, bottom in shares of the picture
    that the grid covers. relations: (subject, name, object, score). found: how many there are in all, if more than
    these. queries: of the detector. threshold: the least score of an object.
    """

    labels: list[str]
    scores: list[float]
    boxes: Float[Tensor, "n 4"]
    relations: list[tuple[int, str, int, float]]
    layers: list[ObjectLayer]
    others: Trace
    grid: tuple[int, int]
    found: int
    queries: int
    threshold: float
    notes: list[str]

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
        layers = [
            replace(one, looks=one.looks[:, :n], among=None if one.among is None else one.among[:, :n, :n])
            for one in self.layers
        ]
        return replace(
            self,
            labels=self.labels[:n],
            scores=self.scores[:n],
            boxes=self.boxes[:n],
            relations=[told for told in self.relations if max(told[0], told[2]) < n],
            layers=layers,
        )

    def shares(self) -> list[dict[str, Any]]:
        """For JSON, an object each: the share of its attention to patches that falls inside its box, a decoder layer
        each (mean of the heads), beside the box's share of the picture."""
        cover = self.cover
        inside = [layer.inside(cover)[0].tolist() for layer in self.layers]
        return [
            {"attention_in_box": [round(layer[i], 4) for layer in inside], "box_share": round(float(area), 4)}
            for i, area in enumerate(cover.mean(dim=1))
        ]


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
    everything = detections(out, preprocess.size)[0]
    sure = kept(everything, threshold, threshold)
    said = sized.named(sized.to_picture(sure, picture), picture)
    queries, count = sure.queries, out.logits[-1].shape[1]
    assert queries is not None
    seen = query_layers(trace, queries[:MOST], count, grid[0] * grid[1])
    notes = seen.notes
    if not len(sure):
        surest = f"{shown(task.labels[int(everything.labels[0])])} at {float(everything.scores[0]):.1%}"
        notes = [f"nothing is found at {threshold:.0%} or more; the surest is {surest}: try a lower threshold", *notes]
    if len(sure) > MOST:
        notes = [f"the page shows the {MOST} surest of {len(sure)} objects", *notes]
    patch = task.vit.config.patch
    edges = torch.tensor([grid[1], grid[0], grid[1], grid[0]]) * patch
    scores = [] if sure.relation_scores is None else sure.relation_scores.tolist()
    relations = [(i, name, j, score) for (i, name, j), score in zip(said.relations, scores, strict=True)]
    objects = FoundObjects(
        labels=list(said.labels),
        scores=sure.scores.tolist(),
        boxes=(sure.boxes / edges).clamp(0, 1),
        relations=relations,
        layers=[],
        others=seen.others,
        grid=grid,
        found=len(sure),
        queries=count,
        threshold=threshold,
        notes=notes,
    ).first(MOST)
    return said, replace(objects, layers=seen.layers)


def objects_content(objects: FoundObjects) -> tuple[dict[str, Any], list[bytes]]:
    """What the page reads of them, and each layer's maps as bytes."""
    cover = objects.cover
    layers, maps = [], []
    for layer in objects.layers:
        data, largest = layer.packed()
        maps.append(data)
        layers.append(
            {
                "name": layer.name,
                "heads": layer.looks.shape[0],
                "tokens": layer.tokens,
                "largest": largest,
                "inside": _rounded(layer.inside(cover)),
                "entropy": _rounded(layer.entropy()),
                "among": None if layer.among is None else _rounded(layer.among),
            }
        )
    content = {
        "names": objects.names,
        "labels": objects.labels,
        "scores": _rounded(torch.tensor(objects.scores)),
        "boxes": _rounded(objects.boxes, 5),
        "area": _rounded(cover.mean(dim=1)),
        "relations": [[i, name, j, float(f"{score:.3g}")] for i, name, j, score in objects.relations],
        "found": objects.found,
        "queries": objects.queries,
        "threshold": objects.threshold,
        "layers": layers,
    }
    return content, maps


def fitting(objects: FoundObjects, budget: float) -> FoundObjects:
    """As many of the surest objects as take at most `budget` bytes of a page, and at least one."""
    size = sum(len(layer.packed()[0]) for layer in objects.layers) * 4 / 3
    if size <= budget or len(objects) < 2:
        return objects
    fewer = max(1, int(len(objects) * budget / size))
    note = f"the page shows the {fewer} surest of {objects.found} objects, to stay small"
    return fitting(replace(objects.first(fewer), notes=[*objects.notes, note]), budget)


def _rounded(x: Tensor, digits: int = _DIGITS) -> Any:
    """Nested lists of numbers with so many significant digits."""
    return _each(torch.nan_to_num(x.double()).tolist(), lambda value: float(f"{value:.{digits}g}"))


def _each(nested: Any, do: Callable[[float], float]) -> Any:
    return [_each(one, do) for one in nested] if isinstance(nested, list) else do(nested)
