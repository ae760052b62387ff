"""Mask mAP: the numbers of faster-coco-eval itself, on cases where they are known or boxes would say otherwise."""

import pytest
import torch
from faster_coco_eval import COCO, COCOeval_faster

from saccade.data.objects import ObjectAnnotations
from saccade.data.objects.planes import MaskPlanes
from saccade.data.objects.run_lengths import encode_rle
from saccade.errors import DataError
from saccade.tasks.detect.mask_scores import mask_scores, max_detections_note
from saccade.tasks.detect.result import Detections
from saccade.tasks.detect.scores import detection_scores

SIZE, CLASSES = (37, 41), ["cat", "dog", "한글"]


def around(masks):
    boxes = [[x.min(), y.min(), x.max() + 1, y.max() + 1] for y, x in (mask.nonzero().unbind(1) for mask in masks)]
    return torch.tensor(boxes, dtype=torch.float32).view(-1, 4)


def truth(masks, labels, crowd=None):
    crowd = None if crowd is None else torch.tensor(crowd)
    return ObjectAnnotations(around(masks), torch.tensor(labels), SIZE, crowd, planes=MaskPlanes.of(masks, SIZE))


def found(masks, labels, scores):
    lengths = tuple(encode_rle(mask) for mask in masks)
    return Detections(around(masks), torch.tensor(scores), torch.tensor(labels), masks=lengths)


def discs(n, seed):
    generator = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(*(torch.arange(side) for side in SIZE), indexing="ij")
    centres = torch.rand(n, 2, generator=generator) * torch.tensor([33.0, 37.0]) + 2
    radii = torch.rand(n, generator=generator) * 5 + 2
    return (y - centres[:, 0, None, None]) ** 2 + (x - centres[:, 1, None, None]) ** 2 < radii[:, None, None] ** 2


def directly(found_list, truth_list):
    """By the evaluator, of dense masks."""
    images = [{"id": i + 1, "height": SIZE[0], "width": SIZE[1]} for i in range(len(truth_list))]
    categories = [{"id": i + 1, "name": name} for i, name in enumerate(CLASSES)]
    annotations = []
    for i, objects in enumerate(truth_list):
        for mask, label, crowd in zip(objects.planes.masks(), objects.labels, objects.crowd, strict=True):
            annotations.append({
                "id": len(annotations) + 1, "image_id": i + 1, "category_id": int(label) + 1, "iscrowd": int(crowd),
                "segmentation": encode_rle(mask), "area": int(mask.sum()), "bbox": [0, 0, 1, 1],
            })  # fmt: skip
    results = [
        {"image_id": i + 1, "category_id": int(label) + 1, "segmentation": mask, "score": float(score)}
        for i, one in enumerate(found_list)
        for mask, label, score in zip(one.masks, one.labels, one.scores, strict=True)
    ]
    true = COCO({"images": images, "categories": categories, "annotations": annotations})
    evaluation = COCOeval_faster(true, true.loadRes(results), iouType="segm", print_function=lambda *_: None)
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return evaluation.stats[:3]


def test_scores_are_those_of_the_evaluator():
    truths = [truth(discs(9, i), [j % 3 for j in range(9)], [j == 4 for j in range(9)]) for i in range(5)]
    answers = []
    for i in range(5):
        shifted = discs(9, i).roll((i % 3, 1 - i % 2), (1, 2))
        answers.append(
            found(shifted, [(j + (j == i)) % 3 for j in range(9)], [0.9 - 0.05 * j - 0.01 * i for j in range(9)])
        )
    result = mask_scores(answers, truths, CLASSES)
    expected = directly(answers, truths)
    assert 0.1 < expected[0] < 0.9
    assert [result["mask_mAP"], result["mask_mAP50"], result["mask_mAP75"]] == pytest.approx(list(expected), abs=1e-9)
    assert result["mask_detections"] == 100


def test_the_true_masks_score_one_and_masks_of_the_same_boxes_do_not():
    masks = discs(5, 3)
    right = mask_scores([found(masks, [0] * 5, [0.5] * 5)], [truth(masks, [0] * 5)], CLASSES)
    assert (right["mask_mAP"], right["per_class"]["cat"]["mask_mAP50"]) == (1.0, 1.0)
    assert right["per_class"]["dog"] == {"mask_mAP": None, "mask_mAP50": None}
    rings = masks.clone()
    for mask in rings:  # a frame with the same box
        y, x = mask.nonzero().unbind(1)
        mask[:] = False
        mask[y.min(), x.min() : x.max() + 1] = mask[y.max(), x.min() : x.max() + 1] = True
        mask[y.min() : y.max() + 1, x.min()] = mask[y.min() : y.max() + 1, x.max()] = True
    hollow, objects = [found(rings, [0] * 5, [0.5] * 5)], [truth(masks, [0] * 5)]
    assert detection_scores(hollow, objects, CLASSES)["mAP"] == 1.0
    assert mask_scores(hollow, objects, CLASSES)["mask_mAP"] < 0.02


def test_more_than_a_hundred_objects_of_a_class_are_all_counted():
    """COCO's limit would make a perfect detector fail."""
    numbers = torch.arange(SIZE[0] * SIZE[1]).view(SIZE) // 11 + 1
    masks = numbers[None] == torch.arange(1, 131)[:, None, None]
    scores = mask_scores([found(masks, [1] * 130, [0.5] * 130)], [truth(masks, [1] * 130)], CLASSES)
    assert (scores["mask_mAP"], scores["mask_detections"]) == (1.0, 130)
    (note,) = max_detections_note(scores)
    assert "130 best" in note
    assert max_detections_note({"mask_detections": 100}) == []


def test_nothing_to_find_is_no_score():
    empty = torch.zeros(0, *SIZE, dtype=torch.bool)
    for pictures in (0, 2):
        scores = mask_scores([found(empty, [], [])] * pictures, [truth(empty, [])] * pictures, CLASSES)
        assert scores["mask_mAP"] is None


def test_objects_without_masks_are_refused():
    masks = discs(2, 0)
    bare = Detections(around(masks), torch.ones(2), torch.zeros(2, dtype=torch.long))
    with pytest.raises(DataError, match="picture 0: masks"):
        mask_scores([bare], [truth(masks, [0, 0])], CLASSES)
