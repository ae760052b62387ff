"""Generating pictures on the command line: training and evaluation; `saccade generate` is `saccade.cli.generate`."""

from typing import Any

from saccade.options import DataOptions
from saccade.tasks.commands import TaskCommands
from saccade.tasks.generate.recipe import GenerateRecipe


class GenerateCommands(TaskCommands):
    """Pictures from prompts."""

    name = "generate"
    help = """Train a generator of pictures from text.

--data is a folder of pictures with captions: a table (CSV, TSV), JSON lines, COCO captions, or a .txt beside each
picture. scenes:20000,objects=1-3,apart trains on 20,000 procedurally drawn scenes an epoch, of one to three objects
that do not overlap, with captions in English and Korean. The result is in runs/NAME: the model to use in model/, curves
in log.jsonl and TensorBoard files, and what --resume needs in state/.

Examples:

    saccade train generate --data scenes:20000,objects=1-3,apart --weights matcher --name painter

    saccade train generate --data photos/ --size 64 --name photos

    saccade train generate --data scenes:20000,objects=1-3,apart --weights runs/painter --objective mean-flow --name few

    saccade train generate --name painter --resume
"""
    recipe = GenerateRecipe
    evaluates = "A generator: what the pictures of prompts show, by the judge of drawn scenes; scenes:N."
    bars_title = "shares of right atoms"
    task = "saccade.tasks.generate.task:GenerateTask"
    trainer = "saccade.tasks.generate.training:GenerateTraining"
    report = "saccade.tasks.generate.report:evaluate"

    def open_splits(self, options: DataOptions, recipe: GenerateRecipe, seed: int) -> tuple[Any, Any]:
        from saccade.tasks.captions import captioned_splits
        from saccade.tasks.generate.training import MAX_WORDS
        from saccade.tasks.scenes import scene_splits

        assert options.data is not None
        scenes = scene_splits(options.data, recipe.size, seed)
        if scenes is not None:
            return scenes
        return captioned_splits(options, seed, MAX_WORDS)


COMMANDS = GenerateCommands()
