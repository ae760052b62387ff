"""Intervals of shares, and their chart."""

import pytest

from saccade.tasks.accuracy_intervals import draw_accuracy_bars, wilson_interval


def test_interval():
    # Wilson's interval of 81 of 263 (Newcombe 1998, table I, method 3)
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson_interval(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert wilson_interval(0, 0) == (0.0, 1.0)


def test_chart_of_nothing_and_of_chance():
    assert draw_accuracy_bars({}).width > 0
    one = {"value": 0.5, "low": 0.25, "high": 0.75, "n": 8}
    plain, marked = draw_accuracy_bars({"a": one}), draw_accuracy_bars({"a": {**one, "chance": 0.9}})
    assert plain.size == marked.size
    assert plain.tobytes() != marked.tobytes()
