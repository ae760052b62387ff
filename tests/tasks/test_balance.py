"""Which pictures are drawn more often."""

import pytest
import torch

from saccade.tasks.balance import balanced_weights, mirrored_classes


def test_of_single_labels_every_class_is_as_frequent():
    labels = [0] * 17 + [1] * 3 + [2]
    weights = balanced_weights(([label] for label in labels), 3)
    shares = torch.zeros(3, dtype=torch.float64).index_add(0, torch.tensor(labels), weights)
    torch.testing.assert_close(shares, torch.full((3,), 1 / 3, dtype=torch.float64))


def test_of_several_labels_the_rarest_counts():
    weights = balanced_weights([[0, 0, 1], [0], [0, 2], [], [0, 2], []], 3)
    counts = {0: 4, 1: 1, 2: 2, "none": 2}
    expected = torch.tensor([1 / counts[1], 1 / 4, 1 / 2, 1 / 2, 1 / 2, 1 / 2], dtype=torch.float64)
    torch.testing.assert_close(weights, expected / expected.sum())


@pytest.mark.parametrize(
    ("labels", "pair"),
    [
        (["cat", "left hand", "right hand"], ("left hand", "right hand")),
        (["Turn-Right", "turn-left"], ("turn-left", "Turn-Right")),
        (["왼쪽", "오른쪽"], ("왼쪽", "오른쪽")),
        (["left", "up", "down"], None),
        (["bright", "cleft"], None),
        ([], None),
    ],
)
def test_classes_that_are_mirror_images(labels, pair):
    assert mirrored_classes(labels) == pair
