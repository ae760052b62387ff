"""`saccade train classify`, and what `val` and `predict` do with a classifier."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

from cyclopts import Parameter
from rich.table import Table

from saccade.cli import runs
from saccade.cli.asked import Asked
from saccade.cli.source import Source
from saccade.data import Picture
from saccade.device import Device
from saccade.errors import printable
from saccade.tasks import Classification, ClassifyRecipe, ClassifyTask
from saccade.tasks.classify.task import to_csv
from saccade.train import TrainConfig

__all__ = [
    "EACH",
    "IN_FRAMES",
    "SKIPS",
    "TAKES",
    "answer",
    "in_frame",
    "painter",
    "predicted",
    "table",
    "to_csv",
    "train",
    "val",
]

TAKES: tuple[str, ...] = ()  # options of `predict`
SKIPS = "pictures"
EACH = "found of each class"
IN_FRAMES = "frames"


def train(
    *,
    name: str = "classify",
    resume: Annotated[bool, Parameter(negative=())] = False,
    source: Annotated[Source | None, Parameter(name="*", group="Data")] = None,
    recipe: Annotated[ClassifyRecipe | None, Parameter(name="*", group="Model and augmentation")] = None,
    config: Annotated[TrainConfig | None, Parameter(name="*", group="Training")] = None,
) -> None:
    """Train a classifier on pictures in one folder a class (or a tar of them).

    The result is in runs/NAME: the model to use in model/, curves in log.jsonl and TensorBoard files, and what
    --resume needs in state/. On several processors or machines, start it with torchrun.

    Examples:

        saccade train classify --data pets/ --name pets

        saccade train classify --data pets/ --name pets --start cifar --epochs 50

        saccade train classify --name pets --resume

        torchrun --nproc-per-node 8 -m saccade train classify --data pets/

    Parameters
    ----------
    name
        Name of the run.
    resume
        Go on with the run of this name, with the options it was started with.
    """
    from saccade.data import splits
    from saccade.tasks import ClassifyTraining

    run = runs.begin(name, resume, source, recipe or ClassifyRecipe(), config)
    training, held = splits(run.data, run.source.val, fraction=run.source.hold_out, bad=run.source.bad)
    run.train(training, held, ClassifyTraining)


def val(
    task: ClassifyTask, data: Path, split: str | None, bad: Literal["skip", "fail"], place: Device, out: Path
) -> tuple[dict[str, Any], dict[str, float | None]]:
    """Scores for JSON, and those of each class to show; pictures of them go to `out`."""
    from saccade.data import ImageFolder
    from saccade.tasks.classify.draw import draw_calibration, draw_confusion
    from saccade.tasks.classify.task import confusion, score

    dataset = ImageFolder(data, classes=task.labels, bad=bad, split=split)
    said, truth = task.val(dataset, place)
    matrix = confusion(said, truth)
    counts = zip(matrix.diagonal().tolist(), matrix.sum(dim=1).tolist(), strict=True)
    each = [right / there if there else None for right, there in counts]  # a class without pictures has no score
    per_class = dict(zip(task.labels, each, strict=True))
    draw_confusion(matrix, task.labels).save(out / "confusion.png")
    draw_calibration(said, truth).save(out / "calibration.png")
    found = {**score(said, truth), "pictures": len(truth), "per_class": per_class, "skipped": dataset.skipped}
    return found, per_class


def table(results: list[Classification]) -> Table:
    """A picture a line."""
    shown = Table("picture", *(f"{i + 1}." for i in range(len(results[0].labels))))
    for result in results:
        pairs = zip(result.labels, result.probabilities, strict=True)
        shown.add_row(printable(result.name), *(f"{printable(label)} {share:.0%}" for label, share in pairs))
    return shown


def predicted(task: ClassifyTask, read: Iterable[Picture], asked: Asked) -> Iterator[Classification]:
    """The likeliest classes of each picture."""
    return task.predict_all(read, asked.top)


def painter(task: ClassifyTask, film: bool) -> NoReturn:
    """A class has no place to draw."""
    raise AssertionError("--draw is refused before")


def answer(result: Classification) -> Classification:
    """All of it."""
    return result


def in_frame(result: Classification) -> dict[str, float]:
    """The likeliest class."""
    return {result.label: 1.0}
