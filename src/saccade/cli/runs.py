"""What every `saccade train ...` begins with: a folder for the run, and the options of the run it goes on with."""

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from saccade.cli import say
from saccade.cli.source import Source
from saccade.errors import SaccadeError
from saccade.tasks import Task, load
from saccade.train import TrainConfig, as_started

Recipe = TypeVar("Recipe", bound=BaseModel)


def begin(
    name: str, resume: bool, source: Source | None, recipe: Recipe, config: TrainConfig | None
) -> tuple[Path, Source, Recipe, TrainConfig]:
    """The run's folder and what it is told. Raises SaccadeError for a name that is taken or is none, for a run that
    cannot be resumed, and without data."""
    source, config = source or Source(), config or TrainConfig()
    if name in ("", ".", "..") or Path(name).name != name:
        raise say.UsageError(f"--name {name!r} is a path; expected a plain name, under which runs/ gets a folder")
    folder = Path("runs") / name
    if resume:
        config, recipe = as_started(folder, config), as_started(folder, recipe, "recipe")
        source = as_started(folder, source, "source")
    elif any((folder / part).exists() for part in ("state", "model", "log.jsonl")):
        way = "--resume goes on with it" if (folder / "state").exists() else "it saved no state to go on from"
        raise SaccadeError(f"{folder} already holds a run: {way}, another --name starts a new one")
    if source.data is None:
        raise say.UsageError("--data is not given: the pictures to train on are needed")
    return folder, source, recipe, config


def start_from(model: str | None) -> Task | None:
    """The model whose encoder is taken over. Raises SaccadeError for one that has none of ours."""
    if model is None:
        return None
    start = load(model)
    if not isinstance(start, Task):
        raise SaccadeError(f"--start {model}: a detector of another library, whose encoder cannot be taken over here")
    return start
