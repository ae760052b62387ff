"""Durations, read and written."""

import pytest

from saccade.train.durations import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1h", 3600), ("30m", 1800), ("90s", 90), ("2h30m", 9000), ("1.5h", 5400), ("1h2m3s", 3723), ("0s", 0)],
)
def test_what_is_read(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "1", "1h30", "h", "-1h", "30m1h", "1d", "1 h", "1H", "infs", "1e9h", "１h2", "1h "]
)
def test_what_is_none(text):
    with pytest.raises(ValueError, match="such as 1h, 30m, 90s or 2h30m"):
        parse_duration(text)


def test_numbers_are_seconds():
    assert parse_duration(3600.0) == 3600
    assert parse_duration(None) is None


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.4, "0 s"),
        (45.5, "46 s"),
        (59.4, "59 s"),
        (59.5, "1 min"),
        (89, "1 min"),
        (90, "2 min"),
        (3569, "59 min"),
        (3570, "1 h"),
        (20_400, "5 h 40 min"),
        (360_000, "100 h"),
    ],
)
def test_what_is_written(seconds, words):
    assert format_duration(seconds) == words
