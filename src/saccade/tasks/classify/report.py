"""Scores of a classifier on a data set, as numbers and as charts."""

from pathlib import Path

from saccade.data import ImageFolder
from saccade.device import Device
from saccade.errors import SaccadeError
from saccade.options import OnError
from saccade.tasks.classify.draw import draw_calibration
from saccade.tasks.classify.scores import confusion, score
from saccade.tasks.classify.task import ClassifyTask
from saccade.tasks.commands import Evaluation
from saccade.tasks.confusion import draw_confusion


def evaluate(
    task: ClassifyTask, data: Path, split: str | None, on_error: OnError, device: Device, out: Path
) -> Evaluation:
    """Accuracy, calibration and recall of each class; confusion.png and calibration.png go to `out`.

    Raises SaccadeError for a classifier of videos, for which no data sets are read."""
    if not isinstance(task, ClassifyTask):
        raise SaccadeError(
            f"{task.name} classifies videos, and val scores classifiers of pictures; predict reads videos"
        )
    dataset = ImageFolder(data, classes=task.labels, on_error=on_error, split=split)
    probabilities, labels = task.val(dataset, device)
    matrix = confusion(probabilities, labels)
    counts = zip(matrix.diagonal().tolist(), matrix.sum(dim=1).tolist(), strict=True)
    recall = [correct / total if total else None for correct, total in counts]
    per_class = dict(zip(task.labels, recall, strict=True))
    draw_confusion(matrix, task.labels).save(out / "confusion.png")
    draw_calibration(probabilities, labels).save(out / "calibration.png")
    scores = {"pictures": len(labels), "per_class": per_class, "skipped": dataset.skipped}
    return Evaluation({**score(probabilities, labels), **scores}, per_class)
