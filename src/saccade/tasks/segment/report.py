"""Scores of a segmenter on a data set, as numbers and as charts."""

from pathlib import Path

from saccade.data.scenes.segments import SceneSegments
from saccade.data.segments import SegmentSet
from saccade.data.segments.sets import open_segments
from saccade.device import Device
from saccade.options import OnError
from saccade.tasks.commands import Evaluation
from saccade.tasks.scenes import evaluation_scenes
from saccade.tasks.segment.draw import draw_segment_confusion
from saccade.tasks.segment.mistakes import WorstBoundaries, draw_worst_boundaries
from saccade.tasks.segment.scores import SegmentScores
from saccade.tasks.segment.task import BaseSegmentTask, SegmentTask


def evaluate(
    task: BaseSegmentTask, data: Path, split: str | None, on_error: OnError, device: Device, out: Path
) -> Evaluation:
    """mIoU, Dice and boundary scores; confusion.png and borders.png go to `out`."""
    size = (task.preprocess.shortest or min(task.preprocess.size)) if isinstance(task, SegmentTask) else 128
    scenes = evaluation_scenes(data, size)
    dataset: SegmentSet
    if scenes is not None:
        dataset = SceneSegments(scenes)
    else:
        dataset = open_segments(data, split=split, on_error=on_error, classes=task.labels)
    scores, worst, count = SegmentScores(task.labels), WorstBoundaries(task.labels), 0
    for i, predicted, truth in task.val(dataset, device):
        scores.add(predicted, truth, dataset.names[i])
        worst.add(i, predicted, truth, dataset.names[i])
        count += 1
    draw_segment_confusion(scores.confusion, task.labels).save(out / "confusion.png")
    draw_worst_boundaries(worst, lambda i: dataset.picture(i).image, dataset.names).save(out / "borders.png")
    result = {**scores.result(), "pictures": count, "skipped": dataset.skipped}
    return Evaluation(result, {name: one["IoU"] for name, one in result["per_class"].items()})
