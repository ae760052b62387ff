"""Procedural scenes as the data of a task: `--data scenes:5000`, `saccade val scenes:1000`."""

from pathlib import Path
from typing import Any

from saccade.data.scenes import Scenes
from saccade.data.scenes.constraints import parse_spec
from saccade.errors import DataError, UsageError

EPOCH = 20_000  # scenes of an epoch of training
VALIDATION = 500  # scenes that select the weights of a run, and that `val` uses by default
VALIDATION_SEED, TEST_SEED = 0, 1_000_003


def scene_splits(data: Path, size: Any, seed: int) -> tuple[Scenes, Scenes] | None:
    """Scenes to train on and to validate on; None if `data` is not such a specification.

    Training never draws a held-out combination of shapes, colours and relations (`saccade.data.scenes.constraints`).
    """
    found = _arguments(data)
    if found is None:
        return None
    found = {"size": size, **found, "combinations": "seen"}
    training = Scenes(**{"n": EPOCH, "seed": seed + 1, **found})
    return training, Scenes(**{**found, "n": VALIDATION, "seed": VALIDATION_SEED})


def evaluation_scenes(data: Path, size: Any, **defaults: Any) -> Scenes | None:
    """Scenes to evaluate a trained model on; None if `data` is not such a specification. defaults: arguments of
    `Scenes` that it may leave out."""
    found = _arguments(data)
    return None if found is None else Scenes(**{"n": VALIDATION, "size": size, "seed": TEST_SEED, **defaults, **found})


def _arguments(data: Path) -> dict[str, Any] | None:
    try:
        return None if data.exists() else parse_spec(str(data))
    except DataError as error:
        raise UsageError(str(error)) from error
