"""Look at an image through a model: the prediction, and what the model attends to."""

from typing import Any

import torch

from saccade.data import Picture
from saccade.studio.views import LookOptions, View, view_of
from saccade.tasks import load
from saccade.tasks.loading import load_matching

_DEFAULTS = LookOptions()


@torch.no_grad()
def look(task: Any, picture: Picture, options: LookOptions = _DEFAULTS) -> View:
    """Run a task's model on one image and keep what it attended to, in the task's view.

    Raises SaccadeError for a model whose attention cannot be shown, and for options that do not apply to it.
    """
    return view_of(task).look(task, picture, options)


def look_at(model: str, picture: Picture, options: LookOptions, device: torch.device | str) -> View:
    """Load a model by name, with its text tower if there are texts, and look at an image with it.

    Raises SaccadeError as `look` and the loaders do."""
    task: Any = load_matching(model) if options.texts else load(model)
    task.model.to(device)
    return look(task, picture, options)
