"""Scores against their definitions, results as CSV."""

import csv
import io

import numpy as np
import pytest
import torch

from saccade.tasks import Classification
from saccade.tasks.classify.commands import COMMANDS
from saccade.tasks.classify.scores import classification_scores, confusion


def slow_score(predicted, truth):
    """The definitions, picture by picture."""
    n, classes = predicted.shape
    top1 = top5 = loss = 0.0
    bins = [[] for _ in range(15)]
    for row, t in zip(predicted.tolist(), truth.tolist(), strict=True):
        order = sorted(range(classes), key=lambda c: -row[c])
        top1 += order[0] == t
        top5 += t in order[:5]
        loss -= np.log(max(row[t], 1e-12))
        bins[min(14, int(row[order[0]] * 15))].append((row[order[0]], order[0] == t))
    ece = sum(abs(sum(c for c, _ in b) - sum(r for _, r in b)) for b in bins if b)
    return {"top1": top1 / n, "top5": top5 / n, "loss": loss / n, "ece": ece / n}


@pytest.mark.parametrize("classes", [2, 3, 5, 7, 101])
def test_scores_against_slow_ones(classes):
    predicted = (torch.randn(211, classes) * 3).softmax(-1)
    truth = torch.randint(classes, (211,))
    expected = slow_score(predicted, truth)
    found = classification_scores(predicted, truth)
    assert found.keys() == expected.keys()
    for key in found:
        assert found[key] == pytest.approx(expected[key], abs=1e-4), key
    if classes <= 5:
        assert found["top5"] == 1


def test_calibration_where_definitions_differ():
    """Confidences of exactly 1, and on the edges of bins. netcal 1.4.0 gives 0.421 in 15 bins; torchmetrics 1.9.0,
    which has a bin for 1.0 alone, gives 0.437."""
    rows = [
        [1, 0, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0.97, 0.01, 0.01, 0.01], [0.02, 0.95, 0.02, 0.01],
        [0.1, 0.1, 0.6, 0.2], [0.05, 0.25, 0.6, 0.1], [0.2, 0.3, 0.1, 0.4], [0.31, 0.23, 0.22, 0.24],
        [0.01, 0.04, 0.15, 0.8],
    ]  # fmt: skip
    truth = torch.tensor([0, 1, 2, 0, 1, 2, 1, 3, 0, 2])
    assert classification_scores(torch.tensor(rows), truth)["ece"] == pytest.approx(0.421, abs=1e-6)
    assert classification_scores(torch.tensor(rows, dtype=torch.float64), truth)["ece"] == pytest.approx(
        0.421, abs=1e-12
    )


def test_scores_as_scikit_learn_computes_them():
    """scikit-learn 1.9.1: top_k_accuracy_score and log_loss; netcal 1.4.0: ECE(15)."""
    random = np.random.default_rng(4)
    logits = torch.from_numpy(random.normal(size=(31, 7)).round(4))
    found = classification_scores(logits.softmax(dim=1), torch.from_numpy(random.integers(0, 7, 31)))
    assert found == pytest.approx(
        {"top1": 5 / 31, "top5": 25 / 31, "loss": 2.2224389172852397, "ece": 0.2539727524448154}, abs=1e-12
    )


def test_of_equal_probabilities_the_first_counts():
    scores = classification_scores(torch.full((6, 6), 1 / 6), torch.arange(6))
    assert (scores["top1"], scores["top5"]) == (pytest.approx(1 / 6), pytest.approx(5 / 6))


def test_scores_at_the_ends():
    perfect = torch.eye(3)
    found = classification_scores(perfect, torch.arange(3))
    assert found == {"top1": 1, "top5": 1, "loss": 0, "ece": 0}
    wrong = classification_scores(perfect, torch.tensor([1, 2, 0]))
    assert wrong["top1"] == 0
    assert wrong["ece"] == 1  # always sure, never right
    assert wrong["loss"] == pytest.approx(-np.log(1e-12), rel=1e-5)


def test_confusion_counts():
    truth = torch.randint(4, (97,))
    predicted = torch.randn(97, 4).softmax(-1)
    expected = torch.zeros(4, 4, dtype=torch.long)
    for row, t in zip(predicted, truth, strict=True):
        expected[t, row.argmax()] += 1
    assert torch.equal(confusion(predicted, truth), expected)


def test_csv_reads_back():
    awkward = ['a, "b".png', "line\nbreak.png", "한글.png", "=1+1"]
    results = [Classification(name, ("x, y", "z"), (0.75, 0.25)) for name in awkward]
    head, *rows = csv.reader(io.StringIO(COMMANDS.to_csv(results)))
    assert head == ["name", "label_1", "probability_1", "label_2", "probability_2"]
    awkward[-1] = "'=1+1"  # no formula
    assert rows == [[name, "x, y", "0.750000", "z", "0.250000"] for name in awkward]
    assert COMMANDS.to_csv([]) == ""
