"""Other people's detectors, used as ours are."""

from typing import Any

from saccade.checkpoints.detectors import PublicDetector
from saccade.data.images import Picture
from saccade.tasks.detect.result import Detections
from saccade.tasks.detect.task import BaseDetectTask


class PublicDetectTask(BaseDetectTask):
    """A detector of transformers': `predict` and `val` as of `DetectTask`. It tells no relations."""

    kind = "detect"

    def __init__(self, detector: PublicDetector):
        self.detector = detector
        self.model, self.name, self.notes = detector.model, detector.name, detector.notes
        self.labels, self.relations = detector.classes, list[str]()
        self.card: dict[str, Any] = {}

    @property
    def parameters(self) -> int:
        """How many numbers were learned."""
        return sum(p.numel() for p in self.model.parameters())

    def detect(self, pictures: list[Picture]) -> list[Detections]:
        """All that the model proposes, in pixels of each picture, however unsure. As transformers has it: boxes may
        reach over the picture's edge."""
        return [Detections(*found) for found in self.detector.detect([picture.image for picture in pictures])]
