"""Output of the commands, in the language of the terminal. Names of files, labels and models are printed literally,
never as markup or control codes."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from cyclopts import Parameter, Token, convert, validators
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.status import Status
from rich.table import Table
from rich.text import Text

from saccade.errors import DataError, UsageError, printable
from saccade.language import localize_label, localize_text

Json = Annotated[bool, Parameter(name="--json", negative=())]
DeviceName = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["auto", "bf16", "fp32"]


def int_range(least: int, most: int | None = None, name: str | None = None) -> Parameter:
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


class LocalizedConsole(Console):
    """Prints strings, headings and captions of tables, and names of classes in their cells in the language of the
    terminal; `Text` as it is."""

    def print(self, *objects: Any, **options: Any) -> None:
        super().print(*map(_localized, objects), **options)

    def status(self, status: Any, **options: Any) -> Status:
        return super().status(_localized(status), **options)


def _localized(shown: Any) -> Any:
    if isinstance(shown, Table):
        shown.title, shown.caption = _localized(shown.title), _localized(shown.caption)
        for column in shown.columns:
            column.header = _localized(column.header)
            column._cells = list(map(_localized_cell, column._cells))
    return localize_text(shown) if isinstance(shown, str) else shown


def _localized_cell(cell: Any) -> Any:
    """Other than names of classes, cells are what the user wrote, or translated already."""
    if isinstance(cell, Text) and len(cell.spans) == 0:
        return Text(localize_label(cell.plain), style=cell.style)
    return localize_label(cell) if isinstance(cell, str) else cell


def _localized_line(*parts: tuple[str, str]) -> Text:
    """Translated as a whole, since the order of words differs; styled parts are found again in the translation."""
    written = "".join(part for part, _ in parts)
    shown = Text(localize_text(written))
    if shown.plain == written:
        return Text.assemble(*((localize_text(part), style) for part, style in parts))
    for part, style in parts:
        if style and part == written:
            shown.stylize(style)
        elif style:
            shown.highlight_words([localize_text(part)], style)
    return shown


def _console(stderr: bool) -> Console:
    console = LocalizedConsole(stderr=stderr, markup=False, emoji=False, highlight=False)
    if not console.is_terminal:
        console.width = 10_000
    return console


class ProgressBar:
    """The progress of a command's steps, one at a time, on stderr; nothing where it is not a terminal."""

    def __init__(self, quiet: bool = False) -> None:
        self._console = stderr()
        self._console.quiet = quiet or not self._console.is_terminal
        parts = SpinnerColumn(), TextColumn("{task.description}"), BarColumn(24), TimeElapsedColumn()
        self._progress = Progress(*parts, console=self._console, transient=True)
        self._task = self._progress.add_task("", total=None)

    def __enter__(self) -> "ProgressBar":
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    def step(self, name: str, done: float | None = None) -> None:
        """Show a step. done: share of it, 0 to 1; None where it is not known."""
        total = None if done is None else 1.0
        self._progress.update(self._task, description=localize_text(name), total=total, completed=done or 0.0)

    def note(self, text: str) -> None:
        """Print a note above the bar."""
        print_note(self._console, text)


def print_note(console: Console, text: str) -> None:
    """Print an assumption that the user should know of."""
    console.print(localize_text(f"note: {printable(text)}"), style="dim", soft_wrap=True)


def print_stderr_notes(texts: Iterable[str]) -> None:
    """Print several on stderr."""
    for text in texts:
        print_note(stderr(), text)


def print_styled_line(console: Console, *parts: str | tuple[str, str]) -> None:
    """Print a line of plain parts and of (text, style)."""
    pairs = [(printable(p), "") if isinstance(p, str) else (printable(p[0]), p[1]) for p in parts]
    console.print(_localized_line(*pairs), soft_wrap=True)


def print_skipped(console: Console, reasons: Mapping[str, str], items: str = "pictures") -> None:
    """Print how many items (a plural) were skipped, and the first reason."""
    if not reasons:
        return
    one = " or ".join(word.removesuffix("s") for word in items.split(" or "))
    count = f"{len(reasons)} {items} were" if len(reasons) > 1 else f"1 {one} was"
    more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
    print_styled_line(console, (f"{count} skipped: {next(iter(reasons.values()))}{more}", "yellow"))


def check_html_path(option: str, page: Path, inputs: Sequence[Path] = ()) -> None:
    """Raises UsageError for a page that is not named as one, which might be a model or a picture by mistake, DataError
    where it cannot be written or is one of the inputs."""
    from saccade.data import output

    output.check_writable(page, inputs)
    is_stream = page.exists() and not page.is_file()
    if page.suffix.lower() not in (".html", ".htm") and not is_stream:
        raise UsageError(f"{option} {printable(page)}: the page is HTML: give a name that ends in .html")


def check_data(path: Path) -> None:
    """Raises DataError for a data set that is not there, before anything heavy is imported. "scenes..." is drawn."""
    if not path.exists() and not str(path).startswith("scenes"):
        raise DataError(f"{printable(path)} does not exist: give a folder or file of your data")
