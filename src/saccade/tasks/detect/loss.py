"""What a detector is asked to do: every object found once, by whichever query does it best.

A set has no order, so each picture's queries are first matched with its objects at the least total cost (Carion et al.
2020, 3.1), then each pair is scored. Dense and noised copies of the same objects teach what the few matches alone would
take long to (Zhang et al. 2021; Li et al. 2022).
"""

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from saccade.errors import SaccadeError
from saccade.models.detector import DenoisingQueries, DetectorOutput, Proposals
from saccade.ops.boxes import cxcywh_to_xyxy, giou, iou

CLASS, EDGES, OVERLAP, RELATION = 1.0, 5.0, 2.0, 1.0  # weights of the parts; DETR's for boxes
CLASS_COST = 2.0  # in matching, beside EDGES and OVERLAP


class Targets(NamedTuple):
    """The objects of a batch, filled up to the same number.

    boxes: centred, in shares of the picture. labels: -1 for filling. relations: 1 where (subject, object, kind) holds.
    """

    boxes: Float[Tensor, "b t 4"]
    labels: Int64[Tensor, "b t"]
    relations: Bool[Tensor, "b t t r"] | None = None

    @property
    def there(self) -> Bool[Tensor, "b t"]:
        """Objects that are no filling."""
        return self.labels >= 0


class Match(NamedTuple):
    """Pairs of a query and an object: the picture, the query, the object of each."""

    picture: Int64[Tensor, "k"]
    query: Int64[Tensor, "k"]
    object: Int64[Tensor, "k"]


def detection_loss(
    found: DetectorOutput, targets: Targets, noised: DenoisingQueries | None, denoise: Match | None, each: float
) -> dict[str, Tensor]:
    """The parts of the loss, summed over objects and divided by `each`, the number of objects usual in a batch:
    "found", "proposed", "within", and where there are such, "denoised" and "related".

    denoise: which noised object stands for which.
    """
    spoilt = 0 if noised is None else noised.boxes.shape[1]
    parts: dict[str, Tensor] = {}
    own = [(said[:, spoilt:].float(), boxes[:, spoilt:]) for said, boxes in zip(found.logits, found.boxes, strict=True)]
    matches = [match(said, boxes, targets) for said, boxes in own]
    parts["found"] = sum((_set_loss(*o, targets, m) for o, m in zip(own, matches, strict=True)), torch.zeros(()))
    chosen = found.proposals.query, found.proposals.boxes
    parts["proposed"] = _set_loss(*chosen, targets, match(*chosen, targets))
    parts["within"] = _within_loss(found.proposals, targets)
    if denoise is not None:
        assert noised is not None
        real, zero = (noised.group >= 0).float(), torch.zeros(())
        blocks = zip(found.logits, found.boxes, strict=True)
        mended = [(said[:, :spoilt].float(), boxes[:, :spoilt]) for said, boxes in blocks]
        copies = max(1.0, spoilt * len(targets.labels) / each)  # of each object: together they count once
        parts["denoised"] = sum((_set_loss(*m, targets, denoise, real) for m in mended), zero) / copies
    if found.relations is not None and targets.relations is not None:
        parts["related"] = RELATION * _relation_loss(found.relations, targets.relations, matches[-1])
    return {name: part / each for name, part in parts.items()}


@torch.no_grad()
def match(logits: Float[Tensor, "b q c"], boxes: Float[Tensor, "b q 4"], targets: Targets) -> Match:
    """The pairs of least total cost: how unsure of the object's class, how far its edges, how little overlap."""
    from scipy.optimize import linear_sum_assignment  # a third of a second, which only training has to spend

    said = logits.sigmoid().gather(2, targets.labels.clamp(min=0)[:, None, :].expand(-1, logits.shape[1], -1))
    wrong = 0.25 * (1 - said) ** 2 * -(said + 1e-8).log() - 0.75 * said**2 * -(1 - said + 1e-8).log()  # focal loss
    far = torch.cdist(boxes, targets.boxes, p=1)
    overlap = giou(cxcywh_to_xyxy(boxes)[:, :, None], cxcywh_to_xyxy(targets.boxes)[:, None, :])
    cost = (CLASS_COST * wrong + EDGES * far - OVERLAP * overlap).cpu().numpy()
    if not np.isfinite(cost).all():
        raise SaccadeError(
            "the detector's answers are no numbers any more: start again with a lower --lr and --adam-lr"
        )
    pairs = []
    for picture, count in enumerate(targets.there.sum(dim=1).tolist()):
        queries, objects = linear_sum_assignment(cost[picture, :, :count])
        pairs += [(picture, q, o) for q, o in zip(queries.tolist(), objects.tolist(), strict=True)]
    table = torch.tensor(pairs, dtype=torch.long, device=logits.device).view(-1, 3)
    return Match(*table.unbind(1))


