"""Where the bundled models and those that `saccade train` wrote lie, and opening them."""

from pathlib import Path

from saccade.errors import CheckpointError
from saccade.tasks.bundled_models import bundled, bundled_folder
from saccade.tasks.registry import TASKS, task_commands
from saccade.tasks.saved import TrainedTask, read_model_kind


def find_trained_model(name: str) -> tuple[Path, str] | None:
    """The folder of a bundled model or of one that `saccade train` wrote, and what to call it; None for any other."""
    if name in bundled():
        return bundled_folder(name), name
    folder = Path(name)
    place = next((place for place in (folder, folder / "model") if read_model_kind(place) is not None), None)
    return None if place is None else (place, folder.resolve().name)


def open_trained_model(folder: Path, name: str) -> TrainedTask:
    """The model of any task in a folder that training wrote. Raises CheckpointError if it cannot be read."""
    kind = read_model_kind(folder)
    if kind not in TASKS:
        raise CheckpointError(
            f"{folder} holds a model for the task {kind!r}, which this version does not know; it knows "
            f"{', '.join(TASKS)}: install a newer saccade"
        )
    return task_commands(kind).task_class().open(folder, name)


def is_generator(spec: str | Path) -> bool:
    """Whether a model, as for `saccade.load`, is one that `saccade train generate` wrote or a pipeline of diffusers."""
    if (own := find_trained_model(str(spec))) is not None:
        return read_model_kind(own[0]) == "generate"
    from saccade.checkpoints.pipelines import is_pipeline

    return is_pipeline(spec)
