"""The command `saccade`: its subcommands, and how errors are reported."""

import errno
import inspect
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import cast

import cyclopts
from pydantic import ValidationError

from saccade.cli import console
from saccade.cli.deprecated_options import rename_options
from saccade.cli.interrupt import raise_on_sigterm
from saccade.errors import SaccadeError, UsageError, in_one_line
from saccade.language import LANGUAGES, Language, set_language, system_language
from saccade.lazy import resolve_name

# name of a command -> its function, and the first sentence of its docstring
COMMANDS = {
    "look": (
        "saccade.cli.look:look",
        "Say what a model sees in a picture or a video and where it looks, and write a page on which to explore it.",
    ),
    "val": (
        "saccade.cli.val:val",
        "Score a model on annotated pictures.",
    ),
    "predict": (
        "saccade.cli.predict:predict",
        'Run a model on pictures: files, folders, or patterns such as "holiday/*.jpg". Videos are '
        "processed frame by frame, or as a whole by a model that classifies videos.",
    ),
    "generate": (
        "saccade.cli.generate:generate",
        "Paint pictures or films from a text, a picture, or the style of one.",
    ),
    "search": (
        "saccade.cli.search:search",
        "Rank the pictures of a folder for a text.",
    ),
    "export": (
        "saccade.cli.export:export",
        "Write a model as a file of an inference engine, with its preprocessing and the names of its classes inside.",
    ),
    "models": (
        "saccade.cli.models:models",
        "List the bundled models with the scores of their cards, or the classes of one model.",
    ),
    "scenes": (
        "saccade.cli.scenes:scenes",
        "Write procedurally drawn scenes with exact annotations, to train or test this or any other tool.",
    ),
    "doctor": (
        "saccade.cli.doctor:doctor",
        "Say what is wrong with a data set, how often and where: pictures in one folder per class, with "
        "boxes as COCO, VOC or YOLO, with masks, with captions, in pairs, or in several styles; films with captions.",
    ),
}


def build_app(arguments: Sequence[str] = ()) -> cyclopts.App:
    """The command line. Only the command that the arguments name is imported; the overview imports none."""
    name, second = [*arguments[:2], "", ""][:2]
    app = cyclopts.App(
        name="saccade",
        help="Vision attention that you can use, see and touch.\n\n"
        "Start with `saccade look photo.jpg`. Every command explains itself with --help. "
        "After an error, --debug shows where it came from. Results are in Korean with --lang ko, or by the locale.",
        help_format="plaintext",
        default_parameter=cyclopts.Parameter(converter=console.not_empty),
        result_action="return_value",
        suppress_keyboard_interrupt=False,
    )
    if name in COMMANDS:
        _add_command(app, resolve_name(COMMANDS[name][0]), name)
        return app
    train = cyclopts.App(name="train", help="Train a model on your own pictures.")
    app.command(train)
    if name == "train":
        from saccade.cli.train import train_command
        from saccade.tasks.registry import TASKS, task_commands

        for task in [second] if second in TASKS else TASKS:
            _add_command(train, train_command(task_commands(task)), task)
    else:
        for command, (function, summary) in COMMANDS.items():
            app.command(function, name=command, help=summary)
    return app


def _add_command(app: cyclopts.App, function: Callable[..., None], name: str) -> None:
    """The help is wrapped to the width of the terminal, so paragraphs of the docstring become single lines."""
    lines: list[str] = []
    for line in inspect.cleandoc(function.__doc__ or "").splitlines():
        paragraph = lines and line and lines[-1] and not (line + lines[-1]).count("---")
        if paragraph and len(line) - len(line.lstrip()) == len(lines[-1]) - len(lines[-1].lstrip()):
            lines[-1] += f" {line.strip()}"
        else:
            lines.append(line)
    function.__doc__ = "\n".join(lines)
    app.command(function, name=name)


def _take_language(options: list[str]) -> list[str]:
    """Set the language of the terminal, by the option or else the locale. Returns the other options."""
    language: str = system_language()
    rest, given = list[str](), iter(options)
    for option in given:
        if option == "--lang" or option.startswith("--lang="):
            language = option.partition("=")[2] or next(given, "")
        else:
            rest.append(option)
    if language not in LANGUAGES:
        raise UsageError(f"--lang {language}: expected {' or '.join(LANGUAGES)}")
    set_language(cast(Language, language))
    return rest


_OUT_OF_MEMORY = ("memoryerror", "not enough memory", "out of memory", "can't allocate memory")


def main(arguments: list[str] | None = None) -> None:
    """Run one command and exit: code 0; 2 for a wrong command line; 1, with one line, for unusable data and everything
    else that goes wrong; 130 when interrupted, 143 on SIGTERM, 129 on SIGHUP."""
    arguments = sys.argv[1:] if arguments is None else arguments
    end = arguments.index("--") if "--" in arguments else len(arguments)
    debug = "--debug" in arguments[:end]
    options = rename_options([a for a in arguments[:end] if a != "--debug"], _warn)
    try:
        options = _take_language(options)
        with raise_on_sigterm():
            app = build_app(options)
            app([*options, *arguments[end:]], exit_on_error=False, print_error=False)
        if sys.stdout is not None:  # closed by the parent process
            sys.stdout.flush()
    except BrokenPipeError:  # the reader has seen enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except (Exception, KeyboardInterrupt) as error:
        if debug:
            traceback.print_exc()
        code, message = _report(error)
        console.print_styled_line(console.stderr(), (f"saccade: {message}", "red"))
        sys.exit(code)


def main_of_torchrun() -> None:
    """`main`, as torchrun starts it: with several processes, this one exits at once when all are done."""
    if int(os.environ.get("WORLD_SIZE", 1)) == 1:
        return main()
    from saccade.device import exit_process

    code = 0
    try:
        main()
    except SystemExit as exit:
        code = exit.code if isinstance(exit.code, int) else 1
    exit_process(code)


def _warn(text: str) -> None:
    console.print_note(console.stderr(), text)


def _report(error: BaseException) -> tuple[int, str]:
    """The exit code and the message for an error."""
    text = in_one_line(error, most=2000)
    if isinstance(error, cyclopts.CycloptsError):
        argument, cause = error.argument, error.__cause__
        if isinstance(cause, ValidationError) and argument is not None:  # the type or range of an option
            from saccade.cli.task_options import first_error_message

            value = " ".join(token.value for token in argument.tokens)
            return 2, f"{argument.name} {value}: {first_error_message(cause)}"
        return 2, f"{text} (see {' '.join(['saccade', *(error.command_chain or ())])} --help)"
    if isinstance(error, SaccadeError):
        return error.exit_code, text
    interruption = _interruption(error)
    if interruption is not None:
        return 128 + getattr(interruption, "number", signal.SIGINT), str(interruption) or "interrupted"
    if isinstance(error, MemoryError | RuntimeError) and any(sign in f"{text} ".lower() for sign in _OUT_OF_MEMORY):
        return 1, "there is not enough memory for this: smaller pictures (--size) or batches (--batch) need less"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        place = error.filename or "standard output, or a temporary file,"
        return 1, f"{place} cannot be written ({error.strerror}): free some space, then run it again"
    if isinstance(error, OSError | ValidationError):
        return 1, text
    text = f"{type(error).__name__}: {in_one_line(error)}"
    return 1, f"this should not have happened: {text}. Please report it, with the output of --debug"


def _interruption(error: BaseException | None) -> KeyboardInterrupt | None:
    """The signal that is the cause: libraries may wrap it while modules are imported."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error
