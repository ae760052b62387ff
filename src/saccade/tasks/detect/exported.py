"""A detector in a file of an inference engine."""

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from saccade.models.detector import DetectorOutput
from saccade.models.masks import MaskFeatures
from saccade.tasks.detect.task import DetectTask
from saccade.tasks.exported import ExportedTask
from saccade.tasks.exported_graph import ExportGraph

MASKS = ("mask_queries", "mask_pixels")  # names of outputs of detectors that find masks


class DetectorGraph(ExportGraph):
    """What `postprocess` reads: of the last block the logits and boxes, relations where there are some, and what masks
    are made of."""

    def __init__(self, task: DetectTask):
        super().__init__(task)
        self.card = {"queries": task.queries}
        relations = ("relations",) if task.model.relation_head is not None else ()
        self.outputs = ("logits", "boxes", *relations, *(MASKS if task.masks else ()))

    def forward(self, pictures: Float[Tensor, "b c y x"]) -> tuple[Tensor, ...]:
        output = self.model(pictures)
        relations = () if output.relations is None else (output.relations,)
        return output.logits[-1], output.boxes[-1], *relations, *(output.masks or ())


@dataclass
class ExportedDetectTask(ExportedTask, DetectTask):
    """Objects are chosen and named as those of `DetectTask`."""

    graph: ClassVar[type[ExportGraph]] = DetectorGraph
    class_axis: ClassVar[int] = 2

    @property
    def queries(self) -> int:
        return int(self.card["queries"])

    @property
    def masks(self) -> bool:
        return MASKS[0] in self.signature.outputs

    def forward(self, inputs: Float[Tensor, "b c y x"]) -> DetectorOutput:
        found = self.run(inputs)
        masks = MaskFeatures(*(found[name] for name in MASKS)) if self.masks else None
        return DetectorOutput([found["logits"]], [found["boxes"]], None, found.get("relations"), masks)  # type: ignore[arg-type]
