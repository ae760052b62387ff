"""Object detection on the command line."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from saccade.errors import UsageError, printable
from saccade.options import AnnotatedDataOptions
from saccade.tasks.commands import TaskCommands, check_distinct_paths
from saccade.tasks.detect.options import DetectPredictOptions, DetectValOptions
from saccade.tasks.detect.recipe import DetectRecipe

if TYPE_CHECKING:
    from PIL import Image

    from saccade.data import Picture
    from saccade.tasks.artifacts import ArtifactWriter
    from saccade.tasks.detect.result import Detection
    from saccade.tasks.detect.task import BaseDetectTask


class DetectCommands(TaskCommands):
    """COCO, VOC, YOLO, CVAT, LabelMe, a mask file an object; objects with boxes, scores and relations, or outlines."""

    name = "detect"
    help = """Train a detector on pictures with boxes: COCO JSON, Pascal VOC, YOLO, CVAT XML or LabelMe JSON.

--masks finds the exact outline of each object too (instance segmentation), from the polygons or run lengths of COCO,
YOLO's polygons, a mask file for each object (DSB 2018: ID/images/ID.png, ID/masks/*.png), or masks that number objects.

--data scenes trains on procedurally drawn scenes, scenes:5000 on 5,000 of them an epoch. The result is in runs/NAME:
the model to use in model/, curves in log.jsonl and TensorBoard files, and what --resume needs in state/.

Examples:

    saccade train detect --data cells/ --name cells --weights scenes

    saccade train detect --masks --data nuclei/ --name nuclei --weights scenes --size 128 --tiles --queries 100

    saccade train detect --data scenes --size 128 --queries 30 --name shapes

    saccade train detect --name cells --resume
"""
    recipe = DetectRecipe
    data_options = AnnotatedDataOptions
    predict_options = DetectPredictOptions
    val_options = DetectValOptions
    evaluates = (
        "A detector: COCO's mAP (small, medium and large by the area that the annotation states, else the box's), "
        "mAP50 per class, F1 at the model's threshold and at the best one, recall of relations; COCO JSON, Pascal VOC, "
        "YOLO, scenes:N."
    )
    items = "pictures or annotations"
    bars_title = "mAP50 per class"
    frame_score = "frames with it"
    task = "saccade.tasks.detect.task:DetectTask"
    trainer = "saccade.tasks.detect.training:DetectTraining"
    report = "saccade.tasks.detect.report:evaluate"
    view = "saccade.studio.views.detect:DetectView"
    exported = "saccade.tasks.detect.exported:ExportedDetectTask"
    example = "saccade.tasks.detect.example:draw_example"
    examines = ("boxes",)

    def open_splits(self, options: AnnotatedDataOptions, recipe: DetectRecipe, seed: int) -> tuple[Any, Any]:
        from saccade.data.class_subset import ObjectClassSubset
        from saccade.data.objects.sets import object_splits
        from saccade.tasks.scenes import scene_splits

        assert options.data is not None
        scenes = scene_splits(options.data, recipe.size, seed)
        sets = scenes or object_splits(
            options.data, options.val, options.val_fraction, on_error=options.on_error, exif=options.exif
        )
        return (
            (ObjectClassSubset(sets[0], options.classes), ObjectClassSubset(sets[1], options.classes))
            if options.classes
            else sets
        )

    def about(self, task: "BaseDetectTask") -> tuple[str, str]:
        from saccade.tasks.known_classes import format_class_list, synthetic_data_warning

        return f"{task.name} finds {format_class_list(task, 'kinds of objects')}", synthetic_data_warning(task)

    def predict(
        self, task: "BaseDetectTask", pictures: "Iterable[Picture]", options: DetectPredictOptions, batch: int
    ) -> "Iterator[Detection]":
        return task.predict_all(pictures, options.threshold, batch)

    def writers(
        self, task: "BaseDetectTask", options: DetectPredictOptions, files: Sequence[Path]
    ) -> "list[ArtifactWriter]":
        from saccade.tasks.artifacts import DrawingWriter
        from saccade.tasks.detect.artifacts import CocoWriter, CropWriter, InstanceMaskWriter, YoloWriter
        from saccade.tasks.detect.draw import draw_detections

        def painter(video: bool) -> "Callable[[Image.Image, Detection], Image.Image]":
            return lambda image, result: draw_detections(image, result.found, task.labels, task.relations, threshold=0)

        if options.masks is not None and not task.masks:
            raise UsageError(
                f"--masks: {printable(task.name)} finds boxes alone; a model of `saccade train detect --masks` expected"
            )
        check_distinct_paths(draw=options.draw, masks=options.masks, yolo=options.yolo, crops=options.crops)
        writers: list[ArtifactWriter] = []
        if options.coco is not None:  # first: a failure of the others must also abort this file
            writers.append(CocoWriter(options.coco, files, task))
        if options.masks is not None:
            writers.append(InstanceMaskWriter(options.masks, files))
        if options.yolo is not None:
            writers.append(YoloWriter(options.yolo, files, task))
        if options.crops is not None:
            writers.append(CropWriter(options.crops, files, task))
        return writers if options.draw is None else [*writers, DrawingWriter(options.draw, files, painter)]

    def frame_scores(self, result: "Detection") -> dict[str, float]:
        return dict.fromkeys(result.labels, 1.0)

    def table(self, results: "list[Detection]") -> Table:
        outlined = any(result.found.masks is not None for result in results)
        table = Table("picture", "object", "score", "left", "top", "right", "bottom", *["area"] * outlined)
        for result in results:
            rows = zip(result.labels, result.found.scores.tolist(), result.found.boxes.tolist(), strict=True)
            areas = [[f"{pixels:,}"] for pixels in result.areas] or [[]] * len(result.found)
            lines = [
                (printable(label), f"{score:.0%}", *(f"{edge:.1f}" for edge in box), *own)
                for (label, score, box), own in zip(rows, areas, strict=True)
            ]
            for i, line in enumerate(lines or [("nothing found",)]):
                table.add_row(printable(result.name) if i == 0 else "", *line)
        return table

    def csv_header(self, result: "Detection") -> list[str]:
        names = ["name", "label", "score", "left", "top", "right", "bottom"]
        return names if result.found.masks is None else [*names, "area"]

    def csv_rows(self, result: "Detection") -> Iterator[list[str]]:
        from saccade.data.output import csv_cell

        found = result.found
        areas = [[str(pixels)] for pixels in result.areas] or [[]] * len(found)
        rows = zip(result.labels, found.scores.tolist(), found.boxes.tolist(), areas, strict=True)
        for label, score, box, own in rows:
            yield [result.name, csv_cell(label), f"{score:.6f}", *(f"{edge:.2f}" for edge in box), *own]


COMMANDS = DetectCommands()
