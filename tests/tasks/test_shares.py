"""Intervals of shares, and their chart."""

import pytest

from saccade.tasks.shares import draw_shares, interval


def test_interval():
    # Wilson's interval of 81 of 263 (Newcombe 1998, table I, method 3)
    assert interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert interval(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert interval(0, 0) == (0.0, 1.0)


def test_chart_of_nothing_and_of_chance():
    assert draw_shares({}).width > 0
    one = {"value": 0.5, "low": 0.25, "high": 0.75, "n": 8}
    plain, marked = draw_shares({"a": one}), draw_shares({"a": {**one, "chance": 0.9}})
    assert plain.size == marked.size
    assert plain.tobytes() != marked.tobytes()
