"""The view of a classifier: probabilities as bars, and its self-attention."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from saccade.data import Picture
from saccade.studio.targets import Targets
from saccade.studio.terminal import bars, draw_heat
from saccade.studio.views.base import LookOptions
from saccade.studio.views.encoder import EncoderView, ForwardPass
from saccade.tasks.classify.result import Classification
from saccade.tasks.classify.task import softmax


@dataclass(kw_only=True)
class ClassifyView(EncoderView):
    """One image seen by a classifier."""

    prediction: Classification

    @classmethod
    def read(
        cls, task: Any, picture: Picture, run: ForwardPass, options: LookOptions
    ) -> tuple[Classification, Targets | None, list[str]]:
        return task.named(softmax(run.out)[0].cpu(), picture.name, picture.notes, options.top), None, []

    def print_summary(self, console: Console) -> None:
        console.print(bars(self.prediction.labels, self.prediction.probabilities))
        draw_heat(console, self.picture, self.heat)

    @property
    def predictions(self) -> Sequence[tuple[str, float]]:
        return list(zip(self.prediction.labels, self.prediction.probabilities, strict=True))
