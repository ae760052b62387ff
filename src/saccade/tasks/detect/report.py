"""Scores of a detector on a data set, as numbers and as charts."""

from pathlib import Path
from typing import Any

from saccade.data.class_subset import ObjectClassSubset
from saccade.data.objects import ObjectAnnotations
from saccade.data.objects.plausibility import query_note
from saccade.data.objects.sets import open_objects
from saccade.data.output import write_png
from saccade.device import Device
from saccade.errors import DataError, UsageError, printable
from saccade.options import OnError
from saccade.tasks.bundled_models import is_bundled
from saccade.tasks.commands import Evaluation
from saccade.tasks.detect.draw import draw_detection_confusion, draw_pr_curves
from saccade.tasks.detect.mask_scores import mask_scores, max_detections_note, with_mask_scores
from saccade.tasks.detect.matches import detection_confusion, match
from saccade.tasks.detect.mistakes import draw_mistakes
from saccade.tasks.detect.options import DetectValOptions
from saccade.tasks.detect.result import Detections
from saccade.tasks.detect.scores import detection_scores, pr_curves, relation_scores
from saccade.tasks.detect.task import BaseDetectTask, DetectTask, filter_by_class
from saccade.tasks.detect.threshold import ScoredDetections, best_f1
from saccade.tasks.held_out_data import evaluation_set
from saccade.tasks.scenes import evaluation_scenes

NOTABLE = 0.02  # gain in F1 by another threshold that is worth a note


def evaluate(
    task: BaseDetectTask,
    data: Path,
    split: str | None,
    on_error: OnError,
    device: Device,
    out: Path,
    options: DetectValOptions,
) -> Evaluation:
    """mAP, of masks too where it finds them, F1, and recall of relations; curves.png, confusion.png and mistakes.png go
    to `out`. Confusions, errors and F1 are at the threshold of `predict` and `look`."""
    _check_keeps(task, options)
    dataset, notes = _evaluation_set(task, data, split, on_error, options)
    found, truth = task.val(dataset, device)
    if isinstance(task, DetectTask):
        counts = [int((~each.crowd).sum()) for each in truth if each.crowd is not None]
        notes += filter(None, [query_note(counts, task.queries)])
    if options.classes:
        found = [filter_by_class(one, [task.labels.index(name) for name in options.classes]) for one in found]
    scores: dict[str, Any] = detection_scores(found, truth, task.labels)
    bare = sum(each.planes is None for each in truth)
    if task.masks and bare:
        notes.append(f"{bare} of {len(truth)} pictures have objects without outlines: only boxes are scored, no masks")
    elif task.masks:
        scores = with_mask_scores(scores, mask_scores(found, truth, task.labels))
        notes += max_detections_note(scores)
    if task.relations and dataset.relations == task.relations:
        scores |= relation_scores(found, truth, task.relations)
    ranking = ScoredDetections(found, truth)
    notes += _keep_threshold(task, ranking, options)
    threshold = task.threshold
    scores |= _f1_scores(ranking, threshold)
    write_png(out / "curves.png", draw_pr_curves(pr_curves(found, truth, task.labels)))
    confusion = detection_confusion(found, truth, task.labels, threshold)
    write_png(out / "confusion.png", draw_detection_confusion(confusion, task.labels, threshold))
    read = [i for i in range(len(dataset)) if dataset.names[i] not in dataset.skipped]
    picture = lambda i: dataset.picture(read[i]).image  # noqa: E731
    write_png(out / "mistakes.png", draw_mistakes(picture, found, truth, task.labels, threshold))
    scores |= {"pictures": len(truth), "skipped": dataset.skipped}
    rows = [_row(dataset.names[i], one, o, threshold) for i, one, o in zip(read, found, truth, strict=True)]
    per_class = {name: one["mAP50"] for name, one in scores["per_class"].items()}
    return Evaluation(scores, per_class, rows, [*notes, *dataset.notes])


def _evaluation_set(
    task: BaseDetectTask, data: Path, split: str | None, on_error: OnError, options: DetectValOptions
) -> tuple[Any, list[str]]:
    scenes = evaluation_scenes(data, task.preprocess.size if isinstance(task, DetectTask) else 128)
    if scenes is not None:
        return (ObjectClassSubset(scenes, options.classes, task.labels) if options.classes else scenes), []

    def opened(split: str | None, classes: list[str] | None) -> Any:
        return open_objects(data, split, on_error, classes, task.relations or None, options.exif)

    return evaluation_set(task, data, split, on_error, options.classes, opened, ObjectClassSubset)


def _f1_scores(ranking: ScoredDetections, threshold: float) -> dict[str, float | None]:
    here = ranking.at_threshold(threshold)
    return {
        "threshold": threshold,
        "F1": None if here is None else here.f1,
        "precision": None if here is None else here.precision,
        "recall": None if here is None else here.recall,
        **{f"best_{name}": value for name, value in best_f1(ranking).items()},
    }


def _check_keeps(task: BaseDetectTask, options: DetectValOptions) -> None:
    """Raises UsageError for --keep-threshold with a model that cannot keep one."""
    if options.keep_threshold and not _can_keep(task):
        raise UsageError(
            f"--keep-threshold: {printable(task.name)} is no model of `saccade train` of your own; give its threshold "
            "to predict and look with --threshold"
        )


def _can_keep(task: BaseDetectTask) -> bool:
    return isinstance(task, DetectTask) and task.folder is not None and not is_bundled(task.folder)


def _keep_threshold(task: BaseDetectTask, ranking: ScoredDetections, options: DetectValOptions) -> list[str]:
    """Write the threshold of the best F1 to the model where it has none yet, or that is wanted. Returns notes on it."""
    best, here = ranking.best(), ranking.at_threshold(task.threshold)
    if best is None or here is None:
        return []
    kept = task.card.get("threshold") is not None
    wanted = not kept if options.keep_threshold is None else options.keep_threshold
    if isinstance(task, DetectTask) and wanted and _can_keep(task):
        try:
            task.update_card(threshold=best.threshold)
        except DataError as error:  # such as a folder that others own
            return [f"the threshold {best.threshold:g}, with the best F1 here, cannot be kept with the model: {error}"]
        return [
            f"the threshold {best.threshold:g}, with the best F1 here, is kept with the model: predict and look show "
            f"objects from it on (before: {here.threshold:g})"
        ]
    if best.f1 < here.f1 + NOTABLE:
        return []
    return [
        f"with --threshold {best.threshold:g} predict and look have an F1 of {best.f1:.3f} here, and {here.f1:.3f} at "
        f"{here.threshold:g}, from which on they show objects of this model"
    ]


def _row(name: str, found: Detections, truth: ObjectAnnotations, threshold: float) -> dict[str, Any]:
    """Numbers of objects, detections and errors of one picture, and its F1."""
    kinds = [each.kind for each in match(found, truth, threshold)]
    correct, missed = kinds.count("correct"), len([each for each in kinds if each == "missed"])
    shown = len(kinds) - missed
    objects = 0 if truth.crowd is None else int((~truth.crowd).sum())
    return {
        "name": name,
        "objects": objects,
        "found": shown,
        "correct": correct,
        "missed": objects - correct,
        "wrong_class": kinds.count("classification"),
        "badly_placed": kinds.count("localization"),
        "duplicate": kinds.count("duplicate"),
        "background": kinds.count("background"),
        "F1": 2 * correct / (shown + objects) if shown + objects else None,
    }
