"""Durations such as 1h, 30m, 90s and 2h30m, read and written."""

import math
import re

from pydantic_core import PydanticCustomError

from saccade.errors import pluralize

_UNITS = {"h": 3600, "m": 60, "s": 1}
_DURATION = re.compile("".join(rf"(?:(\d{{1,6}}(?:\.\d{{1,6}})?){unit})?" for unit in _UNITS))


def parse_duration(text: object) -> object:
    """Seconds of "2h30m"; what is no text is returned as it is. Raises PydanticCustomError (a ValueError) for a
    text that is no duration."""
    if not isinstance(text, str):
        return text
    found = _DURATION.fullmatch(text)
    if found is None or not text:
        raise PydanticCustomError("duration", "Expected hours, minutes and seconds, such as 1h, 30m, 90s or 2h30m")
    return sum(
        float(number) * seconds for number, seconds in zip(found.groups(), _UNITS.values(), strict=True) if number
    )


def format_duration(seconds: float) -> str:
    """To a minute from a minute on, else to a second; half a unit is rounded up: "2 h 30 min", "45 s"."""
    if seconds < 59.5:
        return f"{math.floor(seconds + 0.5)} s"
    hours, minutes = divmod(math.floor(seconds / 60 + 0.5), 60)
    return " ".join(([f"{hours} h"] if hours else []) + ([f"{minutes} min"] if minutes else []))


def format_run_length(epochs: int | None, budget: float | None) -> str:
    """The length of a run."""
    return pluralize(epochs or 0, "epoch") if budget is None else format_duration(budget)
