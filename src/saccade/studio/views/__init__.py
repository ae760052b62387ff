"""A view for each task: what the terminal, the page and the JSON output of `look` show of it.

A task names its view class in its commands (`TaskCommands.view`). Without one, its attention and its result's text are
shown.
"""

from typing import Any

from saccade.lazy import resolve_name
from saccade.studio.views.base import LookOptions, View
from saccade.tasks import registry

__all__ = ["LookOptions", "View", "view_of"]

DEFAULT = "saccade.studio.views.encoder:EncoderView"
OTHERS = {  # of models that are no task's
    "picture": "saccade.studio.views.vision:VisionView",
    "ask": "saccade.studio.views.answer:AnswerView",
}


def view_of(task: Any) -> type[View]:
    """The view class of a task, by its `kind`."""
    kind = getattr(task, "kind", "")
    named = registry.task_commands(kind).view if kind in registry.TASKS else OTHERS.get(kind)
    return resolve_name(named or DEFAULT)
