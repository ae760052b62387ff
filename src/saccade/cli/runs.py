"""What every `saccade train ...` does: it finds the run's folder and options, trains, and says what came of it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import BaseModel

from saccade.cli import say
from saccade.cli.source import Source
from saccade.errors import SaccadeError
from saccade.tasks import Task, load
from saccade.train import Trainable, TrainConfig, resume_options

Recipe = TypeVar("Recipe", bound=BaseModel)


@dataclass(frozen=True)
class Run(Generic[Recipe]):
    """A run's folder and what it is told; `data` is where its pictures are."""

    folder: Path
    resume: bool
    data: Path
    source: Source
    recipe: Recipe
    config: TrainConfig

    def train(self, training: Any, held: Any, task: Callable[..., Trainable], what: str = "pictures") -> None:
        """Train on one set and validate on the other.

        task: from both sets, the recipe, the seed and the model to start from. what: of the sets may be left out, in
        the plural.
        """
        from saccade.device import is_main_process
        from saccade.train import train

        console, screen = say.to(stderr=True), say.to()
        console.quiet = screen.quiet = not is_main_process()
        for note in dict.fromkeys([*training.notes, *held.notes]):
            say.note(console, note)
        trainable = task(training, held, self.recipe, self.config.seed, start_from(self.source.start))
        scores = train(trainable, self.config, self.folder, self.resume, self.source)
        for dataset in (training, held):
            say.skipped(console, dataset.skipped, what)
        said = "  ".join(f"{key} {value:.4f}" for key, value in scores.items())
        say.line(screen, f"{self.folder / 'model'}: {said}")


def begin(name: str, resume: bool, source: Source | None, recipe: Recipe, config: TrainConfig | None) -> Run[Recipe]:
    """A new run, or the one to go on with. Raises SaccadeError for a name that is taken or is none, for a run that
    cannot be resumed, and without data."""
    source, config = source or Source(), config or TrainConfig()
    if name in ("", ".", "..") or Path(name).name != name:
        raise say.UsageError(f"--name {name!r} is a path; expected a plain name, under which runs/ gets a folder")
    folder = Path("runs") / name
    if resume:
        config, recipe = resume_options(folder, config), resume_options(folder, recipe, "recipe")
        source = resume_options(folder, source, "source")
    elif any((folder / part).exists() for part in ("state", "model", "log.jsonl")):
        way = "--resume goes on with it" if (folder / "state").exists() else "it saved no state to go on from"
        raise SaccadeError(f"{folder} already holds a run: {way}, another --name starts a new one")
    if source.data is None:
        raise say.UsageError("--data is not given: the pictures to train on are needed")
    return Run(folder, resume, source.data, source, recipe, config)


def start_from(model: str | None) -> Task | None:
    """The model whose encoder is taken over. Raises SaccadeError for one that has none of ours."""
    if model is None:
        return None
    start = load(model)
    if not isinstance(start, Task):
        raise SaccadeError(f"--start {model}: a model of another library, whose encoder cannot be taken over here")
    return start
