"""The command `saccade`: what it offers, and what it says when something goes wrong."""

import os
import sys
import traceback

import cyclopts
from pydantic import ValidationError

from saccade.cli import classify, detect, doctor, look, models, say, scenes, segment
from saccade.errors import SaccadeError, in_one_line
from saccade.train import Interrupted

app = cyclopts.App(
    name="saccade",
    help="Vision attention that you can use, see and touch.\n\n"
    "Start with `saccade look photo.jpg`. Every command explains itself with --help. "
    "After an error, --debug shows where it came from.",
    help_format="markdown",
    result_action="return_value",
    suppress_keyboard_interrupt=False,
)
app.command(look.look)
train = cyclopts.App(name="train", help="Train a model on your own pictures.")
train.command(classify.train, name="classify")
train.command(detect.train, name="detect")
train.command(segment.train, name="segment")
app.command(train)
app.command(models.val)
app.command(models.predict)
app.command(models.models)
app.command(scenes.scenes)
app.command(doctor.doctor)

_NO_MEMORY = ("memoryerror", "not enough memory", "out of memory", "can't allocate memory")


def main(arguments: list[str] | None = None) -> None:
    """Run one command and leave: exit code 0; 2 for a wrong command line; 1 for data that cannot be used and
    everything else that goes wrong, in one line; 130 when interrupted."""
    arguments = sys.argv[1:] if arguments is None else arguments
    options = arguments.index("--") if "--" in arguments else len(arguments)
    debug = "--debug" in arguments[:options]
    arguments = [a for a in arguments[:options] if a != "--debug"] + arguments[options:]
    try:
        app(arguments, exit_on_error=False, print_error=False)
        if sys.stdout is not None:  # closed by whoever started us
            sys.stdout.flush()
    except BrokenPipeError:  # whoever read our output has seen enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except (Exception, KeyboardInterrupt) as error:
        if debug:
            traceback.print_exc()
        code, said = _judged(error)
        say.line(say.to(stderr=True), (f"saccade: {said}", "red"))
        sys.exit(code)


def one_of_several() -> None:
    """`main`, as torchrun starts it: where there are other processes, this one ends at once when all is done."""
    if int(os.environ.get("WORLD_SIZE", 1)) == 1:
        return main()
    from saccade.device import end

    code = 0
    try:
        main()
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else 1
    end(code)


def _judged(error: BaseException) -> tuple[int, str]:
    """The exit code for an error, and what to say of it."""
    said = in_one_line(error, most=2000)
    if isinstance(error, cyclopts.CycloptsError):
        wrong = error.__cause__
        return 2, f"{_wrong_option(wrong) if isinstance(wrong, ValidationError) else said} (see saccade --help)"
    if isinstance(error, say.UsageError):
        return 2, said
    if isinstance(error, Interrupted):
        return 130, said
    if _interrupted(error):
        return 130, "interrupted"
    if isinstance(error, MemoryError | RuntimeError) and any(sign in f"{said} ".lower() for sign in _NO_MEMORY):
        return 1, "there is not enough memory for this: smaller pictures (--size) or batches (--batch) need less"
    if isinstance(error, SaccadeError | OSError | ValidationError):
        return 1, said
    said = f"{type(error).__name__}: {in_one_line(error)}"
    return 1, f"this should not have happened: {said}. Please report it, with what --debug shows"


def _interrupted(error: BaseException) -> bool:
    """Whether Ctrl-C is at the bottom of it: what it meets while modules are loaded may wrap it."""
    while not isinstance(error, KeyboardInterrupt):
        before = error.__cause__ or error.__context__
        if before is None:
            return False
        error = before
    return True


def _wrong_option(error: ValidationError) -> str:
    first = error.errors()[0]
    name = ".".join(map(str, first["loc"])).replace("_", "-")
    return f"--{name} {first['input']}: {first['msg'][:1].lower()}{first['msg'][1:]}"
