"""Semantic segmentation on the command line."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field
from rich.table import Table

from saccade.errors import UsageError, printable
from saccade.options import AnnotatedDataOptions, AnnotatedValOptions
from saccade.tasks.commands import DrawOptions, TaskCommands, check_distinct_paths
from saccade.tasks.segment.recipe import SegmentRecipe

if TYPE_CHECKING:
    from PIL import Image

    from saccade.data import Picture
    from saccade.tasks.artifacts import ArtifactWriter
    from saccade.tasks.segment.result import ClassAreas, Segmentation
    from saccade.tasks.segment.task import BaseSegmentTask

MAX_SIDE = 1 << 16


class SegmentPredictOptions(DrawOptions):
    """Options of `predict` with a segmenter."""

    masks: Path | None = None
    """As of detectors."""
    coco: Path | None = None
    """As of detectors."""
    size: Annotated[int | None, Field(ge=1, le=MAX_SIDE)] = None
    """Shorter side in pixels to which pictures are resized first; default: as trained. A larger one gives finer
    boundaries and takes longer."""


class SegmentCommands(TaskCommands):
    """Index PNGs, colour-coded masks, COCO JSON; a class for every pixel."""

    name = "segment"
    help = """Train a segmenter on pictures with a class for every pixel: index PNGs, colour-coded masks, COCO JSON.

--data scenes trains on procedurally drawn scenes, scenes:5000 on 5,000 of them an epoch. The result is in runs/NAME:
the model to use in model/, curves in log.jsonl and TensorBoard files, and what --resume needs in state/.

Examples:

    saccade train segment --data streets/ --name streets --weights shapes

    saccade train segment --data scenes --size 128 --name shapes

    saccade train segment --name streets --resume
"""
    recipe = SegmentRecipe
    data_options = AnnotatedDataOptions
    predict_options = SegmentPredictOptions
    val_options = AnnotatedValOptions
    evaluates = (
        "A segmenter: mIoU and Dice (pixels are summed over all pictures, then the classes averaged; a class that is "
        "neither in the masks nor predicted is left out), boundary F; index PNGs, colour-coded masks, COCO JSON, "
        "scenes:N."
    )
    items = "pictures or masks"
    bars_title = "IoU per class"
    frame_score = "mean share"
    task = "saccade.tasks.segment.task:SegmentTask"
    trainer = "saccade.tasks.segment.training:SegmentTraining"
    report = "saccade.tasks.segment.report:evaluate"
    view = "saccade.studio.views.segment:SegmentView"
    exported = "saccade.tasks.segment.exported:ExportedSegmentTask"
    example = "saccade.tasks.segment.example:draw_example"
    examines = ("masks",)

    def open_splits(self, options: AnnotatedDataOptions, recipe: SegmentRecipe, seed: int) -> tuple[Any, Any]:
        from saccade.data.class_subset import SegmentClassSubset
        from saccade.data.scenes.scenes import SceneSegments
        from saccade.data.segments.sets import segment_splits
        from saccade.tasks.scenes import scene_splits

        assert options.data is not None
        scenes = scene_splits(options.data, recipe.size, seed)
        if scenes is not None:
            sets: tuple[Any, Any] = SceneSegments(scenes[0]), SceneSegments(scenes[1])
        else:
            sets = segment_splits(
                options.data, options.val, options.val_fraction, on_error=options.on_error, exif=options.exif
            )
        if not options.classes:
            return sets
        return SegmentClassSubset(sets[0], options.classes), SegmentClassSubset(sets[1], options.classes)

    def about(self, task: "BaseSegmentTask") -> tuple[str, str]:
        from saccade.tasks.known_classes import format_class_list, synthetic_data_warning

        return f"{task.name} gives each pixel one of {format_class_list(task, 'classes')}", synthetic_data_warning(task)

    def predict(
        self, task: "BaseSegmentTask", pictures: "Iterable[Picture]", options: SegmentPredictOptions, batch: int
    ) -> "Iterator[Segmentation]":
        from saccade.tasks.segment.task import SegmentTask

        if options.size is not None:
            if not isinstance(task, SegmentTask):
                raise UsageError(f"--size: {task.name} resizes pictures itself; leave the option out")
            task = task.with_shorter_side(options.size)
        return task.predict_all(pictures)

    def writers(
        self, task: "BaseSegmentTask", options: SegmentPredictOptions, files: Sequence[Path]
    ) -> "list[ArtifactWriter]":
        from saccade.tasks.artifacts import DrawingWriter
        from saccade.tasks.segment.artifacts import CocoWriter, MaskWriter

        check_distinct_paths(draw=options.draw, masks=options.masks)
        writers: list[ArtifactWriter] = []
        if options.coco is not None:  # first: a failure of the others must also abort this file
            writers.append(CocoWriter(options.coco, files, task))
        if options.masks is not None:
            writers.append(MaskWriter(options.masks, files))
        if options.draw is not None:
            writers.append(DrawingWriter(options.draw, files, lambda video: _painter(task, video)))
        return writers

    def compact(self, result: "Segmentation") -> "ClassAreas":
        return result.areas  # masks of many large pictures do not fit in memory together

    def frame_scores(self, result: "Segmentation") -> dict[str, float]:
        return result.areas.shares

    def table(self, results: "list[ClassAreas]") -> Table:
        table = Table("picture", "class", "share")
        for result in results:
            for i, (label, share) in enumerate(result.shares.items()):
                table.add_row(printable(result.name) if i == 0 else "", printable(label), f"{share:.1%}")
        return table

    def csv_header(self, result: "Segmentation") -> list[str]:
        return ["name", "class", "share"]

    def csv_rows(self, result: "Segmentation") -> Iterator[list[str]]:
        from saccade.data.output import csv_cell

        for label, share in result.areas.shares.items():
            yield [result.name, csv_cell(label), f"{share:.6f}"]


def _painter(task: "BaseSegmentTask", video: bool) -> "Callable[[Image.Image, Segmentation], Image.Image]":
    """Draws classes on a picture; on all frames of a video with one legend."""
    from saccade.tasks.segment.draw import draw_segmentation
    from saccade.tasks.segment.video import SegmentationVideo

    if video:
        frames = SegmentationVideo(task.labels)
        return lambda image, result: frames.draw(image, result.mask)
    return lambda image, result: draw_segmentation(image, result.mask, result.classes)


COMMANDS = SegmentCommands()
