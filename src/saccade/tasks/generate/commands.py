"""Generating pictures on the command line: training and evaluation; `saccade generate` is `saccade.cli.generate`."""

from typing import Any

from saccade.errors import UsageError
from saccade.options import DataOptions
from saccade.tasks.commands import TaskCommands
from saccade.tasks.generate.recipe import GenerateRecipe


class GenerateCommands(TaskCommands):
    """Scenes with captions; pictures from prompts."""

    name = "generate"
    help = """Train a generator of pictures from text.

--data scenes trains on procedurally drawn scenes with captions in English and Korean,
scenes:20000,objects=1-3,apart on 20,000 scenes an epoch of one to three objects that do not overlap. The result is in
runs/NAME: the model to use in model/, curves in log.jsonl and TensorBoard files, and what --resume needs in state/.

Examples:

    saccade train generate --data scenes:20000,objects=1-3,apart --weights matcher --name painter

    saccade train generate --name painter --resume
"""
    recipe = GenerateRecipe
    evaluates = "A generator: what the pictures of prompts show, by the judge of drawn scenes; scenes:N."
    bars_title = "shares of right atoms"
    task = "saccade.tasks.generate.task:GenerateTask"
    trainer = "saccade.tasks.generate.training:GenerateTraining"
    report = "saccade.tasks.generate.report:evaluate"

    def open_splits(self, options: DataOptions, recipe: GenerateRecipe, seed: int) -> tuple[Any, Any]:
        from saccade.tasks.scenes import scene_splits

        assert options.data is not None
        scenes = scene_splits(options.data, recipe.size, seed)
        if scenes is None:
            raise UsageError(f"--data {options.data}: a generator is trained on scenes; give scenes or scenes:N")
        return scenes


COMMANDS = GenerateCommands()
