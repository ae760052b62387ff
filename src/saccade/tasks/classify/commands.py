"""Image classification on the command line."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field
from rich.table import Table

from saccade.errors import printable
from saccade.language import localize_text
from saccade.options import ClassDataOptions, ClassValOptions, Options
from saccade.tasks.classify.recipe import ClassifyRecipe
from saccade.tasks.commands import TaskCommands

if TYPE_CHECKING:
    from saccade.data import Picture
    from saccade.tasks.classify.result import Classification
    from saccade.tasks.classify.task import ClassifyTask


class ClassifyPredictOptions(Options):
    """Options of `predict` with a classifier."""

    top: Annotated[int, Field(ge=1)] = 3
    """Classes listed for each picture."""


class ClassifyCommands(TaskCommands):
    """Pictures in one folder per class; classes with their probabilities."""

    name = "classify"
    help = """Train a classifier on pictures in one folder per class (or a tar of them), or with a table of labels.

The result is in runs/NAME: the model to use in model/, curves in log.jsonl and TensorBoard files, and what --resume
needs in state/. To use several processors or machines, start it with torchrun.

Examples:

    saccade train classify --data pets/ --name pets

    saccade train classify --data pets/ --name pets --weights cifar --epochs 50

    saccade train classify --data pets/ --name pets --weights hf:facebook/dinov2-small

    saccade train classify --name pets --resume

    torchrun --nproc-per-node 8 -m saccade train classify --data pets/
"""
    recipe = ClassifyRecipe
    data_options = ClassDataOptions
    predict_options = ClassifyPredictOptions
    val_options = ClassValOptions
    evaluates = (
        "A classifier: top-1 and top-5 accuracy, recall per class, expected calibration error in 15 bins (Guo et al. "
        "2017); one folder per class, or a table."
    )
    bars_title = "recall per class"
    task = "saccade.tasks.classify.task:ClassifyTask"
    trainer = "saccade.tasks.classify.training:ClassifyTraining"
    report = "saccade.tasks.classify.report:evaluate"
    view = "saccade.studio.views.classify:ClassifyView"
    exported = "saccade.tasks.classify.exported:ExportedClassifyTask"
    example = "saccade.tasks.classify.example:draw_example"
    examines = ("classes",)

    def open_splits(self, options: ClassDataOptions, recipe: ClassifyRecipe, seed: int) -> tuple[Any, Any]:
        from saccade.data import splits
        from saccade.data.class_subset import keep_classes

        assert options.data is not None
        sets = splits(options.data, options.val, val_fraction=options.val_fraction, on_error=options.on_error)
        if not options.classes:
            return sets
        return keep_classes(sets[0], options.classes), keep_classes(sets[1], options.classes)

    def about(self, task: "ClassifyTask") -> tuple[str, str]:
        from saccade.tasks.classify.describe import describe_classes, missing_ood_reason

        return describe_classes(task), missing_ood_reason(task)

    def predict(
        self, task: "ClassifyTask", pictures: "Iterable[Picture]", options: ClassifyPredictOptions, batch: int
    ) -> "Iterator[Classification]":
        return task.predict_all(pictures, options.top, batch)

    def frame_scores(self, result: "Classification") -> dict[str, float]:
        return {result.label: 1.0}

    def table(self, results: "list[Classification]") -> Table:
        head = "video" if hasattr(results[0], "frames") else "picture"
        doubts = [_doubt(result) for result in results]
        ranks = [f"{i + 1}." for i in range(len(results[0].labels))]
        table = Table(head, *ranks, *(["doubts"] if any(doubts) else []))
        for result, doubt in zip(results, doubts, strict=True):
            pairs = zip(result.labels, result.probabilities, strict=True)
            row = (f"{printable(label)} {p:.0%}" for label, p in pairs)
            table.add_row(printable(result.name), *row, *([doubt] if any(doubts) else []))
        return table

    def csv_header(self, result: "Classification") -> list[str]:
        ranks = range(1, len(result.labels) + 1)
        columns = ["name", *(f"{column}_{rank}" for rank in ranks for column in ("label", "probability"))]
        return columns if result.confidence is None else [*columns, *result.confidence.to_dict()]

    def csv_rows(self, result: "Classification") -> Iterator[list[str]]:
        from saccade.data.output import csv_cell

        pairs = zip(result.labels, result.probabilities, strict=True)
        known = () if result.confidence is None else result.confidence.to_dict().values()
        doubts = ("" if value is None else int(value) if isinstance(value, bool) else value for value in known)
        yield [result.name, *(cell for label, p in pairs for cell in (csv_cell(label), f"{p:.6f}")), *map(str, doubts)]


def _doubt(result: "Classification") -> str:
    """Why not to rely on an answer, in a cell of a table."""
    if result.confidence is None:
        return ""
    if result.confidence.out_of_distribution:
        return localize_text("unlike the training pictures")
    return localize_text("not sure") if result.confidence.unsure else ""


COMMANDS = ClassifyCommands()
