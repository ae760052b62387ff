"""The tasks that the command line knows. A new task is a folder and a line in `TASKS`. Imports no PyTorch."""

from importlib import import_module
from typing import Any

from saccade.errors import SaccadeError
from saccade.tasks.commands import TaskCommands

# name of the task -> the module that holds its `COMMANDS`
TASKS = {
    "classify": "saccade.tasks.classify.commands",
    "detect": "saccade.tasks.detect.commands",
    "segment": "saccade.tasks.segment.commands",
    "match": "saccade.tasks.match.commands",
    "generate": "saccade.tasks.generate.commands",
}


def task_commands(name: str) -> TaskCommands:
    """What the command line knows of the task `name`."""
    return import_module(TASKS[name]).COMMANDS


def all_task_commands() -> list[TaskCommands]:
    """Of every task, in the order of `TASKS`."""
    return [task_commands(name) for name in TASKS]


def commands_for_model(task: Any) -> TaskCommands:
    """Of a loaded model, by its `kind`. Raises SaccadeError for a model without a head."""
    kind = getattr(task, "kind", None)
    if kind == "picture":
        raise SaccadeError(
            f"{task.name} is read in the class of its own library, to look into: saccade look shows what it attends to "
            "and its classes; this command reads the models of its tasks only"
        )
    if kind not in TASKS:
        raise SaccadeError(
            f"{task.name} has no head to predict with; `saccade look` can look into it, and --text ranks texts where "
            "it reads them"
        )
    return task_commands(kind)
