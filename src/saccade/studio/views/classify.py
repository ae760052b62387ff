"""The view of a classifier: probabilities as bars, and its self-attention."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jaxtyping import Float
from rich.console import Console
from torch import Tensor

from saccade.data import Picture
from saccade.language import labels_of
from saccade.lens import TokenMap
from saccade.studio.inputs.summary import InputSummary, input_summary
from saccade.studio.page.targets import Targets
from saccade.studio.patches.class_maps import ClassMaps, chosen_classes, class_maps
from saccade.studio.terminal import ROLLOUT, bars, draw_heat
from saccade.studio.views.base import LookOptions
from saccade.studio.views.encoder import EncoderView, ForwardPass, forward
from saccade.tasks.classify.ood import record_pooled
from saccade.tasks.classify.result import Classification
from saccade.tasks.classify.task import softmax


@dataclass(frozen=True)
class ClassifierPass(ForwardPass):
    """features: the `pooled_features` of the image."""

    features: Float[Tensor, "e"]


@dataclass(kw_only=True)
class ClassifyView(EncoderView):
    """One image seen by a classifier."""

    prediction: Classification

    @classmethod
    def forward(cls, task: Any, inputs: Float[Tensor, "1 c y x"]) -> ForwardPass:
        with record_pooled(task.vit) as features:
            run = forward(task, inputs)
        return ClassifierPass(**vars(run), features=features[0][0].cpu())

    @classmethod
    def read_prediction(
        cls, task: Any, picture: Picture, run: ForwardPass, options: LookOptions
    ) -> tuple[Classification, Targets | None, list[str]]:
        assert isinstance(run, ClassifierPass)
        known = softmax(run.out)[0].cpu()
        prediction = task.to_classification(known, run.features, picture.name, picture.notes, options.top)
        return prediction, None, []

    @classmethod
    def input_summary(cls, task: Any, picture: Picture, prediction: Classification) -> InputSummary:
        return input_summary(task, task.preprocess, picture.image, prediction)

    @classmethod
    def class_maps(
        cls, task: Any, inputs: Float[Tensor, "1 c y x"], run: ForwardPass, options: LookOptions
    ) -> tuple[ClassMaps | None, list[str]]:
        chosen = chosen_classes(task.labels, softmax(run.out)[0].cpu(), options.classes)
        tokens = TokenMap(run.grid, len(task.prefix))
        model = task.model.eval()
        inputs = inputs.to(next(model.parameters()).device)
        return class_maps(model, model, inputs, tokens, {i: task.labels[i] for i in chosen})

    def facts(self) -> dict[str, str]:
        return super().facts() | {"classes": str(len(labels_of(self.task)))}

    def print_summary(self, console: Console) -> None:
        if self.seen is not None:
            self.seen.print_before(console)
        console.print(bars(self.prediction.labels, self.prediction.probabilities))
        if self.seen is not None:
            self.seen.print_after(console)
        draw_heat(console, self.picture, self.heat, ROLLOUT)

    @property
    def predictions(self) -> Sequence[tuple[str, float]]:
        return list(zip(self.prediction.labels, self.prediction.probabilities, strict=True))
