"""The best F1 and its threshold: by hand, and against every threshold tried one by one."""

import pytest
import torch

from saccade.tasks.detect.matches import match
from saccade.tasks.detect.threshold import ScoredDetections, best_f1

from .test_scores import found, some_pictures, true


def slow_point(predicted, truth, threshold):
    """F1, precision and recall by the matches of each picture."""
    kinds = [each.kind for pair in zip(predicted, truth, strict=True) for each in match(*pair, threshold=threshold)]
    hits = kinds.count("correct")
    objects = sum(int((~o.crowd).sum()) for o in truth)
    shown = sum(kind != "missed" for kind in kinds)
    return 2 * hits / (shown + objects), hits / max(1, shown), hits / objects


def test_by_hand():
    truth = [true((0, 0, 50, 50, 0), (100, 0, 150, 50, 1)), true((0, 0, 20, 20, 0))]
    predicted = [
        found((0, 0, 50, 50, 0.9, 0), (100, 0, 150, 50, 0.4, 1), (100, 0, 150, 50, 0.3, 0)),
        found((0, 0, 20, 20, 0.6, 1)),
    ]
    best = ScoredDetections(predicted, truth).best()
    assert (best.f1, best.precision, best.recall) == pytest.approx((2 * 2 / (3 + 3), 2 / 3, 2 / 3))
    assert best.threshold == pytest.approx(0.35)
    assert ScoredDetections(predicted, truth).at_threshold(0.5).f1 == pytest.approx(2 * 1 / (2 + 3))


@pytest.mark.parametrize("seed", range(6))
def test_against_every_threshold(seed):
    pictures = some_pictures(seed)
    predicted, truth = [found(*rows) for rows, _ in pictures], [true(*rows, size=(500, 500)) for _, rows in pictures]
    ranking = ScoredDetections(predicted, truth)
    tried = {float(t): slow_point(predicted, truth, float(t)) for one in predicted for t in one.scores}
    for threshold, point in tried.items():
        here = ranking.at_threshold(threshold)
        assert (here.f1, here.precision, here.recall) == pytest.approx(point)
    best = ranking.best()
    assert best.f1 == pytest.approx(max(point[0] for point in tried.values()))
    assert slow_point(predicted, truth, best.threshold)[0] == pytest.approx(best.f1)
    assert ranking.at_threshold(best.threshold).f1 == best.f1


def test_of_equal_scores_all_are_shown_or_none():
    truth = [true((0, 0, 50, 50, 0))]
    predicted = [found((0, 0, 50, 50, 0.5, 0), (90, 90, 99, 99, 0.5, 0), (70, 90, 79, 99, 0.5, 0))]
    best = ScoredDetections(predicted, truth).best()
    assert best.f1 == pytest.approx(2 / 4)
    assert best.threshold <= 0.5
    close = found((0, 0, 50, 50, 0.50001, 0), (90, 90, 99, 99, 0.5, 0))
    best = ScoredDetections([close], truth).best()
    assert best.f1 == 1
    assert 0.5 < best.threshold <= float(close.scores[0])


def test_crowds_are_left_out():
    truth = [true((0, 0, 50, 50, 0), (100, 100, 300, 300, 0), crowd=[False, True])]
    predicted = [found((0, 0, 50, 50, 0.5, 0), (120, 120, 160, 160, 0.9, 0))]
    assert ScoredDetections(predicted, truth).best().f1 == 1


def test_nothing_to_find_or_nothing_found():
    assert ScoredDetections([found()], [true((0, 0, 9, 9, 0))]).best() is None
    assert ScoredDetections([found()], [true((0, 0, 9, 9, 0))]).at_threshold(0.5).f1 == 0
    assert ScoredDetections([found((0, 0, 9, 9, 0.5, 1))], [true((0, 0, 9, 9, 0))]).best() is None  # another class
    nothing = ScoredDetections([found((0, 0, 9, 9, 0.5, 0))], [true()])
    assert nothing.best() is nothing.at_threshold(0.5) is None
    assert ScoredDetections([], []).best() is None
    assert best_f1(nothing) == {"F1": None, "threshold": None}
    assert best_f1(ScoredDetections([found()], [true((0, 0, 9, 9, 0))])) == {"F1": 0.0, "threshold": None}


def test_scores_in_half_precision():
    one = found((0, 0, 50, 50, 0.7, 0))
    half = type(one)(one.boxes, one.scores.to(torch.bfloat16), one.labels)
    assert ScoredDetections([half], [true((0, 0, 50, 50, 0))]).best().f1 == 1
