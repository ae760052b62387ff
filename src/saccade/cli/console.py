"""Output of the commands. Names of files, labels and models are printed literally, never as markup or control codes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from cyclopts import Parameter, Token, convert, validators
from rich.console import Console
from rich.text import Text

from saccade.errors import DataError, printable

Json = Annotated[bool, Parameter(name="--json", negative=())]
DeviceName = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["auto", "bf16", "fp32"]


def whole(least: int, most: int | None = None, name: str | None = None) -> Parameter:
    """An option that takes a whole number from `least` to `most`; cyclopts rounds 1.5 without a word."""
    return Parameter(name=name, converter=_whole, validator=validators.Number(gte=least, lte=most))


def _whole(_: Any, tokens: Sequence[Token]) -> int:
    text = tokens[0].value
    try:
        return int(text)
    except ValueError as error:
        raise ValueError(f"{text} is not a whole number") from error


def not_empty(type_: Any, tokens: Sequence[Token]) -> Any:
    """The values of an option as cyclopts reads them; raises ValueError for an empty path, which it takes for the
    current folder."""
    kinds = {type_, *get_args(type_), *(inner for each in get_args(type_) for inner in get_args(each))}
    if Path in kinds and any(not token.value.strip() for token in tokens):
        raise ValueError("an empty path; give a file or folder, or . for the current folder")
    return convert(type_, tokens)


def stdout() -> Console:
    """The console of results. Lines are not wrapped when it is a file or a pipe."""
    return _console(stderr=False)


def stderr() -> Console:
    """The console of notes and errors."""
    return _console(stderr=True)


def _console(stderr: bool) -> Console:
    console = Console(stderr=stderr, markup=False, emoji=False, highlight=False)
    if not console.is_terminal:
        console.width = 10_000
    return console


def note(console: Console, text: str) -> None:
    """Print an assumption that the user should know of."""
    console.print(f"note: {printable(text)}", style="dim", soft_wrap=True)


def line(console: Console, *parts: str | tuple[str, str]) -> None:
    """Print a line of plain parts and of (text, style)."""
    console.print(
        Text.assemble(*(printable(p) if isinstance(p, str) else (printable(p[0]), p[1]) for p in parts)),
        soft_wrap=True,
    )


def skipped(console: Console, reasons: Mapping[str, str], items: str = "pictures") -> None:
    """Print how many items (a plural) were skipped, and the first reason."""
    if not reasons:
        return
    one = " or ".join(word.removesuffix("s") for word in items.split(" or "))
    count = f"{len(reasons)} {items} were" if len(reasons) > 1 else f"1 {one} was"
    more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
    line(console, (f"{count} skipped: {next(iter(reasons.values()))}{more}", "yellow"))


def check_data(path: Path) -> None:
    """Raises DataError for a data set that is not there, before anything heavy is imported. "scenes..." is drawn."""
    if not path.exists() and not str(path).startswith("scenes"):
        raise DataError(f"{printable(path)} does not exist: give a folder or file of your data, or scenes:N")
