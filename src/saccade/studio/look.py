"""Look at an image through a model: the prediction, and what the model attends to."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from saccade.data import Picture
from saccade.studio.views import LookOptions, View, view_of
from saccade.tasks import load
from saccade.tasks.loading import load_matching
from saccade.tasks.match.task import MatchTask
from saccade.tasks.match.yardstick import Comparison, compare

_DEFAULTS = LookOptions()


@torch.no_grad()
def look(task: Any, picture: Picture, options: LookOptions = _DEFAULTS) -> View:
    """Run a task's model on one image and keep what it attended to, in the task's view.

    Raises SaccadeError for a model whose attention cannot be shown, and for options that do not apply to it.
    """
    return view_of(task).look(task, picture, options)


def look_at(model: str, picture: Picture, options: LookOptions, device: torch.device | str) -> View:
    """Load a model by name and look at an image with it. Raises SaccadeError as `look` and the loaders do."""
    task: Any = load(model)
    task.model.to(device)
    return look(task, picture, options)


def look_at_best(
    model: str, picture: Picture, texts: Sequence[str], options: LookOptions, device: torch.device | str
) -> tuple[Comparison | None, View]:
    """Load a model that matches text with pictures, rank texts for an image, and look at it with the best one.

    A single text is compared only where the view says nothing of it. Raises as `look_at`."""
    task = load_matching(model)
    task.model.to(device)
    compared = compare(task, picture, texts) if len(texts) > 1 or isinstance(task, MatchTask) else None
    best = texts[0] if compared is None else compared.ranking.texts[0]
    return compared, look(task, picture, replace(options, text=best))
