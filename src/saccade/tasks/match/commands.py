"""Matching pictures with texts on the command line."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field
from rich.table import Table

from saccade.errors import DataError, UsageError, printable
from saccade.lazy import resolve_name
from saccade.options import DataOptions, OnError, Options
from saccade.tasks.commands import Evaluation, TaskCommands
from saccade.tasks.match.recipe import MatchRecipe

if TYPE_CHECKING:
    from saccade.data import Picture
    from saccade.device import Device
    from saccade.tasks.match.public import PublicMatchTask
    from saccade.tasks.match.result import Ranking
    from saccade.tasks.match.task import MatchTask


class MatchPredictOptions(Options):
    """Options of `predict` with a matcher."""

    text: tuple[str, ...] = ()
    """Text to rank for each picture; repeat the option for more."""
    texts: Path | None = None
    """File with a text on each line, in UTF-8."""


class MatchValOptions(Options):
    """Options of `val` with a matcher."""

    held_out: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Score only what training holds out with this --val-fraction (0.1 by default) and seed 0; a matcher beside a
    baseline that takes the captions of the nearest other pictures."""


class MatchCommands(TaskCommands):
    """Pictures with captions; texts ranked for pictures."""

    name = "match"
    help = """Train a matcher of pictures and texts.

--data scenes trains on procedurally drawn scenes with captions in English and Korean, scenes:5000,objects=1-3 on 5,000
scenes an epoch of one to three objects. A folder or tar is read as pictures with captions: a table (metadata.csv, .tsv,
metadata.jsonl) with the columns file_name (or code, a name without folder and suffix) and text, and split where it says
which rows are for validation; COCO captions JSON; or a .txt beside each picture. Without a split for validation,
pictures are held out, those that share a caption together. Each score is a recall among at most 100 candidates. The
result is in runs/NAME: the model to use in model/, curves in log.jsonl and TensorBoard files, and what --resume needs
in state/.

Examples:

    saccade train match --data scenes:6400,objects=1-3 --weights scenes --name words

    saccade train match --data photos/ --size 128 --name photos

    saccade train match --name words --resume
"""
    recipe = MatchRecipe
    predict_options = MatchPredictOptions
    val_options = MatchValOptions
    evaluates = (
        "A matcher: recall among at most 100 candidates; pictures with captions (tables, COCO captions, text files); "
        "on scenes:N also accuracy on minimal edits."
    )
    items = "pictures or captions"
    bars_title = "shares of right decisions; recall is among at most 100 candidates"
    task = "saccade.tasks.match.task:MatchTask"
    trainer = "saccade.tasks.match.training:MatchTraining"
    report = "saccade.tasks.match.report:evaluate"
    view = "saccade.studio.views.match:MatchView"
    exported = "saccade.tasks.match.exported:ExportedMatchTask"
    example = "saccade.tasks.captioned_example:draw_example"
    examines = ("captions",)

    def open_splits(self, options: DataOptions, recipe: MatchRecipe, seed: int) -> tuple[Any, Any]:
        from saccade.tasks.captions import captioned_splits
        from saccade.tasks.match.training import MAX_WORDS
        from saccade.tasks.scenes import scene_splits

        assert options.data is not None
        scenes = scene_splits(options.data, recipe.size, seed)
        recipe.check_applicable_options(scenes=scenes is not None)
        if scenes is not None:
            return scenes
        return captioned_splits(options, seed, MAX_WORDS)

    def evaluate(
        self,
        task: Any,
        data: Path,
        split: str | None,
        on_error: OnError,
        device: "Device",
        out: Path,
        options: MatchValOptions,
    ) -> Evaluation:
        if options.held_out is None:
            return resolve_name(self.report)(task, data, split, on_error, device, out)
        if split is not None:
            raise UsageError(f"--split {split} and --held-out are given: use one of them")
        from saccade.tasks.match.report import evaluate_held_out

        return evaluate_held_out(task, data, options.held_out, on_error, device, out)

    def load_for(self, model: str, given: set[str]) -> "MatchTask | PublicMatchTask | None":
        """With texts, a public matcher with both of its towers."""
        if given.isdisjoint(MatchPredictOptions.model_fields):
            return None
        from saccade.tasks.public_loading import load_match_task

        return load_match_task(model)

    def about(self, task: "MatchTask") -> tuple[str, str]:
        from saccade.tasks.known_classes import synthetic_data_warning

        return "", synthetic_data_warning(task)

    def predict(
        self, task: "MatchTask", pictures: "Iterable[Picture]", options: MatchPredictOptions, batch: int
    ) -> "Iterator[Ranking]":
        return task.predict_all(pictures, read_texts(options), batch)

    def frame_scores(self, result: "Ranking") -> dict[str, float]:
        return dict(zip(result.texts, result.scores, strict=True))

    def table(self, results: "list[Ranking]") -> Table:
        table = Table("picture", "text", "score")
        for result in results:
            for i, (text, score) in enumerate(zip(result.texts, result.scores, strict=True)):
                table.add_row(printable(result.name) if i == 0 else "", printable(text), f"{score:.1%}")
        return table

    def csv_header(self, result: "Ranking") -> list[str]:
        return ["name", "text", "score", "similarity"]

    def csv_rows(self, result: "Ranking") -> Iterator[list[str]]:
        from saccade.data.output import csv_cell

        for text, score, similarity in zip(result.texts, result.scores, result.similarities, strict=True):
            yield [result.name, csv_cell(text), f"{score:.6f}", f"{similarity:.6f}"]


def read_texts(options: MatchPredictOptions) -> list[str]:
    """The texts to rank: those given one by one, then the lines of the file, as they are. Blank lines are left out.

    Raises UsageError where there are none, DataError for a file that cannot be read or is not UTF-8."""
    texts = list(options.text)
    if options.texts is not None:
        try:
            lines = options.texts.read_text(encoding="utf-8-sig").splitlines()
        except UnicodeDecodeError as error:
            raise DataError(
                f"{options.texts} is not UTF-8 ({error.reason} at byte {error.start}): convert it"
            ) from None
        except OSError as error:
            raise DataError(f"{options.texts} cannot be read: {error.strerror}") from None
        texts += [line for line in lines if line.strip()]
        if not texts:
            raise UsageError(f"{options.texts} has no line with a word: a text on each line expected")
    if not texts:
        raise UsageError("there is no text to rank: give --text, once for each text, or --texts FILE")
    return texts


COMMANDS = MatchCommands()
