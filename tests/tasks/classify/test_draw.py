"""Scores as pictures."""

import numpy as np
import pytest
import torch

from saccade.tasks.classify.draw import draw_calibration
from saccade.tasks.confusion import draw_confusion


def matrix(n, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 50, (n, n)))


@pytest.mark.parametrize("n", [2, 10, 40, 41, 300])
def test_confusion_has_a_cell_for_each_pair(n):
    drawn = draw_confusion(matrix(n), [f"class {i}" for i in range(n)])
    cell = max(6, min(56, 900 // n))
    assert drawn.mode == "RGB"
    assert drawn.width > n * cell
    assert drawn.height > n * cell
    assert max(drawn.size) < max(n * cell, 400) + 300  # what stands below is never cut off


def test_confusion_changes_with_the_data_and_the_names():
    labels = ["a", "b", "c"]
    drawn = [np.asarray(draw_confusion(m, labels)) for m in (torch.eye(3).long() * 9, 9 - torch.eye(3).long() * 9)]
    assert drawn[0].shape == drawn[1].shape
    assert (drawn[0] != drawn[1]).any()
    assert (np.asarray(draw_confusion(torch.eye(3).long() * 9, ["a", "b", "d"])) != drawn[0]).any()


def test_correct_is_blue_and_wrong_is_red():
    drawn = np.asarray(draw_confusion(torch.tensor([[10, 0], [10, 0]]), ["", ""])).astype(int)
    side, left, top = 56, 24, 24
    right, wrong = (drawn[top + y * side + 6, left + 6] for y in (0, 1))
    nothing = drawn[top + 6, left + side + 6]
    assert right[2] > right[0]
    assert wrong[0] > wrong[2]
    assert (nothing > 250).all()


def test_confusion_of_a_class_without_pictures_and_of_long_names():
    empty = torch.tensor([[3, 1], [0, 0]])
    draw_confusion(empty, ["x" * 500, "고양이"])


def test_calibration_changes_with_the_data():
    predicted = (torch.randn(60, 4) * 2).softmax(-1)
    drawn = [
        np.asarray(draw_calibration(predicted, truth)) for truth in (predicted.argmax(1), (predicted.argmax(1) + 1) % 4)
    ]
    assert drawn[0].shape == (548, 548, 3)
    assert (drawn[0] != drawn[1]).any()


def test_calibration_of_one_sure_picture():
    draw_calibration(torch.tensor([[1.0, 0.0]]), torch.tensor([0]))
