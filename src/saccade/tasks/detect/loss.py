"""Loss of a detector: set prediction with bipartite matching.

The queries of a picture are matched one-to-one with its objects at minimum cost (Carion et al. 2020, 3.1), then classes
and boxes are supervised. Dense supervision of the encoder and denoising queries give more gradient than the few
matches, and speed up training (Zhang et al. 2021; Li et al. 2022).
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
from saccade.tasks.detect.mask_loss import MaskTargets, mask_loss

CLASS, EDGES, OVERLAP, RELATION = 1.0, 5.0, 2.0, 1.0  # weights of the terms; of boxes as in DETR
CLASS_COST = 2.0  # in matching, beside EDGES and OVERLAP


class Targets(NamedTuple):
    """The objects of a batch, padded to the same number.

    boxes: centre x, centre y, width, height, relative to the picture. labels: -1 for padding. relations: True where
    (subject, object, relation) holds. masks: where masks are learned.
    """

    boxes: Float[Tensor, "b t 4"]
    labels: Int64[Tensor, "b t"]
    relations: Bool[Tensor, "b t t r"] | None = None
    masks: MaskTargets | None = None

    @property
    def valid(self) -> Bool[Tensor, "b t"]:
        """True for objects, False for padding."""
        return self.labels >= 0


class Assignment(NamedTuple):
    """Matched pairs: index of the picture, the query and the object of each."""

    picture: Int64[Tensor, "k"]
    query: Int64[Tensor, "k"]
    object: Int64[Tensor, "k"]


def detection_loss(
    output: DetectorOutput,
    targets: Targets,
    denoising: DenoisingQueries | None,
    denoising_match: Assignment | None,
    normalizer: float,
) -> dict[str, Tensor]:
    """The terms of the loss, summed over objects and divided by `normalizer`, the mean number of objects in a batch.

    "decoder": matched object queries of all blocks; "proposals": matched proposals; "dense": tokens inside objects; and
    where there are any, "denoising", "relations", and "masks" of the last block's queries, denoising ones included.
    denoising_match: the object that each denoising query stands for.
    """
    noised = 0 if denoising is None else denoising.boxes.shape[1]
    blocks = [(logits.float(), boxes) for logits, boxes in zip(output.logits, output.boxes, strict=True)]
    queries = [(logits[:, noised:], boxes[:, noised:]) for logits, boxes in blocks]
    matches = [hungarian_match(logits, boxes, targets) for logits, boxes in queries]
    proposals = output.proposals.query, output.proposals.boxes
    zero, terms = torch.zeros(()), dict[str, Tensor]()
    terms["decoder"] = sum((_set_loss(*q, targets, m) for q, m in zip(queries, matches, strict=True)), zero)
    terms["proposals"] = _set_loss(*proposals, targets, hungarian_match(*proposals, targets))
    terms["dense"] = _dense_loss(output.proposals, targets)
    if output.masks is not None and targets.masks is not None:
        last = matches[-1]._replace(query=matches[-1].query + noised)
        terms["masks"] = _mask_loss(output, targets, last)
    if denoising is not None and denoising_match is not None:
        weight = (denoising.group >= 0).float()
        copies = max(1.0, noised * len(targets.labels) / normalizer)  # of each object: together they count once
        losses = (_set_loss(x[:, :noised], y[:, :noised], targets, denoising_match, weight) for x, y in blocks)
        terms["denoising"] = sum(losses, zero) / copies
        if output.masks is not None and targets.masks is not None:
            terms["masks"] = terms["masks"] + _mask_loss(output, targets, denoising_match) / copies
    if output.relations is not None and targets.relations is not None:
        terms["relations"] = RELATION * _relation_loss(output.relations, targets.relations, matches[-1])
    return {name: term / normalizer for name, term in terms.items()}


@torch.no_grad()
def hungarian_match(logits: Float[Tensor, "b q c"], boxes: Float[Tensor, "b q 4"], targets: Targets) -> Assignment:
    """Bipartite matching of minimum cost: focal loss of the object's class, L1 distance of the boxes, and GIoU."""
    from scipy.optimize import linear_sum_assignment  # slow to import, and needed in training only

    p = logits.sigmoid().gather(2, targets.labels.clamp(min=0)[:, None, :].expand(-1, logits.shape[1], -1))
    focal = 0.25 * (1 - p) ** 2 * -(p + 1e-8).log() - 0.75 * p**2 * -(1 - p + 1e-8).log()
    distance = torch.cdist(boxes, targets.boxes, p=1)
    overlap = giou(cxcywh_to_xyxy(boxes)[:, :, None], cxcywh_to_xyxy(targets.boxes)[:, None, :])
    cost = (CLASS_COST * focal + EDGES * distance - OVERLAP * overlap).cpu().numpy()
    if not np.isfinite(cost).all():
        raise SaccadeError("the detector's outputs are not finite: start again with a lower --lr and --adam-lr")
    pairs = []
    for picture, count in enumerate(targets.valid.sum(dim=1).tolist()):
        queries, objects = linear_sum_assignment(cost[picture, :, :count])
        pairs += [(picture, q, o) for q, o in zip(queries.tolist(), objects.tolist(), strict=True)]
    table = torch.tensor(pairs, dtype=torch.long, device=logits.device).view(-1, 3)
    return Assignment(*table.unbind(1))


