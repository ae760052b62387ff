"""What the commands do with a model, by its task: for each task a module of this folder."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, cast

from rich.table import Table

from saccade.cli import classify, detect, say, segment
from saccade.cli.asked import Asked
from saccade.data import Picture
from saccade.device import Device
from saccade.errors import SaccadeError
from saccade.tasks import load
from saccade.tasks.classify import ClassifyTask
from saccade.tasks.detect import FindsObjects
from saccade.tasks.segment import SegmentsPictures


class Kind(Protocol):
    """What such a module has.

    Attributes:
        TAKES: options of `predict` that not every task knows.
        SKIPS: what of a data set may be left out, in the plural.
        EACH: the score of each class that `val` shows.
    """

    TAKES: tuple[str, ...]
    SKIPS: str
    EACH: str

    def val(
        self, task: Any, data: Path, split: str | None, bad: str, place: Device, out: Path
    ) -> tuple[dict[str, Any], dict[str, float | None]]:
        """Scores for JSON, and those of each class to show; pictures of them go to `out`."""

    def predicted(self, task: Any, read: Iterable[Picture], files: Sequence[Path], asked: Asked) -> Iterator[Any]:
        """An answer a picture. files: those of the pictures read so far, in order; it grows as `read` is read."""

    def table(self, results: list[Any]) -> Table:
        """For the screen."""

    def to_csv(self, results: Iterable[Any]) -> str:
        """For spreadsheets."""


KINDS: tuple[tuple[type, Any], ...] = (
    (ClassifyTask, classify),
    (FindsObjects, detect),
    (SegmentsPictures, segment),
)


def usable(model: str) -> tuple[Any, Kind]:
    """A model that has something to say of pictures, and what to do with it; what was assumed is said. Raises
    SaccadeError for a model without a head."""
    task = load(model)
    for known, module in KINDS:
        if isinstance(task, known):
            for note in task.notes:
                say.note(say.to(stderr=True), note)
            return task, cast(Kind, module)
    raise SaccadeError(f"{model} has no head to predict with; `saccade look` can look into it")
