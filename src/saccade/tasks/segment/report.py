"""Scores of a segmenter on a data set, as numbers and as charts."""

from pathlib import Path
from typing import Any

from saccade.data.class_subset import SegmentClassSubset
from saccade.data.output import write_png
from saccade.data.scenes.scenes import SceneSegments
from saccade.data.segments.sets import open_segments
from saccade.device import Device
from saccade.options import AnnotatedValOptions, OnError
from saccade.tasks.commands import Evaluation
from saccade.tasks.held_out_data import evaluation_set
from saccade.tasks.scenes import evaluation_scenes
from saccade.tasks.segment.draw import draw_segment_confusion
from saccade.tasks.segment.mistakes import WorstBoundaries, draw_worst_boundaries
from saccade.tasks.segment.scores import SegmentScores
from saccade.tasks.segment.task import BaseSegmentTask, SegmentTask


def evaluate(
    task: BaseSegmentTask,
    data: Path,
    split: str | None,
    on_error: OnError,
    device: Device,
    out: Path,
    options: AnnotatedValOptions,
) -> Evaluation:
    """mIoU, Dice and boundary scores; confusion.png and borders.png go to `out`."""
    dataset, notes = _evaluation_set(task, data, split, on_error, options)
    total, worst, rows = SegmentScores(task.labels), WorstBoundaries(task.labels), list[dict[str, Any]]()
    for i, predicted, truth in task.val(dataset, device):
        scores = SegmentScores(task.labels)
        scores.add(predicted, truth, dataset.names[i])
        total = SegmentScores.from_sums(task.labels, total.sums + scores.sums)
        worst.add(i, predicted, truth, dataset.names[i])
        figures = {name: value for name, value in scores.result().items() if name != "per_class"}
        rows.append({"name": dataset.names[i], **figures})
    write_png(out / "confusion.png", draw_segment_confusion(total.confusion, task.labels))
    write_png(out / "borders.png", draw_worst_boundaries(worst, lambda i: dataset.picture(i).image, dataset.names))
    result = {**total.result(), "pictures": len(rows), "skipped": dataset.skipped}
    per_class = {name: one["IoU"] for name, one in result["per_class"].items()}
    return Evaluation(result, per_class, rows, [*notes, *dataset.notes])


def _evaluation_set(
    task: BaseSegmentTask, data: Path, split: str | None, on_error: OnError, options: AnnotatedValOptions
) -> tuple[Any, list[str]]:
    size = (task.preprocess.shortest or min(task.preprocess.size)) if isinstance(task, SegmentTask) else 128
    scenes = evaluation_scenes(data, size)
    if scenes is not None:
        drawn = SceneSegments(scenes)
        return (SegmentClassSubset(drawn, options.classes, task.labels) if options.classes else drawn), []

    def opened(split: str | None, classes: list[str] | None) -> Any:
        return open_segments(data, split=split, on_error=on_error, classes=classes, exif=options.exif)

    return evaluation_set(task, data, split, on_error, options.classes, opened, SegmentClassSubset)