def _set_loss(
    logits: Float[Tensor, "b q c"],
    boxes: Float[Tensor, "b q 4"],
    targets: Targets,
    pairs: Assignment,
    weight: Float[Tensor, "b q"] | None = None,
) -> Float[Tensor, ""]:
    """Class loss of all queries, box loss of the matched ones. weight: of the class loss of each query; default 1."""
    box, overlap = _box_loss(boxes[pairs.picture, pairs.query], targets.boxes[pairs.picture, pairs.object])
    target = torch.zeros_like(logits)
    target[pairs.picture, pairs.query, targets.labels[pairs.picture, pairs.object]] = overlap
    return CLASS * _class_loss(logits, target, weight) + box.sum()


def _box_loss(a: Float[Tensor, "k 4"], b: Float[Tensor, "k 4"]) -> tuple[Float[Tensor, "k"], Float[Tensor, "k"]]:
    """L1 and GIoU loss of each pair, and its IoU, the target of the class loss."""
    ca, cb = cxcywh_to_xyxy(a), cxcywh_to_xyxy(b)
    loss = EDGES * (a - b).abs().sum(dim=-1) + OVERLAP * (1 - giou(ca, cb))
    return loss, iou(ca, cb).detach().clamp(0, 1)


def _class_loss(
    logits: Float[Tensor, "b q c"], target: Float[Tensor, "b q c"], weight: Float[Tensor, "b q"] | None = None
) -> Float[Tensor, ""]:
    """Varifocal loss (Zhang et al. 2021, eq. 2): the target of a positive is its IoU, so that the score reflects the
    quality of the box; easy negatives have little weight."""
    focus = torch.where(target > 0, target, 0.75 * logits.detach().sigmoid() ** 2)
    loss = focus * F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return (loss if weight is None else loss * weight[..., None]).sum()


def _dense_loss(proposals: Proposals, targets: Targets) -> Float[Tensor, ""]:
    """Every token whose centre lies inside an object predicts its class and box; of several objects, those of the
    smallest (FCOS, Tian et al. 2019, 3.1). Each object has the same weight, however many tokens it covers."""
    b, m, _ = proposals.dense.shape
    corners = cxcywh_to_xyxy(targets.boxes)
    owner = _smallest_object(proposals.centres, corners, targets.valid)
    inside = owner >= 0
    picture, token = inside.nonzero(as_tuple=True)
    object_ = owner[picture, token]
    tokens = torch.zeros(b, targets.labels.shape[1], device=owner.device)
    tokens.index_put_((picture, object_), torch.ones_like(picture, dtype=tokens.dtype), accumulate=True)
    object_weight = 1 / tokens[picture, object_]
    box, overlap = _box_loss(proposals.boxes[picture, token], targets.boxes[picture, object_])
    target = torch.zeros_like(proposals.dense)
    target[picture, token, targets.labels[picture, object_]] = overlap
    weight = torch.ones(b, m, device=owner.device)
    weight[picture, token] = object_weight
    return CLASS * _class_loss(proposals.dense, target, weight) + (box * object_weight).sum()


def _smallest_object(
    centres: Float[Tensor, "m 2"], corners: Float[Tensor, "b t 4"], valid: Bool[Tensor, "b t"]
) -> Int64[Tensor, "b m"]:
    """Index of the smallest object that contains each token's centre, or -1."""
    x, y = centres[:, 0], centres[:, 1]
    left, top, right, bottom = corners[..., None].unbind(-2)
    inside_box = (x >= left) & (x < right) & (y >= top) & (y < bottom) & valid[..., None]
    size = ((right - left) * (bottom - top)).masked_fill(~inside_box, torch.inf)
    least, owner = size.min(dim=1)
    return owner.masked_fill(least.isinf(), -1)


def _mask_loss(output: DetectorOutput, targets: Targets, pairs: Assignment) -> Float[Tensor, ""]:
    assert output.masks is not None
    assert targets.masks is not None
    return mask_loss(output.masks, output.boxes[-1], targets.masks, targets.boxes, *pairs)


def _relation_loss(
    logits: Float[Tensor, "b n n r"], relations: Bool[Tensor, "b t t r"], pairs: Assignment
) -> Float[Tensor, ""]:
    """Binary cross-entropy of the relations between every two matched queries."""
    b, t = relations.shape[:2]
    query = torch.zeros(b, t, dtype=torch.long, device=logits.device)  # matched with each object
    matched = torch.zeros(b, t, dtype=torch.bool, device=logits.device)
    query[pairs.picture, pairs.object] = pairs.query
    matched[pairs.picture, pairs.object] = True
    both = matched[:, :, None] & matched[:, None, :] & ~torch.eye(t, dtype=torch.bool, device=logits.device)
    pair_logits = logits[
        torch.arange(b, device=logits.device)[:, None, None], query[:, :, None], query[:, None, :]
    ].float()
    return F.binary_cross_entropy_with_logits(pair_logits[both], relations[both].to(pair_logits.dtype), reduction="sum")
