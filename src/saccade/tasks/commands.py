"""What a task tells the command line: its options, how its data is read, how its results are shown.

A task's folder holds `commands.py` with one instance of a subclass, `COMMANDS`. Such a module is imported for `--help`,
so PyTorch is imported inside its methods only.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from rich.table import Table

from saccade.errors import UsageError, printable
from saccade.lazy import resolve_name
from saccade.options import DataOptions, OnError, Options

if TYPE_CHECKING:
    from saccade.data import Picture
    from saccade.device import Device
    from saccade.tasks.artifacts import ArtifactWriter
    from saccade.tasks.saved import TrainedTask
    from saccade.tasks.training import Training


@dataclass(frozen=True)
class Evaluation:
    """Result of `val`.

    Attributes:
        scores: goes to scores.json; numbers at the top level are printed. Holds "pictures" (how many were scored) and
            "skipped" (name of a picture -> why it was left out).
        bars: a score, 0 to 1, for each row of the bar chart below the scores; None where it is undefined.
        rows: what goes to pictures.csv: the scores of each picture, under the same names.
        notes: on what was scored, one sentence each.
    """

    scores: dict[str, Any]
    bars: dict[str, float | None]
    rows: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class DrawOptions(Options):
    """Of tasks whose results can be drawn on the pictures."""

    draw: Path | None = None
    """Folder for the pictures with their results drawn on them; of a video, an MP4 without sound with the frame times
    of the original."""


class TaskCommands:
    """Base of what every task tells the command line.

    Attributes:
        name: of the command `saccade train NAME`, and `kind` of the task's models.
        help: of `saccade train NAME`, in Markdown, with examples.
        data_options: options of the training data.
        recipe: options of the model and its training.
        predict_options, val_options: options of `predict` and `val` that only some tasks have.
        evaluates: for the help of `val`: scores and data formats, one sentence.
        items: what of a data set can be skipped, in the plural.
        bars_title: heading of the bar chart of `val`.
        frame_score: heading of the mean of `frame_scores` over a video.
        task, trainer: "module:Class" of the task's own models, as `saccade.load` opens them, and of what
            `saccade.train.train` runs.
        report: "module:function" of the scores of a model on a data set, called as `evaluate`.
        view: "module:Class" of what `look` shows; None for the attention alone.
        exported: "module:Class" of its models in files of inference engines (`saccade.tasks.exported.ExportedTask`);
            None for a task that exports none.
        example: "module:function" that draws a picture of a data set with its annotations, as `draw_data_sheet` calls
            it; None for no sheet.
        examines: kinds of the sets that `saccade doctor` examines and that `example` draws.
    """

    name: ClassVar[str]
    help: ClassVar[str]
    data_options: ClassVar[type[DataOptions]] = DataOptions
    recipe: ClassVar[type[Options]] = Options
    predict_options: ClassVar[type[Options]] = Options
    val_options: ClassVar[type[Options]] = Options
    evaluates: ClassVar[str] = ""
    items: ClassVar[str] = "pictures"
    bars_title: ClassVar[str] = "scores"
    frame_score: ClassVar[str] = "frames"
    task: ClassVar[str]
    trainer: ClassVar[str]
    report: ClassVar[str]
    view: ClassVar[str | None] = None
    exported: ClassVar[str | None] = None
    example: ClassVar[str | None] = None
    examines: ClassVar[tuple[str, ...]] = ()

    def task_class(self) -> "type[TrainedTask]":
        """The class that `task` names."""
        return resolve_name(self.task)

    def training(self) -> "type[Training]":
        """The class that `trainer` names."""
        return resolve_name(self.trainer)

    def load_for(self, model: str, given: set[str]) -> Any | None:
        """The model, where these options of `predict` ask for another reading of it than `saccade.load`'s, else
        None."""
        return None

    def open_splits(self, options: Any, recipe: Any, seed: int) -> tuple[Any, Any]:
        """The training and the validation set."""
        raise NotImplementedError

    def evaluate(
        self, task: Any, data: Path, split: str | None, on_error: OnError, device: "Device", out: Path, options: Any
    ) -> Evaluation:
        """Scores of a model on a data set; charts go to the folder `out`."""
        return resolve_name(self.report)(task, data, split, on_error, device, out, options)

    def predict(self, task: Any, pictures: "Iterable[Picture]", options: Any, batch: int) -> Iterator[Any]:
        """A result for each picture, in order; at most `batch` pictures are in memory at once."""
        return task.predict_all(pictures)

    def about(self, task: Any) -> tuple[str, str]:
        """What a reader of a table of results should know of the model: a line above it and one below it, or ""."""
        return "", ""

    def writers(self, task: Any, options: Any, files: Sequence[Path]) -> "list[ArtifactWriter]":
        """Writers of the files that `predict` makes beside its results. Raises before any work where a file is in the
        way."""
        return []

    def compact(self, result: Any) -> Any:
        """As much of a result as is kept until all of them are printed."""
        return result

    def frame_scores(self, result: Any) -> dict[str, float]:
        """A score, 0 to 1, for each class that a frame of a video shows."""
        return {}

    def table(self, results: list[Any]) -> Table:
        """Results for the terminal; by default a row of the values of `to_dict` for each."""
        table = Table(*results[0].to_dict())
        for result in results:
            table.add_row(*(printable(value) for value in result.to_dict().values()))
        return table

    def csv_header(self, result: Any) -> list[str]:
        """Names of the columns."""
        return list(result.to_dict())

    def csv_rows(self, result: Any) -> Iterator[list[str]]:
        """Rows of one result."""
        yield [str(value) for value in result.to_dict().values()]

    def to_csv(self, results: Iterable[Any]) -> str:
        """A table with a header. Cells that spreadsheets would take for formulas have an apostrophe in front."""
        from saccade.data.output import csv_cell, csv_table

        rows: list[list[str]] = []
        for result in results:
            rows += [] if rows else [self.csv_header(result)]
            rows += [[csv_cell(row[0]), *row[1:]] for row in self.csv_rows(result)]
        return csv_table(rows)


def check_distinct_paths(**options: Path | None) -> None:
    """Raises UsageError for two options that name the same folder or file."""
    seen: dict[Path, str] = {}
    for name, path in options.items():
        if path is not None:
            other = seen.setdefault(path.absolute(), name)
            if other != name:
                raise UsageError(f"--{other} and --{name} name the same folder: choose another for one of them")
