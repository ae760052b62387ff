"""Logging of a run: progress bar, JSON lines, TensorBoard."""

import json
import os
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from tqdm.auto import tqdm

from saccade.data.output import convert_os_errors, remove_leftovers, write_file
from saccade.errors import in_one_line
from saccade.language import localize_text


class RunLog:
    """Writes log.jsonl and TensorBoard events into the run's folder, and updates the bar. Does nothing
    outside the main process.

    Args:
        steps: of the whole run; None where that is not known.
        start, validated: updates before this process, and before the last validation.
    """

    def __init__(self, folder: Path, steps: int | None, start: int, validated: int, main: bool):
        self.main = main
        if not main:
            return
        self.file = folder / "log.jsonl"
        self.lines = _open_log(self.file, start, validated)
        with convert_os_errors(folder):
            self.board, why = _open_board(folder, start)
        self.bar = tqdm(total=steps, initial=start, unit="step", dynamic_ncols=True, smoothing=0.05)
        self.begun = time.monotonic()
        self.notes(why and f"no TensorBoard files are written ({why})")

    def step(self, step: int, loss: float, last: bool, **numbers: float) -> None:
        """Log one update. last: of the run."""
        if not self.main:
            return
        self.bar.update(step - self.bar.n)
        self.bar.set_postfix(loss=f"{loss:.3f}", **{k: f"{v:.3g}" for k, v in numbers.items()}, refresh=False)
        if step % 20 == 0 or last:
            self._write(step, {"loss": loss, **numbers})

    def log_scores(self, step: int, epoch: float, scores: dict[str, float | None], size: int | None = None) -> None:
        """Log validation scores, at full size; None is "n/a". size: current size of training images, if smaller."""
        if not self.main:
            return
        shown = format_scores(scores)
        smaller = {} if size is None else {"size": size}
        lags = f"  (still trained at {size} pixels, and judged at full size)" if smaller else ""
        self.bar.write(localize_text(f"epoch {epoch}: {shown}{lags}"))
        self._write(step, {"epoch": epoch, **smaller, **{f"val/{k}": v for k, v in scores.items()}})

    def say(self, line: str) -> None:
        """Print a line above the bar."""
        if self.main:
            self.bar.write(localize_text(line))

    def notes(self, *notes: str) -> None:
        """Print those that are not empty."""
        for note in filter(None, notes):
            self.say(f"note: {note}")

    def log_estimate(self, step: int, line: str, numbers: dict[str, float]) -> None:
        """Print and log how long the run will take."""
        if self.main:
            self.bar.write(localize_text(f"note: {line}"), file=sys.stderr)
            self._write(step, numbers)

    def sync(self) -> None:
        """Wait until all lines are on disk."""
        if self.main:
            os.fsync(self.lines.fileno())

    def close(self) -> None:
        """Close all files. Lines that a full disk does not take are lost; it was an error when they were written."""
        if self.main:
            self.bar.close()
            for opened in filter(None, (self.board, self.lines)):
                with suppress(OSError):
                    opened.close()

    def _write(self, step: int, values: dict[str, Any]) -> None:
        seconds = round(time.monotonic() - self.begun, 1)
        with convert_os_errors(self.file):
            self.lines.write(json.dumps({"step": step, "seconds": seconds, **values}) + "\n")
            for key, value in values.items():
                if self.board is not None and value is not None:
                    self.board.add_scalar(key if "/" in key else f"train/{key}", value, step)


def _open_board(folder: Path, start: int) -> tuple[Any, str]:
    """The writer of TensorBoard files, or None and why: it imports what else is installed, which may be broken."""
    try:
        from torch.utils.tensorboard import SummaryWriter

        return SummaryWriter(str(folder), purge_step=start + 1), ""
    except OSError:  # of the disk
        raise
    except Exception as error:
        return None, f"{type(error).__name__}: {in_one_line(error)}"


def format_scores(scores: Mapping[str, float | None]) -> str:
    """On one line, with four decimals; "n/a" where there is nothing to score."""
    return "  ".join(f"{name} {'n/a' if value is None else f'{value:.4f}'}" for name, value in scores.items())


def _open_log(file: Path, start: int, validated: int) -> TextIO:
    """The log opened for appending, with the lines up to where the run resumes: later ones, and one cut off when the
    run was killed, belong to what is repeated."""
    kept = []
    if start and file.is_file():
        for line in file.read_bytes().splitlines():
            try:
                values = json.loads(line)
                if values["step"] <= (validated if "epoch" in values else start):
                    kept.append(line + b"\n")
            except (ValueError, LookupError, TypeError, RecursionError):
                continue
    remove_leftovers(file)
    write_file(file, b"".join(kept))
    return file.open("a", buffering=1, encoding="utf-8")
