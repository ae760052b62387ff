"""Duplicates among the boxes of a picture, by comparing all pairs."""

import numpy as np
import pytest

from saccade.data.doctor.boxes import SAME, find_duplicate_boxes
from saccade.data.objects.annotations import AnnotatedObject, AnnotatedPicture, BoxCheck


def found(boxes, labels) -> list[int]:
    objects = [AnnotatedObject("", tuple(box), int(label)) for box, label in zip(boxes.tolist(), labels, strict=True)]
    return find_duplicate_boxes(AnnotatedPicture("a", "", objects), [BoxCheck("", "", each.box) for each in objects])


def expected(boxes, labels) -> list[int]:
    kept, again = [], []
    for i, box in enumerate(boxes):
        low, high = np.maximum(box[:2], boxes[kept][:, :2]), np.minimum(box[2:], boxes[kept][:, 2:])
        both = (high - low).clip(min=0).prod(1)
        union = (box[2:] - box[:2]).prod() + (boxes[kept][:, 2:] - boxes[kept][:, :2]).prod(1) - both
        same = (both / union >= SAME) & (np.array(labels)[kept] == labels[i])
        (again if same.any() else kept).append(i)
    return again


@pytest.mark.parametrize("scale", [1.0, 7.0, 413.0])
def test_duplicates_are_those_of_all_pairs(scale):
    rng = np.random.default_rng(int(scale))
    corners, sides = rng.random((71, 2)) * scale, np.exp(rng.normal(0, 0.5, (71, 2))) * 0.3 * scale
    boxes = np.concatenate([corners, corners + sides], axis=1)
    chosen = rng.integers(0, 71, 101)
    noise = (rng.random((101, 4)) - 0.5) * 0.06 * np.tile(sides[chosen], 2)
    boxes = np.concatenate([boxes, boxes[chosen] + noise])
    labels = rng.integers(0, 2, len(boxes))
    assert len(expected(boxes, labels)) > 15
    assert found(boxes, labels) == expected(boxes, labels)


def test_many_boxes_of_one_picture():
    place = np.arange(9973)
    corners = np.stack([place % 97 * 10.0, place // 97 * 10.0], axis=1)
    boxes = np.concatenate([corners, corners + 8], axis=1)
    assert found(boxes, [0] * len(boxes)) == []
    assert len(found(np.tile(boxes[:1], (9973, 1)), [0] * 9973)) == 9972
