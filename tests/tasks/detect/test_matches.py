"""Which found object is which true one."""

import pytest
import torch

from saccade.data.objects import ObjectAnnotations
from saccade.tasks.detect.matches import Match, detection_confusion, match
from saccade.tasks.detect.result import Detections


def found(*rows):
    """rows: (left, top, right, bottom, score, label)."""
    table = torch.tensor(rows, dtype=torch.float32).reshape(-1, 6)
    return Detections(table[:, :4], table[:, 4], table[:, 5].long())


def true(*rows, crowd=None):
    """rows: (left, top, right, bottom, label)."""
    table = torch.tensor(rows, dtype=torch.float32).reshape(-1, 5)
    return ObjectAnnotations(
        table[:, :4], table[:, 4].long(), (200, 200), None if crowd is None else torch.tensor(crowd)
    )


SQUARE = (0, 0, 10, 10)


@pytest.mark.parametrize(
    ("predicted", "expected"),
    [
        ([(*SQUARE, 0.9, 0)], [Match("correct", 0, 0, 1.0)]),
        ([(*SQUARE, 0.9, 1)], [Match("classification", 0, 0, 1.0)]),
        ([(0, 0, 10, 4, 0.9, 0)], [Match("localization", 0, 0, pytest.approx(0.4))]),
        ([(0, 0, 10, 4, 0.9, 1)], [Match("background", 0, None), Match("missed", None, 0)]),
        ([(0, 0, 10, 0.5, 0.9, 0)], [Match("background", 0, None), Match("missed", None, 0)]),
        ([(50, 50, 60, 60, 0.9, 0)], [Match("background", 0, None), Match("missed", None, 0)]),
        ([(*SQUARE, 0.4, 0)], [Match("missed", None, 0)]),
        ([(*SQUARE, 0.6, 0), (0, 0, 10, 9, 0.9, 0)], [Match("correct", 1, 0, 0.9), Match("duplicate", 0, 0, 1.0)]),
        ([(*SQUARE, 0.9, 1), (*SQUARE, 0.6, 0)], [Match("correct", 1, 0, 1.0), Match("background", 0, None)]),
        ([], [Match("missed", None, 0)]),
    ],
)
def test_matches_of_one_object(predicted, expected):
    matches = match(found(*predicted), true((*SQUARE, 0)))
    assert [(m.kind, m.found, m.truth) for m in matches] == [(m.kind, m.found, m.truth) for m in expected]
    assert [m.iou for m in matches] == pytest.approx([getattr(m.iou, "expected", m.iou) for m in expected], abs=1e-6)


def test_each_takes_the_free_object_it_overlaps_most():
    objects = true((0, 0, 10, 10, 0), (2, 0, 12, 10, 0))
    matches = match(found((1.5, 0, 11.5, 10, 0.9, 0), (1.5, 0, 11.5, 10, 0.8, 0)), objects)
    assert [(m.kind, m.found, m.truth) for m in matches] == [("correct", 0, 1), ("correct", 1, 0)]


def test_crowds():
    objects = true((0, 0, 100, 100, 0), (150, 150, 160, 160, 0), crowd=[True, False])
    predicted = found((10, 10, 20, 20, 0.9, 0), (150, 150, 160, 160, 0.8, 0), (10, 10, 20, 20, 0.7, 1))
    assert [(m.kind, m.found, m.truth) for m in match(predicted, objects)] == [
        ("correct", 1, 1),
        ("background", 2, None),
    ]
    assert match(found(), true((0, 0, 100, 100, 0), crowd=[True])) == []


def test_confusion():
    objects = true((0, 0, 10, 10, 0), (20, 0, 30, 10, 0), (40, 0, 50, 10, 1), (60, 0, 70, 10, 1))
    predicted = found(
        (0, 0, 10, 10, 0.9, 0),  # right
        (20, 0, 30, 10, 0.9, 1),  # classification
        (40, 0, 50, 4, 0.9, 1),  # localization
        (0, 0, 10, 9, 0.8, 0),  # double
        (90, 90, 99, 99, 0.7, 1),  # background
        (60, 0, 70, 10, 0.3, 1),  # not sure enough
    )
    matrix = detection_confusion([predicted, found()], [objects, true()], ["a", "b"])
    assert matrix.tolist() == [[1, 1, 0], [0, 0, 2], [1, 2, 0]]
    assert matrix[:2].sum() == len(objects)
    assert matrix[:, :2].sum() == 5
    surer = detection_confusion([predicted], [objects], ["a", "b"], threshold=0.2)
    assert surer.tolist() == [[1, 1, 0], [0, 1, 1], [1, 2, 0]]


def test_confusion_of_nothing():
    assert detection_confusion([], [], ["a"]).tolist() == [[0, 0], [0, 0]]
