"""The view of a matcher: words and patches of another library's dual encoder, or the attention among the patches of
our own."""

from dataclasses import replace
from typing import Any

from saccade.checkpoints.matchers import PublicMatcher
from saccade.data import Picture
from saccade.studio.views.attribution import AttributionView
from saccade.studio.views.base import LookOptions, View
from saccade.studio.views.encoder import EncoderView
from saccade.tasks import Task
from saccade.tasks.match.public import PublicMatchTask

NO_WORDS = "the page shows attention among the patches alone, not of the words of a text to them"


class MatchView(View):
    """Chooses the view of a matcher."""

    @classmethod
    def look(cls, task: Any, picture: Picture, options: LookOptions) -> View:
        """`AttributionView` for a public matcher; of a `MatchTask`, its picture encoder."""
        if isinstance(task, PublicMatchTask):
            return AttributionView.look(task.matcher, picture, options)
        if isinstance(task, PublicMatcher):
            return AttributionView.look(task, picture, options)
        encoder = Task(task.model.vit, task.preprocess, task.name, task.notes, task.card)
        view = EncoderView.look(encoder, picture, replace(options, text=None))
        kept = [note for note in view.notes if "no classification head" not in note]
        view.notes[:] = [*kept, NO_WORDS]
        return view
