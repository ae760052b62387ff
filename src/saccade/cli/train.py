"""`saccade train TASK`, for each task of the registry."""

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from cyclopts import Parameter

from saccade.cli import console
from saccade.cli.interrupt import import_torch
from saccade.cli.task_options import build_options, options_to_parameters, with_options
from saccade.data.output import WriteError
from saccade.errors import SaccadeError, UsageError, in_one_line
from saccade.options import ClassDataOptions, DataOptions, Options
from saccade.tasks.commands import TaskCommands
from saccade.train.config import CONFIG, LOCK, TrainConfig, resume_options

if TYPE_CHECKING:
    from saccade.tasks import Task

Recipe = TypeVar("Recipe", bound=Options)

DATA_SHEET = "data.png"  # in the folder of a run
SPLITS = ("training", "validation")

_PARAMETERS = """
A run is saved every --save-every minutes and before every validation. Ctrl-C, SIGTERM and SIGHUP save it and end it
with exit codes 130, 143 and 129; a second one ends it at once. SIGUSR1 saves it, and it goes on. After any of these, a
crash or a power cut, --resume goes on; torchrun --max-restarts 3 goes on by itself when a process is lost.

Parameters
----------
name
    Name of the run.
resume
    Continue the run of this name, with the options it was started with, from its newest state; from the beginning if it
    was ended before the first one.
"""


@dataclass(frozen=True)
class Run:
    """The folder and the options of a training run."""

    folder: Path
    resume: bool
    data: DataOptions
    recipe: Any
    config: TrainConfig


def train_command(task: TaskCommands) -> Callable[..., None]:
    """The function behind `saccade train NAME`; its signature and docstring are what cyclopts shows."""

    @with_options(
        data=options_to_parameters(task.data_options, "Data"),
        recipe=options_to_parameters(task.recipe, "Model and augmentation"),
        config=options_to_parameters(TrainConfig, "Training"),
    )
    def train(
        *,
        name: str = task.name,
        resume: Annotated[bool, Parameter(negative=())] = False,
        data: dict[str, Any],
        recipe: dict[str, Any],
        config: dict[str, Any],
    ) -> None:
        options = (
            build_options(task.data_options, data),
            build_options(task.recipe, recipe),
            build_options(TrainConfig, config),
        )
        run_training(task, prepare_run(name, resume, *options))

    train.__doc__ = task.help + _PARAMETERS
    return train


def prepare_run(name: str, resume: bool, data: DataOptions, recipe: Recipe, config: TrainConfig) -> Run:
    """A new run, or the one to resume. Raises SaccadeError for a name that is taken or invalid, for a run that cannot
    be resumed, and without data."""
    if name in ("", ".", "..") or Path(name).name != name:
        raise UsageError(f"--name {name!r} is a path; expected a plain name, under which runs/ gets a folder")
    folder = Path("runs") / name
    resume = resume or (restarted() and (folder / CONFIG).exists())
    if resume:
        config, recipe = resume_options(folder, config), resume_options(folder, recipe, "recipe")
        data = resume_options(folder, data, "source")
    elif any((folder / part).exists() for part in ("state", "model", "log.jsonl")):
        begun = any((folder / part).exists() for part in ("state", CONFIG, LOCK))
        remedy = "--resume continues it" if begun else "it saved no state to resume from"
        raise SaccadeError(f"{folder} already holds a run: {remedy}, another --name starts a new one")
    if not data.sources:
        raise UsageError(f"{data.required} is missing: give the pictures to train on")
    for path in (*data.sources, *filter(None, [data.val])):
        console.check_data(path)
    return Run(folder, resume, data, recipe, config)


def restarted() -> bool:
    """Whether torchrun started the processes again after one was lost (--max-restarts): the run goes on."""
    return os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") != "0"


def run_training(task: TaskCommands, run: Run) -> None:
    """Train, and print the scores of the best weights."""
    begun = time.monotonic()  # reading the data is part of the time of a run
    import_torch()
    from saccade.data.dataset import alike_classes
    from saccade.device import is_main_process
    from saccade.tasks.held_out_data import describe_split
    from saccade.tasks.sample_sheet import write_sample_sheet
    from saccade.train import train
    from saccade.train.log import format_scores

    training_set, validation_set = task.open_splits(run.data, run.recipe, run.config.seed)
    stderr, stdout = console.stderr(), console.stdout()
    stderr.quiet = stdout.quiet = not is_main_process()
    datasets = (training_set, validation_set)
    opened = dict.fromkeys(note for dataset in datasets for note in dataset.notes)
    for note in opened:
        console.print_note(stderr, note)
    pretrained = load_pretrained(run.data.weights)
    trainable: Any = task.training()(*datasets, run.recipe, run.config.seed, pretrained)
    if isinstance(run.data, ClassDataOptions) and run.data.data is not None and run.data.data.exists():
        trainable.about["split"] = describe_split(*datasets, run.data)
    for alike in alike_classes(getattr(training_set, "classes", ())):
        console.print_note(
            stderr, f"classes whose names are nearly the same: {alike}; give them one name if they are one"
        )
    read = (note for dataset in datasets for note in dataset.notes if note not in opened)
    for note in dict.fromkeys((*read, *getattr(trainable, "notes", ()))):
        console.print_note(stderr, note)
    printed = _print_skipped(stderr, datasets, ({}, {}), task.items)

    def draw(folder: Path) -> list[str]:
        sheet = folder / DATA_SHEET
        try:
            drawn = write_sample_sheet(sheet, dict(zip(SPLITS, datasets, strict=True)), task)
        except WriteError:
            raise
        except Exception as error:  # a picture of the data is not worth a training
            return [f"what was read could not be drawn: {in_one_line(error)}"]
        return [f"what was read is drawn in {sheet}: look at it"] if drawn else []

    try:
        scores = train(trainable, run.config, run.folder, run.resume, run.data, draw, begun)
    finally:  # too few samples may be the reason why it fails
        _print_skipped(stderr, datasets, printed, task.items)
    console.print_styled_line(stdout, f"{run.folder / 'model'}: {format_scores(scores) or 'no scores'}")


def _print_skipped(
    stderr: Any, datasets: Iterable[Any], printed: Iterable[dict[str, str]], items: str
) -> list[dict[str, str]]:
    """Print what was left out of each data set and was not printed before; returns all that was left out."""
    for dataset, before in zip(datasets, printed, strict=True):
        new = {name: why for name, why in dataset.skipped.items() if name not in before}
        console.print_skipped(stderr, new, items)
    return [dict(dataset.skipped) for dataset in datasets]


def load_pretrained(model: str | None) -> "Task | None":
    """The model to start from. Raises SaccadeError for one without an encoder of this library."""
    if model is None:
        return None
    from saccade.tasks import Task, load

    task = load(model)
    if not isinstance(task, Task):
        raise SaccadeError(f"--weights {model}: a model of another library, whose weights cannot be loaded here")
    return task
