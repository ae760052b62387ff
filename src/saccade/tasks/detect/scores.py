"""Average precision of detections and recall of the relations between them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from saccade.data.objects import ObjectAnnotations
from saccade.errors import DataError
from saccade.tasks.detect.matches import box_ious, check_comparable, xyxy_to_xywh
from saccade.tasks.detect.result import Detections

MAX_DETECTIONS = 100  # of a class in a picture that are evaluated
ALL, SMALL, MEDIUM, LARGE = range(4)  # area ranges of COCO: up to 32 x 32, up to 96 x 96 pixels, and larger


def detection_scores(found: list[Detections], truth: list[ObjectAnnotations], classes: list[str]) -> dict[str, Any]:
    """COCO's average precision, by faster-coco-eval.

    Returns mAP (mean over classes and IoU .50, .55 to .95), mAP50, mAP75, mAP_s, mAP_m, mAP_l (objects of an area
    of up to 32², up to 96², and of more pixels: the area that the annotation states, in COCO that of the outline, else
    the box's), each 0 to 1, and None where there is no object to find; and
    per_class: for each name its mAP and mAP50 and its number of objects. Precision is interpolated at 101 recalls; of
    each class in a picture the 100 detections of highest score are evaluated; crowds are ignored (Lin et al. 2014).

    Raises DataError for lists that do not belong together, labels out of range, and boxes or scores that are not
    finite.
    """
    check_comparable(found, truth, len(classes))
    counts = torch.zeros(len(classes), dtype=torch.int64)
    for objects in truth:
        assert objects.crowd is not None
        counts += torch.bincount(objects.labels[~objects.crowd], minlength=len(classes))
    precision = _evaluated(found, truth, classes)["precision"][..., -1]  # (iou recall class area)
    return {
        "mAP": mean_precision(precision[..., ALL]),
        "mAP50": mean_precision(precision[0, ..., ALL]),
        "mAP75": mean_precision(precision[5, ..., ALL]),
        "mAP_s": mean_precision(precision[..., SMALL]),
        "mAP_m": mean_precision(precision[..., MEDIUM]),
        "mAP_l": mean_precision(precision[..., LARGE]),
        "per_class": {
            name: {
                "mAP": mean_precision(precision[:, :, i, ALL]),
                "mAP50": mean_precision(precision[0, :, i, ALL]),
                "objects": int(counts[i]),
            }
            for i, name in enumerate(classes)
        },
    }


@dataclass(frozen=True)
class Curve:
    """Precision against recall of one class, at one IoU.

    Attributes:
        recall: 0, .01 to 1.
        precision: the best at that recall or a higher one; 0 where it is not reached.
        scores: the score at which it is reached; 0 where it is not.
        ap: the mean of `precision`.
    """

    recall: Float[np.ndarray, "101"]
    precision: Float[np.ndarray, "101"]
    scores: Float[np.ndarray, "101"]
    ap: float


def pr_curves(
    found: list[Detections], truth: list[ObjectAnnotations], classes: list[str], iou: float = 0.5
) -> dict[str, Curve | None]:
    """Precision against recall of each class by name; None for a class without objects. Raises as
    `detection_scores` does."""
    check_comparable(found, truth, len(classes))
    result = _evaluated(found, truth, classes, iou)
    recall = np.linspace(0, 1, 101)
    curves: dict[str, Curve | None] = {}
    for i, name in enumerate(classes):
        precision, scores = (result[what][0, :, i, ALL, -1].astype(float) for what in ("precision", "scores"))
        known = bool((precision > -1).all())
        curves[name] = Curve(recall, precision, scores.clip(0), float(precision.mean())) if known else None
    return curves


def _evaluated(
    found: list[Detections], truth: list[ObjectAnnotations], classes: list[str], iou: float | None = None
) -> dict[str, Any]:
    """Arrays of the evaluator: precision and scores (iou recall class area max_detections)."""
    if not truth or not classes:
        none = np.full((10 if iou is None else 1, 101, len(classes), 4, 1), -1.0)
        return {"precision": none, "scores": none}
    from faster_coco_eval import COCO, COCOeval_faster  # here, so that a training whose scores fail goes on

    common = {
        "images": [{"id": i + 1, "height": o.size[0], "width": o.size[1]} for i, o in enumerate(truth)],
        "categories": [{"id": i + 1, "name": name} for i, name in enumerate(classes)],
    }
    true = COCO({**common, "annotations": _annotations([(o.boxes, o.labels, None, o) for o in truth])})
    predicted = COCO({**common, "annotations": _annotations([(d.boxes, d.labels, d.scores, None) for d in found])})
    evaluation = COCOeval_faster(true, predicted, iouType="bbox", print_function=_quiet)
    evaluation.params.maxDets = [MAX_DETECTIONS]
    if iou is not None:
        evaluation.params.iouThrs = np.array([iou])
    evaluation.evaluate()
    evaluation.accumulate()
    return evaluation.eval


def _annotations(
    pictures: list[tuple[Tensor, Tensor, Tensor | None, ObjectAnnotations | None]],
) -> list[dict[str, Any]]:
    """COCO annotations from the boxes, labels and scores of each picture, and the areas and crowds of true objects. Ids
    start at 1: the evaluator takes an object with the id 0 for one that is not matched."""
    out: list[dict[str, Any]] = []
    for i, (corners, labels, scores, true) in enumerate(pictures):
        boxes = xyxy_to_xywh(corners)
        stated = None if true is None else true.areas
        areas = (boxes[:, 2:].prod(dim=1) if stated is None else stated).tolist()
        given = labels.tolist() if scores is None else scores.tolist()
        crowds = [0] * len(boxes) if true is None or true.crowd is None else true.crowd.int().tolist()
        for box, area, label, score, many in zip(boxes.tolist(), areas, labels.tolist(), given, crowds, strict=True):
            one = {"id": len(out) + 1, "image_id": i + 1, "category_id": label + 1, "bbox": box, "area": area}
            out.append({**one, "iscrowd": many} if scores is None else {**one, "iscrowd": 0, "score": score})
    return out


def _quiet(*_: object) -> None:
    """Suppresses the output of the evaluator."""


def mean_precision(precision: np.ndarray) -> float | None:
    """Mean of the defined values; the evaluator writes -1 where there is no object."""
    there = precision[precision > -1]
    return float(there.mean()) if there.size else None


def relation_scores(
    found: list[Detections], truth: list[ObjectAnnotations], relations: list[str], k: Sequence[int] = (20, 50)
) -> dict[str, Any]:
    """Recall@k of the relations between objects.

    A true (subject, relation, object) is recalled if one of the picture's k predictions of highest score has the same
    relation between objects of the same classes, and both boxes overlap the true ones by an IoU of at least 0.5: visual
    relationship detection (Lu et al. 2016, section 5), the "SGGen" of scene graph generation (Xu et al. 2017, section
    4.1). A pair of objects may have several relations ("no graph constraint", Newell and Deng 2017).

    Returns, for each k, recall@k: the share recalled in a picture, averaged over pictures that have relations;
    mean_recall@k: the same for each relation alone, over pictures that have it, averaged over relations (Tang et al.
    2019, section 4.2), which frequent relations do not rule; ceiling@k: the recall@k of a perfect prediction, below 1
    where pictures have more than k relations; and per_relation: for each name its recall@k and number. None where
    there is no relation to find.

    Raises DataError for lists that do not belong together and relations or objects out of range.
    """
    check_comparable(found, truth)
    recalls: dict[int, list[float]] = {each: [] for each in k}
    ceilings: dict[int, list[float]] = {each: [] for each in k}
    alone: dict[int, list[list[float]]] = {each: [[] for _ in relations] for each in k}
    counts = [0] * len(relations)
    for i, (one, objects) in enumerate(zip(found, truth, strict=True)):
        true, predicted = _triplets(objects.relations, i, objects, relations), _ranked(one, i, relations)
        if not len(true):
            continue
        right = _recalled(one, predicted, objects, true)
        for relation in true[:, 1].tolist():
            counts[relation] += 1
        for each in k:
            hit = right[:, :each].any(dim=1)
            recalls[each].append(hit.double().mean().item())
            ceilings[each].append(min(1.0, each / len(true)))
            for relation in true[:, 1].unique().tolist():
                alone[each][relation].append(hit[true[:, 1] == relation].double().mean().item())
    out: dict[str, Any] = {}
    per_relation: dict[str, dict[str, Any]] = {name: {"relations": counts[r]} for r, name in enumerate(relations)}
    for each in k:
        mine = [_average(values) for values in alone[each]]
        out[f"recall@{each}"] = _average(recalls[each])
        out[f"mean_recall@{each}"] = _average([value for value in mine if value is not None])
        out[f"ceiling@{each}"] = _average(ceilings[each])
        for name, value in zip(relations, mine, strict=True):
            per_relation[name][f"recall@{each}"] = value
    return {**out, "per_relation": per_relation}


def _recalled(
    one: Detections, predicted: Tensor, objects: ObjectAnnotations, true: Tensor
) -> Bool[Tensor, "true predicted"]:
    """True where a predicted triplet recalls a true one."""
    same = (box_ious(one.boxes, objects) >= 0.5) & (one.labels.cpu()[:, None] == objects.labels[None])
    ends = [same[predicted[:, end]][:, true[:, end]] for end in (0, 2)]  # (predicted true) each
    return (ends[0] & ends[1] & (predicted[:, None, 1] == true[None, :, 1])).T


def _ranked(one: Detections, i: int, relations: list[str]) -> Tensor:
    """Predicted triplets by descending score."""
    predicted = _triplets(one.relations, i, one, relations)
    if one.relation_scores is None:
        return predicted
    if len(one.relation_scores) != len(predicted) or not one.relation_scores.isfinite().all():
        raise DataError(f"picture {i}: expected {len(predicted)} finite scores of relations, one each")
    return predicted[one.relation_scores.cpu().argsort(descending=True, stable=True)]


def _triplets(given: Tensor | None, i: int, objects: ObjectAnnotations | Detections, relations: list[str]) -> Tensor:
    if given is None or not len(given):
        return torch.zeros(0, 3, dtype=torch.int64)
    given = given.cpu()
    most = torch.tensor([len(objects), len(relations), len(objects)])
    if ((given < 0) | (given >= most)).any():
        raise DataError(
            f"picture {i}: a relation names what is not there; there are {len(objects)} objects and {len(relations)} "
            "relations, counted from 0"
        )
    return given


def _average(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None
