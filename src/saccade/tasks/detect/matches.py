"""Matching of detections with ground truth, from which confusion matrices, errors and recall of relations follow."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from saccade.data.objects import ObjectAnnotations
from saccade.errors import DataError
from saccade.tasks.detect.result import Detections

Kind = Literal["correct", "classification", "localization", "duplicate", "background", "missed"]


@dataclass(frozen=True)
class Match:
    """A detection with its ground-truth object, or one of them alone.

    Attributes:
        kind: "correct", or a type of error of TIDE (Bolya et al. 2020, 2.2). "classification": the box of an object of
            another class. "localization": the correct class, but too little overlap. "duplicate": the object matches a
            detection of higher score. "background": no such object. "missed": an object without a detection.
        found: index of the detection; None for "missed".
        truth: index of the ground-truth object; None for "background".
        iou: of the two boxes; 0 without a pair.
    """

    kind: Kind
    found: int | None
    truth: int | None
    iou: float = 0.0


def box_ious(found: Float[Tensor, "n 4"], truth: ObjectAnnotations) -> Float[Tensor, "n m"]:
    """IoU of boxes in fp64 as COCO evaluates it: with a crowd, intersection over the area of the detection."""
    if not len(found) or not len(truth):
        return torch.zeros(len(found), len(truth), dtype=torch.float64)
    from faster_coco_eval.core import mask as coco

    assert truth.crowd is not None
    iou = coco.iou(xyxy_to_xywh(found).numpy(), xyxy_to_xywh(truth.boxes).numpy(), truth.crowd.int().tolist())
    return torch.from_numpy(iou)


def xyxy_to_xywh(boxes: Float[Tensor, "n 4"]) -> Float[Tensor, "n 4"]:
    """left, top, width, height in fp64; an inverted box has size 0."""
    boxes = boxes.detach().cpu().double()
    return torch.cat([boxes[:, :2], (boxes[:, 2:] - boxes[:, :2]).clamp(min=0)], dim=1)


def match(
    found: Detections, truth: ObjectAnnotations, threshold: float = 0.5, iou: float = 0.5, min_iou: float = 0.1
) -> list[Match]:
    """Match the detections of one picture with a score of at least `threshold` to its objects.

    By descending score, each detection takes the unmatched object of its class with the highest IoU, at least `iou`.
    The others may then take an object of another class ("classification"), then one of their class with an IoU of at
    least `min_iou` ("localization"). Unlike in TIDE, each object is matched at most once. Detections inside a crowd of
    their class are left out, and so are crowds that match nothing.
    """
    ious = box_ious(found.boxes, truth)
    assert truth.crowd is not None
    same = found.labels.cpu()[:, None] == truth.labels[None]
    unmatched = ~truth.crowd
    order = found.scores.cpu().argsort(descending=True, stable=True).tolist()
    remaining = [i for i in order if float(found.scores[i]) >= threshold]
    matches: list[Match] = []
    rounds: list[tuple[Kind, Tensor, float]] = [
        ("correct", same, iou), ("classification", ~same, iou), ("localization", same, min_iou)
    ]  # fmt: skip
    for kind, allowed, lowest in rounds:
        for i in list(remaining):
            candidates = (unmatched & allowed[i] & (ious[i] >= lowest)).nonzero().flatten()
            if len(candidates):
                j = int(candidates[ious[i, candidates].argmax()])
                matches.append(Match(kind, i, j, float(ious[i, j])))
                unmatched[j] = False
                remaining.remove(i)
        if kind == "correct":  # detections inside a crowd are neither correct nor wrong
            remaining = [i for i in remaining if not (truth.crowd & same[i] & (ious[i] >= iou)).any()]
    for i in remaining:
        overlap = torch.where(same[i] & ~truth.crowd, ious[i], 0.0)
        j = int(overlap.argmax()) if len(overlap) else -1
        duplicate = j >= 0 and float(overlap[j]) >= iou
        matches.append(Match("duplicate", i, j, float(overlap[j])) if duplicate else Match("background", i, None))
    return matches + [Match("missed", None, int(j)) for j in unmatched.nonzero().flatten()]


def detection_confusion(
    found: list[Detections],
    truth: list[ObjectAnnotations],
    classes: list[str],
    threshold: float = 0.5,
    iou: float = 0.5,
) -> Int64[Tensor, "classes+1 classes+1"]:
    """Number of objects by true class (row) and predicted class (column), as matched by `match`.

    The last column counts missed objects, the last row false positives without an object of at least `iou`: background,
    duplicate and localization errors. Raises DataError for lists that do not belong together.
    """
    check_comparable(found, truth, len(classes))
    background = len(classes)
    matrix = torch.zeros(background + 1, background + 1, dtype=torch.int64)
    for one, objects in zip(found, truth, strict=True):
        for each in match(one, objects, threshold, iou):
            predicted = None if each.found is None else int(one.labels[each.found])
            true = None if each.truth is None else int(objects.labels[each.truth])
            if each.kind in ("correct", "classification"):
                matrix[true, predicted] += 1
            else:  # a localization error is a missed object and a false positive
                if each.kind in ("missed", "localization"):
                    matrix[true, background] += 1
                if each.kind != "missed":
                    matrix[background, predicted] += 1
    return matrix


def check_comparable(found: list[Detections], truth: list[ObjectAnnotations], classes: int | None = None) -> None:
    """Raises DataError, with the number of the picture, for detections and objects that cannot be compared.

    classes: number of classes; None to leave labels unchecked.
    """
    if len(found) != len(truth):
        raise DataError(f"there are detections of {len(found)} pictures and the objects of {len(truth)}; one of each")
    for i, (one, objects) in enumerate(zip(found, truth, strict=True)):
        n = len(one.boxes)
        if len(one.scores) != n or len(one.labels) != n:
            raise DataError(
                f"picture {i}: {n} boxes, {len(one.scores)} scores and {len(one.labels)} labels were found; "
                "one of each an object expected"
            )
        # a box that is not a number would count as a perfect one (COCO's own evaluator)
        if not (one.boxes.isfinite().all() and one.scores.isfinite().all()):
            raise DataError(f"picture {i}: a found box or its score is not a finite number; mend the detector")
        for labels, what in ((one.labels, "found"), (objects.labels, "true")):
            wrong = labels[(labels < 0) | (labels >= classes)] if classes is not None else labels[:0]
            if len(wrong):
                raise DataError(
                    f"picture {i}: a {what} object has class {int(wrong[0])}; there are {classes}, counted from 0"
                )
