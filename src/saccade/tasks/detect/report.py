"""Scores of a detector on a data set, as numbers and as charts."""

from pathlib import Path
from typing import Any

from saccade.data.objects import ObjectSet
from saccade.data.objects.sets import open_objects
from saccade.device import Device
from saccade.options import OnError
from saccade.tasks.commands import Evaluation
from saccade.tasks.detect.draw import draw_detection_confusion, draw_pr_curves
from saccade.tasks.detect.matches import detection_confusion
from saccade.tasks.detect.mistakes import draw_mistakes
from saccade.tasks.detect.scores import detection_scores, pr_curves, relation_scores
from saccade.tasks.detect.task import BaseDetectTask, DetectTask
from saccade.tasks.scenes import evaluation_scenes


def evaluate(
    task: BaseDetectTask, data: Path, split: str | None, on_error: OnError, device: Device, out: Path
) -> Evaluation:
    """mAP, and recall of relations; curves.png, confusion.png and mistakes.png go to `out`."""
    dataset: ObjectSet | None = evaluation_scenes(data, task.preprocess.size if isinstance(task, DetectTask) else 128)
    if dataset is None:
        dataset = open_objects(
            data, split=split, on_error=on_error, classes=task.labels, relations=task.relations or None
        )
    found, truth = task.val(dataset, device)
    scores: dict[str, Any] = detection_scores(found, truth, task.labels)
    if task.relations and dataset.relations == task.relations:
        scores |= relation_scores(found, truth, task.relations)
    draw_pr_curves(pr_curves(found, truth, task.labels)).save(out / "curves.png")
    draw_detection_confusion(detection_confusion(found, truth, task.labels), task.labels).save(out / "confusion.png")
    read = [i for i in range(len(dataset)) if dataset.names[i] not in dataset.skipped]
    draw_mistakes(lambda i: dataset.picture(read[i]).image, found, truth, task.labels).save(out / "mistakes.png")
    scores |= {"pictures": len(truth), "skipped": dataset.skipped}
    return Evaluation(scores, {name: one["mAP50"] for name, one in scores["per_class"].items()})