def _set_loss(
    logits: Float[Tensor, "b q c"],
    boxes: Float[Tensor, "b q 4"],
    targets: Targets,
    pairs: Match,
    weight: Float[Tensor, "b q"] | None = None,
) -> Float[Tensor, ""]:
    """Classes of all queries, boxes of the matched. weight: of each query's classes, default 1."""
    mine, theirs = boxes[pairs.picture, pairs.query], targets.boxes[pairs.picture, pairs.object]
    box, overlap = _box_loss(mine, theirs)
    goal = torch.zeros_like(logits)
    goal[pairs.picture, pairs.query, targets.labels[pairs.picture, pairs.object]] = overlap
    return CLASS * _class_loss(logits, goal, weight) + box.sum()


def _box_loss(a: Float[Tensor, "k 4"], b: Float[Tensor, "k 4"]) -> tuple[Float[Tensor, "k"], Float[Tensor, "k"]]:
    """How far boxes are from where they should be, and their IoU as a number to aim at."""
    ca, cb = cxcywh_to_xyxy(a), cxcywh_to_xyxy(b)
    loss = EDGES * (a - b).abs().sum(dim=-1) + OVERLAP * (1 - giou(ca, cb))
    return loss, iou(ca, cb).detach().clamp(0, 1)


def _class_loss(
    logits: Float[Tensor, "b q c"], goal: Float[Tensor, "b q c"], weight: Float[Tensor, "b q"] | None = None
) -> Float[Tensor, ""]:
    """Cross-entropy with the overlap as the goal, so that sureness tells how good a box is; easy negatives count
    little (varifocal loss, Zhang et al. 2021, eq. 2)."""
    focus = torch.where(goal > 0, goal, 0.75 * logits.detach().sigmoid() ** 2)
    loss = focus * F.binary_cross_entropy_with_logits(logits, goal, reduction="none")
    return (loss if weight is None else loss * weight[..., None]).sum()


def _within_loss(proposals: Proposals, targets: Targets) -> Float[Tensor, ""]:
    """Every token whose centre lies in an object says its class and box, the smallest object's where several hold it
    (FCOS, Tian et al. 2019, 3.1). Each object counts once, however many tokens it has."""
    b, m, _ = proposals.dense.shape
    corners = cxcywh_to_xyxy(targets.boxes)
    owner = _owner(proposals.centres, corners, targets.there)
    inside = owner >= 0
    picture, token = inside.nonzero(as_tuple=True)
    object_ = owner[picture, token]
    share = torch.zeros(b, targets.labels.shape[1], device=owner.device)
    share.index_put_((picture, object_), torch.ones_like(picture, dtype=share.dtype), accumulate=True)
    each = 1 / share[picture, object_]
    box, overlap = _box_loss(proposals.boxes[picture, token], targets.boxes[picture, object_])
    goal = torch.zeros_like(proposals.dense)
    goal[picture, token, targets.labels[picture, object_]] = overlap
    weight = torch.ones(b, m, device=owner.device)
    weight[picture, token] = each
    return CLASS * _class_loss(proposals.dense, goal, weight) + (box * each).sum()


def _owner(
    centres: Float[Tensor, "m 2"], corners: Float[Tensor, "b t 4"], there: Bool[Tensor, "b t"]
) -> Int64[Tensor, "b m"]:
    """The smallest object that holds each token's centre, or -1."""
    x, y = centres[:, 0], centres[:, 1]
    left, top, right, bottom = corners[..., None].unbind(-2)
    holds = (x >= left) & (x < right) & (y >= top) & (y < bottom) & there[..., None]
    size = ((right - left) * (bottom - top)).masked_fill(~holds, torch.inf)
    least, owner = size.min(dim=1)
    return owner.masked_fill(least.isinf(), -1)


def _relation_loss(
    logits: Float[Tensor, "b n n r"], relations: Bool[Tensor, "b t t r"], pairs: Match
) -> Float[Tensor, ""]:
    """Cross-entropy of every relation between every two matched queries."""
    b, t = relations.shape[:2]
    query = torch.zeros(b, t, dtype=torch.long, device=logits.device)  # that has each object
    found = torch.zeros(b, t, dtype=torch.bool, device=logits.device)
    query[pairs.picture, pairs.object] = pairs.query
    found[pairs.picture, pairs.object] = True
    both = found[:, :, None] & found[:, None, :] & ~torch.eye(t, dtype=torch.bool, device=logits.device)
    said = logits[torch.arange(b, device=logits.device)[:, None, None], query[:, :, None], query[:, None, :]].float()
    return F.binary_cross_entropy_with_logits(said[both], relations[both].to(said.dtype), reduction="sum")
