"""A view for each task: what the terminal, the page and the JSON output of `look` show of it.

A new task registers its view's "module:Class" below; without one its attention and the text of its result are shown.
"""

from importlib import import_module
from typing import Any

from saccade.studio.views.base import LookOptions, View

__all__ = ["DEFAULT_VIEW", "VIEWS", "LookOptions", "View", "view_of"]

VIEWS = {
    "classify": "saccade.studio.views.classify:ClassifyView",
    "detect": "saccade.studio.views.detect:DetectView",
    "segment": "saccade.studio.views.segment:SegmentView",
    "match": "saccade.studio.views.attribution:AttributionView",
}
DEFAULT_VIEW = "saccade.studio.views.encoder:EncoderView"


def view_of(task: Any) -> type[View]:
    """The view class registered for a task, by its `kind`."""
    module, _, name = VIEWS.get(getattr(task, "kind", ""), DEFAULT_VIEW).partition(":")
    return getattr(import_module(module), name)
