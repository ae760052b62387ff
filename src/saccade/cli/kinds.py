"""What the commands do with a model, by its task: for each task a module of this folder."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol, cast

from PIL import Image
from rich.table import Table

from saccade.cli import classify, detect, say, segment
from saccade.cli.asked import Asked
from saccade.data import Picture
from saccade.device import Device
from saccade.errors import SaccadeError
from saccade.tasks import load
from saccade.tasks.classify.task import ClassifyTask
from saccade.tasks.detect.task import FindsObjects
from saccade.tasks.segment.task import SegmentsPictures


class Kind(Protocol):
    """What such a module has.

    Attributes:
        TAKES: options of `predict` that not every task knows.
        SKIPS: what of a data set may be left out, in the plural.
        EACH: the score of each class that `val` shows.
        IN_FRAMES: what the mean of `in_frame` over a film is.
    """

    TAKES: tuple[str, ...]
    SKIPS: str
    EACH: str
    IN_FRAMES: str

    def val(
        self, task: Any, data: Path, split: str | None, bad: str, place: Device, out: Path
    ) -> tuple[dict[str, Any], dict[str, float | None]]:
        """Scores for JSON, and those of each class to show; pictures of them go to `out`."""

    def predicted(self, task: Any, read: Iterable[Picture], asked: Asked) -> Iterator[Any]:
        """An answer a picture, in order."""

    def painter(self, task: Any, film: bool) -> Callable[[Image.Image, Any], Image.Image]:
        """Draws an answer on its picture; one of a film's frames all at the same size. Only where TAKES has "draw"."""

    def answer(self, result: Any) -> Any:
        """As much of it as can be kept of many."""

    def in_frame(self, result: Any) -> dict[str, float]:
        """How much of each class there is in a frame, 0 to 1."""

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
