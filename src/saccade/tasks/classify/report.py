"""Scores of a classifier on a data set, as numbers and as charts."""

from pathlib import Path
from typing import Any

from torch import Tensor

from saccade.data import ImageFolder
from saccade.data.class_subset import keep_classes
from saccade.data.output import write_png
from saccade.device import Device
from saccade.errors import SaccadeError
from saccade.options import ClassValOptions, OnError
from saccade.tasks.classify.confidence import MARGIN, margin
from saccade.tasks.classify.draw import draw_calibration
from saccade.tasks.classify.ood import OODDetector
from saccade.tasks.classify.scores import classification_scores, confusion
from saccade.tasks.classify.task import ClassifyTask
from saccade.tasks.commands import Evaluation
from saccade.tasks.confusion import draw_confusion
from saccade.tasks.held_out_data import evaluation_set


def evaluate(
    task: ClassifyTask,
    data: Path,
    split: str | None,
    on_error: OnError,
    device: Device,
    out: Path,
    options: ClassValOptions,
) -> Evaluation:
    """Accuracy, calibration and recall of each class; confusion.png and calibration.png go to `out`.

    Raises SaccadeError for a classifier of videos, for which no data sets are read."""
    if not isinstance(task, ClassifyTask):
        raise SaccadeError(
            f"{task.name} classifies videos, and val scores classifiers of pictures; predict reads videos"
        )

    def opened(split: str | None, classes: list[str] | None) -> ImageFolder:
        return ImageFolder(data, classes=classes, on_error=on_error, split=split)

    dataset, notes = evaluation_set(task, data, split, on_error, options.classes, opened, keep_classes)
    probabilities, labels, ood_scores = task.val(dataset, device)
    matrix = confusion(probabilities, labels)
    counts = zip(matrix.diagonal().tolist(), matrix.sum(dim=1).tolist(), strict=True)
    recall = [correct / total if total else None for correct, total in counts]
    per_class = dict(zip(task.labels, recall, strict=True))
    write_png(out / "confusion.png", draw_confusion(matrix, task.labels))
    write_png(out / "calibration.png", draw_calibration(probabilities, labels))
    scores: dict[str, Any] = {"pictures": len(labels), "per_class": per_class, "skipped": dataset.skipped}
    names = [name for name in dataset.names if name not in dataset.skipped]
    rows = _rows(names, probabilities, labels, task.labels)
    if ood_scores is not None:
        for row, ood_score in zip(rows, ood_scores.tolist(), strict=True):
            row["out_of_distribution_score"] = ood_score
    scores |= _flagged(task.ood_at_this_size, probabilities, ood_scores)
    return Evaluation(
        {**classification_scores(probabilities, labels), **scores}, per_class, rows, [*notes, *dataset.notes]
    )


def _flagged(detector: OODDetector | None, probabilities: Tensor, ood_scores: Tensor | None) -> dict[str, float]:
    """Shares of pictures whose answer is called unsure, and that are called out of distribution."""
    least = MARGIN if detector is None else detector.margin
    shares = {"unsure": (margin(probabilities) < least).double().mean().item()}
    if detector is not None and ood_scores is not None:
        shares["out_of_distribution"] = (ood_scores > detector.threshold).double().mean().item()
    return shares


def _rows(names: list[str], probabilities: Tensor, truth: Tensor, classes: list[str]) -> list[dict[str, Any]]:
    """True and predicted class of each picture with their probabilities."""
    best, predicted = probabilities.max(dim=1)
    true = probabilities.gather(1, truth[:, None])[:, 0]
    columns = zip(names, truth.tolist(), predicted.tolist(), best.tolist(), true.tolist(), strict=True)
    return [
        {"name": name, "true": classes[t], "predicted": classes[p], "correct": int(t == p),
         "probability": sure, "true_probability": of_true}
        for name, t, p, sure, of_true in columns
    ]  # fmt: skip
