"""Errors that a user can cause. Each message names the thing, what was found, what was expected, what to do."""

from collections.abc import Iterable

from pydantic import ValidationError


class SaccadeError(ValueError):
    """Base of every error that a user of the library can cause."""


class DataError(SaccadeError):
    """A picture, folder or annotation that is missing, unreadable or not what was expected."""


class CheckpointError(SaccadeError):
    """A weight file that is missing, unreadable, refused or of another family than expected."""


def printable(text: object) -> str:
    """One line that a terminal shows and does not obey: unprintable characters escaped."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(text))


def in_one_line(error: BaseException, most: int = 300) -> str:
    """What an error of another library says, as part of a message of ours."""
    said = str(error)
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        said = f"{place}: {first['msg']}" if place else first["msg"]
    said = " ".join(said.split()) or type(error).__name__
    return said if len(said) <= most else f"{said[:most]}…"


def some_of(names: Iterable[str], most: int = 3) -> str:
    """The first few different names, and how many more there are."""
    different = list(dict.fromkeys(names))
    return ", ".join(different[:most]) + (f" and {len(different) - most} more" if len(different) > most else "")
