"""Results of `predict` as JSON, CSV, text or a table. They are written as they come, to disk where they are many: those
of a long video do not fit in memory."""

import json
import shutil
import sys
import tempfile
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from rich.table import Table

from saccade.cli import console
from saccade.errors import UsageError, printable
from saccade.language import localize_text
from saccade.tasks.commands import TaskCommands

if TYPE_CHECKING:
    from saccade.tasks.artifacts import Frame

Form = Literal["json", "csv", "text", "table"]
_IN_MEMORY = 1 << 22  # characters, before they go to disk


@dataclass
class VideoSummary:
    """Frames of a video so far: how many, the time of the last one, and the sum of each class's scores."""

    frames: int = 0
    end: Fraction = Fraction(0)
    scores: dict[str, float] = field(default_factory=dict)


class ResultWriter:
    """Takes results one by one, then prints or writes all of them: `with ResultWriter(...) as results`.

    form: "json", "csv", "text" (a line each), or "table": results of pictures in full, of videos as a summary. about:
    lines above and below a table.
    """

    def __init__(self, commands: TaskCommands, form: Form, about: tuple[str, str] = ("", "")) -> None:
        self.commands, self.form, self.about, self.count = commands, form, about, 0
        self._pictures: list[Any] = []
        self._videos: dict[str, VideoSummary] = {}
        self._text = tempfile.SpooledTemporaryFile(_IN_MEMORY, "w+", encoding="utf-8", newline="")  # noqa: SIM115

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._text.close()

    def add(self, frame: "Frame", result: Any) -> None:
        """The next result."""
        if self.form == "json":
            self._text.write(", " if self.count else "[")
            self._text.write(json.dumps(_record(frame, result), ensure_ascii=False))
        elif self.form == "csv":
            table = self.commands.to_csv([result])
            self._text.write(table.split("\n", 1)[1] if self.count else table)  # its header is one line
        elif self.form == "text":
            self._text.write(f"{result}\n")
        elif frame.video is None:
            self._pictures.append(self.commands.compact(result))
        else:
            video = self._videos.setdefault(frame.video.name, VideoSummary())
            video.frames, video.end = video.frames + 1, frame.time
            for label, score in self.commands.frame_scores(result).items():
                video.scores[label] = video.scores.get(label, 0) + score
        self.count += 1

    def finish(self, out: Path | None) -> None:
        """Write all results to a file, or print them."""
        if self.form == "json":
            self._text.write("]\n")
        self._text.seek(0)
        if out is not None:
            self._save(out)
            console.print_styled_line(console.stderr(), f"Results: {self.count}, in {out}")
        elif self.form != "table":
            if sys.stdout is None:  # closed by the parent process
                raise UsageError("standard output is closed, and the results were to be printed there: give --out FILE")
            shutil.copyfileobj(self._text, sys.stdout)
        else:
            if self._pictures:
                self._print_table(self.commands.table(self._pictures))
            if self._videos:
                console.stdout().print(self._video_table())

    def _print_table(self, table: Table) -> None:
        stdout, (above, below) = console.stdout(), self.about
        if above:
            console.print_styled_line(stdout, (above, "dim"))
        stdout.print(table)
        if below:
            console.print_styled_line(stdout, (below, "dim"))

    def _save(self, out: Path) -> None:
        from saccade.data import output

        with output.atomic_write(out) as file:
            try:
                while piece := self._text.read(1 << 20):
                    file.write(piece.encode())
            except OSError as error:
                raise output.make_write_error(out, error) from error

    def _video_table(self) -> Table:
        """A class of a video a row, the most frequent first."""
        table = Table("video", "frames", "seconds", "class", self.commands.frame_score)
        for name, video in self._videos.items():
            scores = sorted(video.scores.items(), key=lambda item: -item[1])
            rows = [(printable(label), f"{score / video.frames:.1%}") for label, score in scores]
            for i, row in enumerate(rows or [(localize_text("nothing found"), "")]):
                head = (printable(name), str(video.frames), f"{float(video.end):.2f}") if i == 0 else ("", "", "")
                table.add_row(*head, *row)
        return table


def _record(frame: "Frame", result: Any) -> dict[str, Any]:
    if frame.video is None:
        return result.to_dict()
    return {**result.to_dict(), "name": frame.video.name, "frame": frame.index, "time": round(float(frame.time), 6)}
