"""Which found object is which true one: what confusion matrices, mistakes and relations are counted from."""

from dataclasses import dataclass
from typing import Literal

import torch
from faster_coco_eval.core import mask as coco
from jaxtyping import Float, Int64
from torch import Tensor

from saccade.data.objects import Objects
from saccade.errors import DataError
from saccade.tasks.detect.result import Detections

Kind = Literal["right", "wrong class", "loose box", "double", "ghost", "missed"]


@dataclass(frozen=True)
class Match:
    """What became of one found or one true object.

    Attributes:
        kind: "right"; "wrong class": its box is that of an object of another class; "loose box": its class is right
            and its box overlaps the object, but too little; "double": the object was already found by a surer one;
            "ghost": there is no such object; "missed": an object that nothing found.
        found: index of the found object; None for "missed".
        truth: index of the true object; None for "ghost".
        iou: of the two boxes; 0 where there is one only.
    """

    kind: Kind
    found: int | None
    truth: int | None
    iou: float = 0.0


def overlaps(found: Float[Tensor, "n 4"], truth: Objects) -> Float[Tensor, "n m"]:
    """Intersection over union of boxes in fp64, as COCO's evaluation takes it: with a crowd, over the found box."""
    if not len(found) or not len(truth):
        return torch.zeros(len(found), len(truth), dtype=torch.float64)
    assert truth.crowd is not None
    iou = coco.iou(corners_to_sides(found).numpy(), corners_to_sides(truth.boxes).numpy(), truth.crowd.int().tolist())
    return torch.from_numpy(iou)


def corners_to_sides(boxes: Float[Tensor, "n 4"]) -> Float[Tensor, "n 4"]:
    """left, top, width, height in fp64; an inverted box has no size."""
    boxes = boxes.detach().cpu().double()
    return torch.cat([boxes[:, :2], (boxes[:, 2:] - boxes[:, :2]).clamp(min=0)], dim=1)


def match(
    found: Detections, truth: Objects, threshold: float = 0.5, iou: float = 0.5, loose: float = 0.1
) -> list[Match]:
    """Who is who in one picture, among the found objects with a score of at least `threshold`.

    Each found object, surest first, takes the free object of its class that it overlaps most, by at least `iou`.
    What is left may take a free object of another class ("wrong class"), then one of its class that it overlaps by
    at least `loose` ("loose box"). The kinds are those of TIDE (Bolya et al. 2020, section 2.2), but here every
    object is taken once. DetectorOutput objects in a crowd are left out, and so are crowds that are not found.
    """
    ious = overlaps(found.boxes, truth)
    assert truth.crowd is not None
    same = found.labels.cpu()[:, None] == truth.labels[None]
    free = ~truth.crowd
    order = found.scores.cpu().argsort(descending=True, stable=True).tolist()
    waiting = [i for i in order if float(found.scores[i]) >= threshold]
    matches: list[Match] = []
    rounds: list[tuple[Kind, Tensor, float]] = [
        ("right", same, iou), ("wrong class", ~same, iou), ("loose box", same, loose)
    ]  # fmt: skip
    for kind, may, least in rounds:
        for i in list(waiting):
            open_to = (free & may[i] & (ious[i] >= least)).nonzero().flatten()
            if len(open_to):
                j = int(open_to[ious[i, open_to].argmax()])
                matches.append(Match(kind, i, j, float(ious[i, j])))
                free[j] = False
                waiting.remove(i)
        if kind == "right":  # then those in crowds, which are neither right nor wrong, are not asked further
            waiting = [i for i in waiting if not (truth.crowd & same[i] & (ious[i] >= iou)).any()]
    for i in waiting:
        taken = torch.where(same[i] & ~truth.crowd, ious[i], 0.0)
        j = int(taken.argmax()) if len(taken) else -1
        double = j >= 0 and float(taken[j]) >= iou
        matches.append(Match("double", i, j, float(taken[j])) if double else Match("ghost", i, None))
    return matches + [Match("missed", None, int(j)) for j in free.nonzero().flatten()]


def detection_confusion(
    found: list[Detections], truth: list[Objects], classes: list[str], threshold: float = 0.5, iou: float = 0.5
) -> Int64[Tensor, "classes+1 classes+1"]:
    """How often objects of a row's class were found as a column's class.

    The last column counts the objects that were missed, the last row what was found where no object is (ghosts,
    doubles and boxes that overlap an object by less than `iou`). Who is who: see `match`. Raises DataError for
    lists that do not belong together.
    """
    check(found, truth, len(classes))
    background = len(classes)
    matrix = torch.zeros(background + 1, background + 1, dtype=torch.int64)
    for one, objects in zip(found, truth, strict=True):
        for each in match(one, objects, threshold, iou):
            said = None if each.found is None else int(one.labels[each.found])
            true = None if each.truth is None else int(objects.labels[each.truth])
            if each.kind in ("right", "wrong class"):
                matrix[true, said] += 1
            else:  # a loose box is a miss and a ghost
                if each.kind in ("missed", "loose box"):
                    matrix[true, background] += 1
                if each.kind != "missed":
                    matrix[background, said] += 1
    return matrix


def check(found: list[Detections], truth: list[Objects], classes: int | None = None) -> None:
    """Raises DataError, naming the picture by its number, for found objects and truth that cannot be compared.

    classes: how many there are, where that matters.
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
