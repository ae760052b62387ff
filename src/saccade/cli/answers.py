"""The answers of `predict` as JSON, CSV, text or a table. They are put together as they come, on disk where they are
many: those of a long film would not fit in memory."""

import json
import shutil
import sys
import tempfile
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from rich.table import Table

from saccade.cli import say
from saccade.cli.kinds import Kind
from saccade.cli.shots import Shot
from saccade.data import output
from saccade.errors import printable

Form = Literal["json", "csv", "text", "table"]
_IN_MEMORY = 1 << 22  # letters, before they go to disk


@dataclass
class Summary:
    """What a film shows: for each class the sum, over frames, of its share."""

    frames: int = 0
    end: Fraction = Fraction(0)
    shares: dict[str, float] = field(default_factory=dict)


class Answers:
    """Takes answers one by one, then says or writes all of them: `with Answers(...) as answers`.

    form: "json", "csv", "text" (a line each), or "table": a picture's answer in full, a film's summed up.
    """

    def __init__(self, kind: Kind, form: Form) -> None:
        self.kind, self.form, self.count = kind, form, 0
        self._pictures: list[Any] = []
        self._films: dict[str, Summary] = {}
        self._said = tempfile.SpooledTemporaryFile(_IN_MEMORY, "w+", encoding="utf-8", newline="")  # noqa: SIM115

    def __enter__(self) -> "Answers":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._said.close()

    def add(self, shot: Shot, result: Any) -> None:
        """The next one."""
        if self.form == "json":
            self._said.write(", " if self.count else "[")
            self._said.write(json.dumps(_record(shot, result), ensure_ascii=False))
        elif self.form == "csv":
            table = self.kind.to_csv([result])
            self._said.write(table.split("\n", 1)[1] if self.count else table)  # its head is a line
        elif self.form == "text":
            self._said.write(f"{result}\n")
        elif shot.film is None:
            self._pictures.append(self.kind.answer(result))
        else:
            film = self._films.setdefault(shot.film.name, Summary())
            film.frames, film.end = film.frames + 1, shot.time
            for label, share in self.kind.in_frame(result).items():
                film.shares[label] = film.shares.get(label, 0) + share
        self.count += 1

    def tell(self, out: Path | None) -> None:
        """Write them to a file, or say them."""
        if self.form == "json":
            self._said.write("]\n")
        self._said.seek(0)
        if out is not None:
            with output.whole(out) as file:
                try:
                    while piece := self._said.read(1 << 20):
                        file.write(piece.encode())
                except OSError as error:
                    raise output.unwritable(out, error) from error
        elif self.form != "table":
            shutil.copyfileobj(self._said, sys.stdout)
        else:
            if self._pictures:
                say.to().print(self.kind.table(self._pictures))
            if self._films:
                say.to().print(self._summed_up())

    def _summed_up(self) -> Table:
        """A class of a film a line, the most frequent first."""
        shown = Table("film", "frames", "seconds", "class", self.kind.IN_FRAMES)
        for name, film in self._films.items():
            shares = sorted(film.shares.items(), key=lambda item: -item[1])
            lines = [(printable(label), f"{share / film.frames:.1%}") for label, share in shares]
            for i, line in enumerate(lines or [("nothing found", "")]):
                about = (printable(name), str(film.frames), f"{float(film.end):.2f}") if i == 0 else ("", "", "")
                shown.add_row(*about, *line)
        return shown


def _record(shot: Shot, result: Any) -> dict[str, Any]:
    if shot.film is None:
        return result.to_dict()
    return {**result.to_dict(), "name": shot.film.name, "frame": shot.frame, "time": round(float(shot.time), 6)}
