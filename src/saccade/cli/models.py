"""`saccade models`, and loading a model for the other commands."""

import json
from collections.abc import Collection
from typing import Any

from rich.table import Table

from saccade.cli import console
from saccade.cli.console import Json
from saccade.tasks.bundled_models import bundled, bundled_folder, count_parameters, read_config
from saccade.tasks.commands import TaskCommands
from saccade.tasks.registry import all_commands, commands_of


def models(*, as_json: Json = False) -> None:
    """List the bundled models with the scores of their cards.

    For example:

        saccade models --json

    Parameters
    ----------
    as_json
        As JSON, with the whole cards.
    """
    configs: dict[str, dict[str, Any]] = {}
    for name in bundled():
        folder = bundled_folder(name)
        configs[name] = {**read_config(folder), "parameters": count_parameters(folder / "model.safetensors")}
    if as_json:
        cards = {name: {"parameters": config["parameters"], **config["card"]} for name, config in configs.items()}
        print(json.dumps(cards))
        return
    table = Table("name", "task", "parameters", "picture", "first scores, those of its card")
    for name, config in configs.items():
        scores = "  ".join(f"{key} {value:.3f}" for key, value in list(card_scores(config["card"]).items())[:4])
        size = " x ".join(map(str, reversed(config["preprocess"]["size"])))
        table.add_row(name, config["task"], f"{config['parameters'] / 1e6:.1f} M", size, scores)
    stdout = console.stdout()
    stdout.print(table)
    stdout.print("Others: hf:OWNER/NAME, timm:NAME, a folder, a safetensors file.", style="dim")


def card_scores(card: dict[str, Any]) -> dict[str, float]:
    """The scores on the test pictures, else those on the validation pictures, which selected the weights."""
    return card.get("test", card).get("scores", {})


def load_with_head(model: str, given: Collection[str] = ()) -> tuple[Any, TaskCommands]:
    """A model that can predict, and the commands of its task; assumptions are printed. given: names of the options of
    `predict`, some of which ask for another reading of the model. Raises SaccadeError for a model without a head."""
    from saccade.tasks import load

    readings = (commands.load_for(model, set(given)) for commands in all_commands())
    task = next((task for task in readings if task is not None), None) or load(model)
    commands = commands_of(task)
    print_notes(task)
    return task, commands


def takes_films(task: Any) -> bool:
    """Whether a model answers for whole videos, of which it takes `frames` frames."""
    return bool(getattr(task, "takes_films", False))


def print_notes(task: Any) -> None:
    """Print what was assumed when a model was loaded."""
    for note in task.notes:
        console.note(console.stderr(), note)
