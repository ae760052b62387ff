"""Logging of a run: progress bar, JSON lines, TensorBoard."""

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from torch.utils.tensorboard import SummaryWriter
from tqdm.auto import tqdm


class RunLog:
    """Writes log.jsonl and TensorBoard events into the run's folder, and updates the bar. Does nothing
    outside the main process."""

    def __init__(self, folder: Path, steps: int, start: int, main: bool):
        self.main = main
        if not main:
            return
        self.lines = _open_log(folder / "log.jsonl", start)
        self.board = SummaryWriter(str(folder), purge_step=start or None)
        self.bar = tqdm(total=steps, initial=start, unit="step", dynamic_ncols=True, smoothing=0.05)
        self.begun = time.monotonic()

    def step(self, step: int, loss: float, **numbers: float) -> None:
        """Log one update."""
        if not self.main:
            return
        self.bar.update(step - self.bar.n)
        self.bar.set_postfix(loss=f"{loss:.3f}", **{k: f"{v:.3g}" for k, v in numbers.items()}, refresh=False)
        if step % 20 == 0 or step == self.bar.total:
            self._write(step, {"loss": loss, **numbers})

    def scores(self, step: int, epoch: int, scores: dict[str, float | None], size: int | None = None) -> None:
        """Log validation scores, at full size; None is "n/a". size: current size of training images, if smaller."""
        if not self.main:
            return
        shown = format_scores(scores)
        smaller = {} if size is None else {"size": size}
        lags = f"  (still trained at {size} pixels, and judged at full size)" if smaller else ""
        self.bar.write(f"epoch {epoch}: {shown}{lags}")
        self._write(step, {"epoch": epoch, **smaller, **{f"val/{k}": v for k, v in scores.items()}})

    def say(self, line: str) -> None:
        """Print a line above the bar."""
        if self.main:
            self.bar.write(line)

    def close(self) -> None:
        if self.main:
            self.bar.close()
            self.board.close()
            self.lines.close()

    def _write(self, step: int, values: dict[str, Any]) -> None:
        seconds = round(time.monotonic() - self.begun, 1)
        self.lines.write(json.dumps({"step": step, "seconds": seconds, **values}) + "\n")
        for key, value in values.items():
            if value is not None:
                self.board.add_scalar(key if "/" in key else f"train/{key}", value, step)


def format_scores(scores: Mapping[str, float | None]) -> str:
    """On one line, with four decimals; "n/a" where there is nothing to score."""
    return "  ".join(f"{name} {'n/a' if value is None else f'{value:.4f}'}" for name, value in scores.items())


def _open_log(file: Path, start: int) -> TextIO:
    """The log opened for appending, truncated to the step the run resumes from: later lines, and one cut off when the
    run was killed, belong to steps that are repeated."""
    kept = []
    if start and file.is_file():
        for line in file.read_text().splitlines():
            try:
                kept += [line + "\n"] if json.loads(line)["step"] <= start else []
            except (ValueError, LookupError, TypeError):
                continue
    whole = file.with_suffix(".partial")
    whole.write_text("".join(kept))
    os.replace(whole, file)
    return file.open("a", buffering=1)
