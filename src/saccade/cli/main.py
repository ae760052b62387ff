"""The command `saccade`: what it offers, and what it says when something goes wrong."""

import sys
import traceback

import cyclopts
from rich.console import Console

from saccade.cli import classify, look
from saccade.errors import SaccadeError

app = cyclopts.App(
    name="saccade",
    help="Vision attention that you can use, see and touch.\n\n"
    "Start with `saccade look photo.jpg`. Every command explains itself with --help. "
    "After an error, --debug shows where it came from.",
    help_format="markdown",
    result_action="return_value",
)
app.command(look.look)
train = cyclopts.App(name="train", help="Train a model on your own pictures.")
train.command(classify.train, name="classify")
app.command(train)
app.command(classify.val)
app.command(classify.predict)
app.command(classify.models)

_NO_MEMORY = ("not enough memory", "out of memory", "can't allocate memory")


def main(arguments: list[str] | None = None) -> None:
    """Run one command and leave: exit code 0; 2 for a wrong command line; 1 for data that cannot be used and
    everything else that goes wrong, in one line; 130 when interrupted."""
    arguments = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in arguments
    try:
        app([a for a in arguments if a != "--debug"], exit_on_error=False, print_error=False)
    except cyclopts.CycloptsError as error:
        _stop(2, f"{_first_line(error)} (see saccade --help)", debug)
    except KeyboardInterrupt as error:
        _stop(130, str(error) or "interrupted", debug)
    except (SaccadeError, OSError) as error:
        _stop(1, _first_line(error), debug)
    except RuntimeError as error:
        if any(sign in str(error).lower() for sign in _NO_MEMORY):
            _stop(1, "there is not enough memory for this: use a smaller --size or --batch", debug)
        _unexpected(error, debug)
    except Exception as error:
        _unexpected(error, debug)


def _first_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _unexpected(error: BaseException, debug: bool) -> None:
    said = f"{type(error).__name__}: {_first_line(error)[:300]}"
    _stop(1, f"this should not have happened: {said}. Please report it, with what --debug shows", debug)


def _stop(code: int, line: str, debug: bool) -> None:
    if debug:
        traceback.print_exc()
    Console(stderr=True, soft_wrap=True).print(f"saccade: {line}", style="red", markup=False, highlight=False)
    sys.exit(code)
