"""Errors that a user can cause. Each message names the thing, what was found, what was expected, what to do."""

from collections.abc import Iterable

from pydantic import ValidationError


class SaccadeError(ValueError):
    """Base of every error that a user of the library can cause. Its message is printable and on one line."""

    exit_code = 1  # of the command line

    def __init__(self, *parts: object) -> None:
        super().__init__(*map(printable, parts))  # names of files and classes may hold anything


class UsageError(SaccadeError):
    """Options that do not go together, or do not apply to a model."""

    exit_code = 2


class GraphError(SaccadeError, RuntimeError):
    """A backward pass from numbers that are part of no graph, for which PyTorch raises RuntimeError."""


class DataError(SaccadeError):
    """A picture, folder or annotation that is missing, unreadable or not what was expected."""


class CheckpointError(SaccadeError):
    """A weight file that is missing, unreadable, refused or of another family than expected."""


def printable(text: object) -> str:
    """The text on one line with unprintable characters escaped, so that no control sequence reaches a terminal."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(text))


def in_one_line(error: BaseException, most: int = 300) -> str:
    """The message of another library's error on one line of at most `most` characters, to include in a SaccadeError."""
    message = str(error)
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        message = f"{place}: {first['msg']}" if place else first["msg"]
    message = " ".join(message.split()) or type(error).__name__
    return message if len(message) <= most else f"{message[:most]}…"


def is_parser_error(error: BaseException) -> bool:
    """Whether an error comes from a parser: any Exception, and a panic of a library in Rust, which is none."""
    return isinstance(error, Exception) or type(error).__name__ == "PanicException"


def shorten_list(names: Iterable[str], most: int = 3) -> str:
    """The first `most` distinct names, and the number of the others."""
    different = list(dict.fromkeys(names))
    return ", ".join(different[:most]) + (f" and {len(different) - most} more" if len(different) > most else "")


def pluralize(n: int, one: str) -> str:
    """`1 picture`, `2 pictures`, `2 classes`."""
    plural = "es" if one.endswith("s") else "s"
    return f"{n} {one}" + plural * (n != 1)


def install_hint(extra: str) -> str:
    """The commands that install an optional dependency group, in a clone and otherwise."""
    return f"pip install '.[{extra}]' in a clone, else pip install 'saccade-attention[{extra}]'"
