"""How commands speak: names of files, labels and models are shown as they are, never taken as markup or as codes
that a terminal obeys."""

from rich.console import Console
from rich.text import Text

from saccade.errors import SaccadeError, printable


class UsageError(SaccadeError):
    """Options that do not go together."""


def to(stderr: bool = False) -> Console:
    """The screen, or where errors and notes go. Into a file or another program, no line is broken to a width."""
    console = Console(stderr=stderr, markup=False, emoji=False, highlight=False)
    if not console.is_terminal:
        console.width = 10_000
    return console


def note(console: Console, text: str) -> None:
    """What was assumed, and is good to know."""
    console.print(f"note: {printable(text)}", style="dim", soft_wrap=True)


def line(console: Console, *parts: str | tuple[str, str]) -> None:
    """A line of plain parts and of (text, style)."""
    console.print(
        Text.assemble(*(printable(p) if isinstance(p, str) else (printable(p[0]), p[1]) for p in parts)),
        soft_wrap=True,
    )


def skipped(console: Console, reasons: dict[str, str], what: str = "pictures") -> None:
    """How many of what (in the plural) were left out, and why the first one was."""
    if not reasons:
        return
    one = " or ".join(word.removesuffix("s") for word in what.split(" or "))
    many = f"{len(reasons)} {what} were" if len(reasons) > 1 else f"1 {one} was"
    more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
    line(console, (f"{many} left out: {next(iter(reasons.values()))}{more}", "yellow"))
