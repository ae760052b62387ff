"""A classifier in a file of an inference engine."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from saccade.errors import CheckpointError
from saccade.tasks.classify.ood import KEY, OODDetector, pooled_features
from saccade.tasks.classify.task import ClassifyTask, softmax
from saccade.tasks.exported import ExportedTask
from saccade.tasks.exported_graph import ExportGraph


class ClassifierGraph(ExportGraph):
    """Logits, and the out-of-distribution score where the task has one."""

    def __init__(self, task: ClassifyTask):
        super().__init__(task)
        self.ood_at_this_size = task.ood_at_this_size
        self.outputs = ("logits",)
        if (ood := self.ood_at_this_size) is not None:
            self.outputs = ("logits", "ood_score")
            self.card = {KEY: {"threshold": ood.threshold, "margin_threshold": ood.margin, "size": ood.size}}

    def forward(self, pictures: Float[Tensor, "b c y x"]) -> tuple[Tensor, ...]:
        if self.ood_at_this_size is None:
            return (self.model(pictures),)
        tokens = self.model.vit(pictures)
        return self.model.classify(tokens), self.ood_at_this_size(pooled_features(tokens, self.model.vit))


@dataclass
class ExportedClassifyTask(ExportedTask, ClassifyTask):
    """Classes are ranked and doubted as those of `ClassifyTask`. Its `ood` holds the thresholds alone: the scores are
    an output of the network."""

    graph: ClassVar[type[ExportGraph]] = ClassifierGraph

    def __post_init__(self) -> None:
        if "ood_score" in self.signature.outputs:
            self.ood = _thresholds(self.card, self.name)

    def probabilities_and_ood(
        self, inputs: Float[Tensor, "b c y x"]
    ) -> tuple[Float[Tensor, "b classes"], Float[Tensor, "b"] | list[None]]:
        outputs = self.run(inputs)
        scores = outputs["ood_score"].cpu() if self.ood_at_this_size else [None] * len(inputs)
        return softmax(outputs["logits"]).cpu(), scores


def _thresholds(card: dict[str, Any], name: str) -> OODDetector:
    try:
        known = card[KEY]
        height, width = known["size"]
        nothing = torch.zeros(0)
        return OODDetector(nothing, nothing, known["threshold"], known["margin_threshold"], (height, width))
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{name} lacks the thresholds of its ood_score: export it again") from error
