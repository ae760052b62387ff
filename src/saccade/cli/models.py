"""`saccade models`, and loading a model for the other commands."""

import json
from collections.abc import Collection
from typing import Any

from rich.table import Table

from saccade.cli import console
from saccade.cli.console import Json
from saccade.errors import printable
from saccade.language import localize_label, set_label_translations
from saccade.tasks.bundled_models import bundled, bundled_folder, count_parameters, read_config
from saccade.tasks.commands import TaskCommands
from saccade.tasks.registry import all_task_commands, commands_for_model


def models(model: str | None = None, *, as_json: Json = False) -> None:
    """List the bundled models with the scores of their cards, or the classes of one model.

    Examples:

        saccade models

        saccade models cifar

        saccade models --json

    Parameters
    ----------
    model
        Whose classes are listed, as for look.
    as_json
        As JSON, with the whole cards.
    """
    if model is not None:
        return _print_model(model, as_json)
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


def _print_model(model: str, as_json: bool) -> None:
    """The classes of one model, as JSON with its card."""
    from saccade.tasks import load

    task = load(model)
    set_label_translations(task)
    labels = list(getattr(task, "labels", ()))
    if as_json:
        found = {"name": task.name, "parameters": task.parameters, "labels": labels, "card": task.card}
        print(json.dumps(found, ensure_ascii=False))
        return
    stdout = console.stdout()
    count = f"{len(labels)} classes" if len(labels) != 1 else "1 class"
    console.print_styled_line(stdout, (task.name, "bold"), f", {task.parameters / 1e6:.1f} million parameters, {count}")
    if labels:
        stdout.print(", ".join(localize_label(printable(label)) for label in labels), soft_wrap=True)


def card_scores(card: dict[str, Any]) -> dict[str, float]:
    """The scores on the test pictures, else those on the validation pictures, which selected the weights."""
    return card.get("test", card).get("scores", {})


def load_with_head(model: str, given: Collection[str] = ()) -> tuple[Any, TaskCommands]:
    """A model that can predict, and the commands of its task; assumptions are printed. given: names of the options of
    `predict`, some of which ask for another reading of the model. Raises SaccadeError for a model without a head."""
    from saccade.tasks import load

    readings = (commands.load_for(model, set(given)) for commands in all_task_commands())
    task = next((task for task in readings if task is not None), None) or load(model)
    commands = commands_for_model(task)
    print_notes(task)
    return task, commands


def classifies_videos(task: Any) -> bool:
    """Whether a model answers for whole videos, of which it takes `frames` frames."""
    return bool(getattr(task, "takes_films", False))


def print_notes(task: Any) -> None:
    """Print what was assumed when a model was loaded."""
    console.print_stderr_notes(task.notes)
