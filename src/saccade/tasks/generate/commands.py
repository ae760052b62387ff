"""Generating pictures on the command line: training and evaluation; `saccade generate` is `saccade.cli.generate`."""

from typing import Any

from saccade.tasks.commands import TaskCommands
from saccade.tasks.generate.data_options import GenerateDataOptions
from saccade.tasks.generate.recipe import GenerateRecipe


class GenerateCommands(TaskCommands):
    """Pictures from prompts."""

    name = "generate"
    help = """Train a generator of pictures from text.

--data is a folder of pictures with captions: a table (CSV, TSV), JSON lines, COCO captions, or a .txt beside each
picture. scenes:20000,objects=1-3,apart trains on 20,000 procedurally drawn scenes an epoch, of one to three objects
that do not overlap, with captions in English and Korean. --pairs and --styles train on pictures that are painted from
other pictures, with captions where there are any. The result is in runs/NAME: the model to use in model/, curves
in log.jsonl and TensorBoard files, and what --resume needs in state/.

Examples:

    saccade train generate --data scenes:20000,objects=1-3,apart --weights matcher --name painter

    saccade train generate --data photos/ --size 64 --name photos

    saccade train generate --pairs sketches/ photos/ --name from-sketches

    saccade train generate --pairs facades/ --split-at middle --direction BtoA --name facades

    saccade train generate --styles emoji/ --weights painter --name emoji

    saccade train generate --data scenes:20000,objects=1-3,apart --weights runs/painter --objective mean-flow --name few

    saccade train generate --name painter --resume
"""
    data_options = GenerateDataOptions
    recipe = GenerateRecipe
    evaluates = "A generator: what the pictures of prompts show, by the judge of drawn scenes; scenes:N."
    bars_title = "shares of right atoms"
    task = "saccade.tasks.generate.task:GenerateTask"
    trainer = "saccade.tasks.generate.training:GenerateTraining"
    report = "saccade.tasks.generate.report:evaluate"

    def open_splits(self, options: GenerateDataOptions, recipe: GenerateRecipe, seed: int) -> tuple[Any, Any]:
        from saccade.tasks.captions import captioned_splits
        from saccade.tasks.generate.training import MAX_WORDS
        from saccade.tasks.scenes import scene_splits

        if options.data is None:
            return paired_splits(options, seed)
        scenes = scene_splits(options.data, recipe.size, seed)
        if scenes is not None:
            return scenes
        return captioned_splits(options, seed, MAX_WORDS)


def paired_splits(options: GenerateDataOptions, seed: int) -> tuple[Any, Any]:
    """Training and validation sets of --pairs and --styles. Raises DataError as `saccade.data.pairs` does."""
    from saccade.data.pairs import pair_splits, side_by_side_splits, style_splits
    from saccade.data.pairs.splits import HoldOut
    from saccade.ops import tokenize
    from saccade.tasks.generate.training import MAX_WORDS

    def read(text: str) -> object:
        return tokenize([text], MAX_WORDS)

    hold_out = HoldOut(options.val_fraction, seed, options.hold_out_file)
    if options.styles is not None:
        return style_splits(options.styles, hold_out, read, options.on_error)
    if options.split_at is not None:
        return side_by_side_splits(options.pairs[0], options.direction, hold_out, read, options.on_error)
    source, target = options.folders
    return pair_splits(source, target, hold_out, read, options.on_error)


COMMANDS = GenerateCommands()
