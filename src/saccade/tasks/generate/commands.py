"""Generating pictures on the command line: training and evaluation; `saccade generate` is `saccade.cli.generate`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from saccade.errors import UsageError
from saccade.lazy import resolve_name
from saccade.options import OnError, Options
from saccade.tasks.commands import Evaluation, TaskCommands
from saccade.tasks.generate.data_options import GenerateDataOptions
from saccade.tasks.generate.recipe import GenerateRecipe

if TYPE_CHECKING:
    from saccade.data.pairs import PairSet, StyleSet
    from saccade.device import Device


class GenerateValOptions(Options):
    """Options of `val` with a generator that paints from pictures."""

    paint_from: Path | None = None
    """Folder of the pictures to paint from, with names equal to those of DATA, which are to be painted. Without it, a
    generator is scored on drawn scenes, or on a folder with a folder for each style."""
    held_out: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Score only what training holds out with this --val-fraction (0.1 by default) and seed 0."""


class GenerateCommands(TaskCommands):
    """Pictures from prompts."""

    name = "generate"
    help = """Train a generator of pictures and films, from text or from other pictures.

--data is a folder of pictures with captions: a table (CSV, TSV), JSON lines, COCO captions, or a .txt beside each
picture. Films are read in the same way, and folders of frames as films; --film-share makes some of the scenes films.
scenes:20000,objects=1-3,apart trains on 20,000 procedurally drawn scenes an epoch, of one to three objects
that do not overlap, with captions in English and Korean. --pairs and --styles train on pictures that are painted from
other pictures, with captions where there are any. The result is in runs/NAME: the model to use in model/, curves
in log.jsonl and TensorBoard files, and what --resume needs in state/.

Examples:

    saccade train generate --data scenes:20000,objects=1-3,apart --weights matcher --name painter

    saccade train generate --data photos/ --size 64 --name photos

    saccade train generate --pairs sketches/ photos/ --name from-sketches

    saccade train generate --pairs facades/ --split-at middle --direction BtoA --name facades

    saccade train generate --data clips/ --frames 17 --fps 8 --weights painter --name clips

    saccade train generate --styles emoji/ --weights painter --name emoji

    saccade train generate --data scenes:20000,objects=1-3,apart --weights runs/painter --objective mean-flow --name few

    saccade train generate --name painter --resume
"""
    data_options = GenerateDataOptions
    recipe = GenerateRecipe
    val_options = GenerateValOptions
    evaluates = (
        "A generator: what the pictures of prompts show, by the judge of drawn scenes; scenes:N. One that paints from "
        "pictures: how near they are to the true ones (SSIM, PSNR, features); pairs and style sets."
    )
    bars_title = "shares of right atoms, or SSIM"
    task = "saccade.tasks.generate.task:GenerateTask"
    trainer = "saccade.tasks.generate.training:GenerateTraining"
    report = "saccade.tasks.generate.report:evaluate"
    example = "saccade.tasks.captioned_example:draw_example"
    examines = ("captions", "films", "pairs")

    def open_splits(self, options: GenerateDataOptions, recipe: GenerateRecipe, seed: int) -> tuple[Any, Any]:
        from saccade.tasks.captions import captioned_splits, without_long_captions
        from saccade.tasks.generate.training import MAX_WORDS
        from saccade.tasks.scenes import scene_splits

        if options.data is None:
            return paired_splits(options, seed)
        scenes = scene_splits(options.data, recipe.size, seed)
        if scenes is not None:
            return scenes
        from saccade.data.films import film_splits, holds_films

        if holds_films(options.data):
            train, val = film_splits(options.data, options.val, options.val_fraction, seed, options.on_error)
            return without_long_captions(train, MAX_WORDS), without_long_captions(val, MAX_WORDS)
        return captioned_splits(options, seed, MAX_WORDS)

    def evaluate(
        self,
        task: Any,
        data: Path,
        split: str | None,
        on_error: OnError,
        device: "Device",
        out: Path,
        options: GenerateValOptions,
    ) -> Evaluation:
        if options == GenerateValOptions() and not data.exists():
            return resolve_name(self.report)(task, data, split, on_error, device, out)
        from saccade.tasks.generate.pair_report import evaluate_pictures
        from saccade.tasks.generate.task import GenerateTask

        if split is not None:
            raise UsageError(f"--split {split}: pairs and style sets have no splits; use --held-out, or leave it out")
        if not isinstance(task, GenerateTask):
            raise UsageError(f"{task.name}: pipelines are not scored; give a generator of `saccade train generate`")
        return evaluate_pictures(task, open_evaluation_set(data, options, on_error), device, out)


def open_evaluation_set(data: Path, options: GenerateValOptions, on_error: OnError) -> "PairSet | StyleSet":
    """Pairs or styles to score a generator on. Raises DataError as `saccade.data.pairs` does."""
    from saccade.data.pairs import StyleSet, TwoFolders

    if options.held_out is None:
        if options.paint_from is None:
            return StyleSet(data, check_caption, on_error)
        return TwoFolders(options.paint_from, data, check_caption, on_error)
    chosen = {"styles": data} if options.paint_from is None else {"pairs": (options.paint_from, data)}
    training = GenerateDataOptions(**chosen, val_fraction=options.held_out, on_error=on_error)
    return paired_splits(training, 0)[1]


def check_caption(text: str) -> object:
    """Raises DataError for one that is too long."""
    from saccade.ops import tokenize
    from saccade.tasks.generate.training import MAX_WORDS

    return tokenize([text], MAX_WORDS)


def paired_splits(options: GenerateDataOptions, seed: int) -> tuple[Any, Any]:
    """Training and validation sets of --pairs and --styles. Raises DataError as `saccade.data.pairs` does."""
    from saccade.data.pairs import SideBySide, TwoFolders, pair_splits, style_splits
    from saccade.data.pairs.splits import HoldOut

    hold_out = HoldOut(options.val_fraction, seed, options.hold_out_file)
    if options.styles is not None:
        return style_splits(options.styles, hold_out, check_caption, options.on_error)
    if options.split_at is not None:
        pairs = SideBySide(options.pairs[0], options.direction, check_caption, options.on_error)
        return pair_splits(pairs, hold_out)
    source, target = options.folders
    return pair_splits(TwoFolders(source, target, check_caption, options.on_error), hold_out)


COMMANDS = GenerateCommands()
