"""Average precision of the masks of detected objects."""

from typing import Any

import numpy as np

from saccade.data.objects import ObjectAnnotations
from saccade.data.objects.run_lengths import RunLengths, area
from saccade.errors import DataError
from saccade.tasks.detect.matches import check_comparable
from saccade.tasks.detect.result import Detections
from saccade.tasks.detect.scores import mean_precision

MAX_DETECTIONS = 100  # of a class in a picture that are evaluated, as COCO does


def mask_scores(found: list[Detections], truth: list[ObjectAnnotations], classes: list[str]) -> dict[str, Any]:
    """COCO's average precision with the IoU of masks in place of boxes (iouType "segm"), by faster-coco-eval.

    Returns mask_mAP (mean over classes and IoU .50, .55 to .95), mask_mAP50 and mask_mAP75, each 0 to 1, and None where
    there is no object to find; mask_detections, the number of detections of a class in a picture that are evaluated:
    COCO's 100, or where a picture has more objects of a class than that, as many, since a perfect detector would
    otherwise fail; and per_class: for each name its mask_mAP and mask_mAP50.

    truth: with `planes`. Raises DataError for lists that do not belong together, and for objects without masks.
    """
    check_comparable(found, truth, len(classes))
    most = max([MAX_DETECTIONS, *(int(o.labels.bincount().max()) for o in truth if len(o))])
    precision = _precision(found, truth, classes, most)
    return {
        "mask_mAP": mean_precision(precision),
        "mask_mAP50": mean_precision(precision[0]),
        "mask_mAP75": mean_precision(precision[5]),
        "mask_detections": most,
        "per_class": {
            name: {"mask_mAP": mean_precision(precision[..., i]), "mask_mAP50": mean_precision(precision[0, :, i])}
            for i, name in enumerate(classes)
        },
    }


def with_mask_scores(scores: dict[str, Any], masks: dict[str, Any]) -> dict[str, Any]:
    """The scores of boxes with those of masks, class by class."""
    per_class = {name: {**one, **masks["per_class"][name]} for name, one in scores["per_class"].items()}
    return {**scores, **masks, "per_class": per_class}


def max_detections_note(scores: dict[str, Any]) -> list[str]:
    """A note where more detections than COCO's are evaluated."""
    most = scores["mask_detections"]
    if most == MAX_DETECTIONS:
        return []
    return [
        f"a picture has {most} objects of a class: mask mAP counts the {most} best detections of a picture, and box "
        f"mAP {MAX_DETECTIONS}, as COCO does"
    ]


def _precision(found: list[Detections], truth: list[ObjectAnnotations], classes: list[str], most: int) -> np.ndarray:
    """(iou recall class)"""
    if not truth or not classes:
        return np.full((10, 101, len(classes)), -1.0)
    from faster_coco_eval import COCO, COCOeval_faster

    common = {
        "images": [{"id": i + 1, "height": o.size[0], "width": o.size[1]} for i, o in enumerate(truth)],
        "categories": [{"id": i + 1, "name": name} for i, name in enumerate(classes)],
    }
    objects, predictions = list[dict[str, Any]](), list[dict[str, Any]]()
    for i, (one, true) in enumerate(zip(found, truth, strict=True)):
        if one.masks is None or true.planes is None or true.crowd is None:
            raise DataError(f"picture {i}: masks of what was found and of its objects are expected")
        rows = zip(true.planes.run_lengths(), true.labels.tolist(), true.crowd.int().tolist(), strict=True)
        objects += [_annotation(i, *row) for row in rows]
        scored = zip(one.masks, one.labels.tolist(), one.scores.tolist(), strict=True)
        predictions += [{**_annotation(i, mask, label), "score": score} for mask, label, score in scored]
    sets = []
    for annotations in (objects, predictions):  # ids from 1: an object with the id 0 would count as not matched
        numbered = [{"id": number, **each} for number, each in enumerate(annotations, start=1)]
        sets.append(COCO({**common, "annotations": numbered}))
    evaluation = COCOeval_faster(*sets, iouType="segm", print_function=lambda *_: None)
    evaluation.params.maxDets = [most]
    evaluation.evaluate()
    evaluation.accumulate()
    return evaluation.eval["precision"][..., 0, -1]


def _annotation(picture: int, mask: RunLengths, label: int, crowd: int = 0) -> dict[str, Any]:
    """Of COCO, without its id. The box is not used."""
    return {
        "image_id": picture + 1,
        "category_id": label + 1,
        "segmentation": mask,
        "area": area(mask),
        "bbox": [0, 0, 1, 1],
        "iscrowd": crowd,
    }
