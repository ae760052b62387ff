"""`saccade train segment`, and what `val` and `predict` do with a segmenter."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from PIL import Image
from rich.table import Table

from saccade.cli import runs, say
from saccade.cli.asked import Asked
from saccade.cli.scenes import CHOOSING, HELD_OUT, JUDGING, scenes_asked_for
from saccade.cli.source import Source
from saccade.data import Picture
from saccade.data.output import csv_cell
from saccade.data.segments import SegmentSet
from saccade.device import Device
from saccade.errors import printable
from saccade.tasks import SegmentRecipe
from saccade.tasks.segment.result import Areas, Segmentation
from saccade.tasks.segment.task import SegmentsPictures, SegmentTask
from saccade.train import TrainConfig

TAKES = ("draw", "masks", "coco", "size")  # options of `predict`
SKIPS = "pictures or masks"
EACH = "IoU of each class"
IN_FRAMES = "mean share"


def train(
    *,
    name: str = "segment",
    resume: Annotated[bool, Parameter(negative=())] = False,
    source: Annotated[Source | None, Parameter(name="*", group="Data")] = None,
    recipe: Annotated[SegmentRecipe | None, Parameter(name="*", group="Model and augmentation")] = None,
    config: Annotated[TrainConfig | None, Parameter(name="*", group="Training")] = None,
) -> None:
    """Train a segmenter on pictures with a class for every pixel: index PNGs, colour-coded masks, COCO JSON.

    --data scenes trains on pictures drawn without end, scenes:5000 with 5,000 of them an epoch. The result is in
    runs/NAME: the model to use in model/, curves in log.jsonl and TensorBoard files, and what --resume needs in state/.

    Examples:

        saccade train segment --data streets/ --name streets --start runs/shapes

        saccade train segment --data scenes --size 128 --name shapes

        saccade train segment --name streets --resume

    Parameters
    ----------
    name
        Name of the run.
    resume
        Go on with the run of this name, with the options it was started with.
    """
    from saccade.data.scenes import Scenes
    from saccade.data.scenes.segments import SceneSegments
    from saccade.data.segments.sets import segment_splits
    from saccade.tasks.segment.training import SegmentTraining

    run = runs.begin(name, resume, source, recipe or SegmentRecipe(), config)
    training: SegmentSet
    held: SegmentSet
    drawn, size = scenes_asked_for(run.data), run.recipe.size
    if drawn is not None:
        training = SceneSegments(Scenes(drawn, size, seed=run.config.seed + 1))
        held = SceneSegments(Scenes(HELD_OUT, size, seed=CHOOSING))
    else:
        training, held = segment_splits(run.data, run.source.val, run.source.hold_out, bad=run.source.bad)
    run.train(training, held, SegmentTraining, SKIPS)


def val(
    task: SegmentsPictures, data: Path, split: str | None, bad: str, place: Device, out: Path
) -> tuple[dict[str, Any], dict[str, float | None]]:
    """Scores for JSON, and those of each class to show; pictures of them go to `out`."""
    from saccade.data.scenes import Scenes
    from saccade.data.scenes.segments import SceneSegments
    from saccade.data.segments.sets import open_segments
    from saccade.tasks.segment.draw import draw_segment_confusion
    from saccade.tasks.segment.mistakes import WorstBorders, draw_worst_borders
    from saccade.tasks.segment.scores import SegmentScores

    drawn = scenes_asked_for(data)
    dataset: SegmentSet
    if drawn is not None:
        size = task.preprocess.shortest or min(task.preprocess.size) if isinstance(task, SegmentTask) else 128
        dataset = SceneSegments(Scenes(drawn if ":" in str(data) else HELD_OUT, size, seed=JUDGING))
    else:
        dataset = open_segments(data, split=split, bad=bad, classes=task.labels)
    scores, worst, count = SegmentScores(task.labels), WorstBorders(task.labels), 0
    for i, said, truth in task.val(dataset, place):
        scores.add(said, truth, dataset.names[i])
        worst.add(i, said, truth, dataset.names[i])
        count += 1
    result = scores.result()
    draw_segment_confusion(scores.confusion, task.labels).save(out / "confusion.png")
    draw_worst_borders(worst, lambda i: dataset.picture(i).image, dataset.names).save(out / "borders.png")
    result |= {"pictures": count, "skipped": dataset.skipped}
    return result, {name: one["IoU"] for name, one in result["per_class"].items()}


def predicted(task: SegmentsPictures, read: Iterable[Picture], asked: Asked) -> Iterator[Segmentation]:
    """The class of every pixel of each picture."""
    if asked.size is not None:
        if not isinstance(task, SegmentTask):
            raise say.UsageError(f"--size is for our own segmenters; {task.name} brings its own size")
        task = task.at(asked.size)
    return task.predict_all(read)


def painter(task: SegmentsPictures, film: bool) -> Callable[[Image.Image, Segmentation], Image.Image]:
    """Draws the classes on a picture."""
    from saccade.tasks.segment.draw import draw_segmentation
    from saccade.tasks.segment.film import FilmOfSegments

    if film:
        frames = FilmOfSegments(task.labels)
        return lambda image, result: frames.draw(image, result.mask)
    return lambda image, result: draw_segmentation(image, result.mask, result.classes)


def answer(result: Segmentation) -> Areas:
    """How much there is of each class: masks of many large pictures would not fit in memory together."""
    return result.areas


def in_frame(result: Segmentation) -> dict[str, float]:
    """The share of its pixels of each class that is there."""
    return result.areas.shares


def table(results: list[Areas]) -> Table:
    """A class of a picture a line."""
    shown = Table("picture", "class", "share")
    for result in results:
        for i, (label, share) in enumerate(result.shares.items()):
            shown.add_row(printable(result.name) if i == 0 else "", printable(label), f"{share:.1%}")
    return shown


def to_csv(results: Iterable[Segmentation]) -> str:
    """A line a class of a picture: name, class, share of the picture's pixels."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["name", "class", "share"])
    for result in results:
        for label, share in result.areas.shares.items():
            writer.writerow([csv_cell(result.name), csv_cell(label), f"{share:.6f}"])
    return out.getvalue()
