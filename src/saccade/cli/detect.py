"""`saccade train detect`, and what `val` and `predict` do with a detector."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from PIL import Image
from rich.table import Table

from saccade.cli import runs
from saccade.cli.asked import Asked
from saccade.cli.scenes import CHOOSING, HELD_OUT, JUDGING, scenes_asked_for
from saccade.cli.source import Source
from saccade.data import Picture
from saccade.data.objects import ObjectSet
from saccade.data.output import csv_cell
from saccade.device import Device
from saccade.errors import printable
from saccade.tasks import DetectRecipe
from saccade.tasks.detect.task import Detection, DetectTask, FindsObjects
from saccade.train import TrainConfig

TAKES = ("draw",)  # options of `predict`
SKIPS = "pictures or annotations"
EACH = "mAP50 of each class"
IN_FRAMES = "frames with it"


def train(
    *,
    name: str = "detect",
    resume: Annotated[bool, Parameter(negative=())] = False,
    source: Annotated[Source | None, Parameter(name="*", group="Data")] = None,
    recipe: Annotated[DetectRecipe | None, Parameter(name="*", group="Model and augmentation")] = None,
    config: Annotated[TrainConfig | None, Parameter(name="*", group="Training")] = None,
) -> None:
    """Train a detector on pictures with boxes: COCO JSON, Pascal VOC or YOLO files.

    --data scenes trains on pictures drawn without end, scenes:5000 with 5,000 of them an epoch. The result is in
    runs/NAME: the model to use in model/, curves in log.jsonl and TensorBoard files, and what --resume needs in state/.

    Examples:

        saccade train detect --data cells/ --name cells --start runs/scenes

        saccade train detect --data scenes --size 128 --queries 30 --name scenes

        saccade train detect --name cells --resume

    Parameters
    ----------
    name
        Name of the run.
    resume
        Go on with the run of this name, with the options it was started with.
    """
    from saccade.data.objects.sets import object_splits
    from saccade.data.scenes import Scenes
    from saccade.tasks.detect.training import DetectTraining

    run = runs.begin(name, resume, source, recipe or DetectRecipe(), config)
    training: ObjectSet
    held: ObjectSet
    drawn, size = scenes_asked_for(run.data), run.recipe.size
    if drawn is not None:
        training, held = Scenes(drawn, size, seed=run.config.seed + 1), Scenes(HELD_OUT, size, seed=CHOOSING)
    else:
        training, held = object_splits(run.data, run.source.val, run.source.hold_out, bad=run.source.bad)
    run.train(training, held, DetectTraining, SKIPS)


def val(
    task: FindsObjects, data: Path, split: str | None, bad: str, place: Device, out: Path
) -> tuple[dict[str, Any], dict[str, float | None]]:
    """Scores for JSON, and those of each class to show; pictures of them go to `out`."""
    from saccade.data.objects.sets import open_objects
    from saccade.data.scenes import Scenes
    from saccade.tasks.detect.draw import draw_detection_confusion, draw_pr_curves
    from saccade.tasks.detect.matches import detection_confusion
    from saccade.tasks.detect.mistakes import draw_mistakes
    from saccade.tasks.detect.scores import detection_scores, pr_curves, relation_scores

    drawn = scenes_asked_for(data)
    dataset: ObjectSet
    if drawn is not None:
        size = task.preprocess.size if isinstance(task, DetectTask) else 128
        dataset = Scenes(drawn if ":" in str(data) else HELD_OUT, size, seed=JUDGING)
    else:
        dataset = open_objects(data, split=split, bad=bad, classes=task.labels, relations=task.relations or None)
    found, truth = task.val(dataset, place)
    result: dict[str, Any] = detection_scores(found, truth, task.labels)
    if task.relations and dataset.relations == task.relations:
        result |= relation_scores(found, truth, task.relations)
    draw_pr_curves(pr_curves(found, truth, task.labels)).save(out / "curves.png")
    draw_detection_confusion(detection_confusion(found, truth, task.labels), task.labels).save(out / "confusion.png")
    pictures = [i for i in range(len(dataset)) if dataset.names[i] not in dataset.skipped]
    draw_mistakes(lambda i: dataset.picture(pictures[i]).image, found, truth, task.labels).save(out / "mistakes.png")
    result |= {"pictures": len(truth), "skipped": dataset.skipped}
    each = {name: one["mAP50"] for name, one in result["per_class"].items()}
    return result, each


def table(results: list[Detection]) -> Table:
    """An object a line."""
    shown = Table("picture", "object", "sure", "left", "top", "right", "bottom")
    for result in results:
        rows = zip(result.labels, result.found.scores.tolist(), result.found.boxes.tolist(), strict=True)
        lines = [(printable(label), f"{score:.0%}", *(f"{edge:.1f}" for edge in box)) for label, score, box in rows]
        for i, line in enumerate(lines or [("nothing found", "", "", "", "", "")]):
            shown.add_row(printable(result.name) if i == 0 else "", *line)
    return shown


def to_csv(results: Iterable[Detection]) -> str:
    """A line an object: name, label, score, left, top, right, bottom."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["name", "label", "score", "left", "top", "right", "bottom"])
    for result in results:
        for label, score, box in zip(
            result.labels, result.found.scores.tolist(), result.found.boxes.tolist(), strict=True
        ):
            edges = [f"{edge:.2f}" for edge in box]
            writer.writerow([csv_cell(result.name), csv_cell(label), f"{score:.6f}", *edges])
    return out.getvalue()


def predicted(task: FindsObjects, read: Iterable[Picture], asked: Asked) -> Iterator[Detection]:
    """What is found in each picture."""
    return task.predict_all(read, asked.threshold, asked.batch)


def painter(task: FindsObjects, film: bool) -> Callable[[Image.Image, Detection], Image.Image]:
    """Draws boxes and relations on a picture."""
    from saccade.tasks.detect.draw import draw_detections

    return lambda image, result: draw_detections(image, result.found, task.labels, task.relations, threshold=0)


def answer(result: Detection) -> Detection:
    """All of it."""
    return result


def in_frame(result: Detection) -> dict[str, float]:
    """1 for each class that is there."""
    return dict.fromkeys(result.labels, 1.0)
