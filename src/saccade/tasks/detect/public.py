"""Public detectors as tasks."""

from saccade.checkpoints.detectors import PublicDetector
from saccade.data.images import Picture
from saccade.tasks.base import PublicTask
from saccade.tasks.detect.result import Detections
from saccade.tasks.detect.task import BaseDetectTask


class PublicDetectTask(PublicTask, BaseDetectTask):
    """A detector of transformers: `predict` and `val` as of `DetectTask`. It predicts no relations."""

    kind = "detect"

    def __init__(self, detector: PublicDetector):
        super().__init__(detector)
        self.detector, self.relations = detector, list[str]()

    def detect(self, pictures: list[Picture]) -> list[Detections]:
        """All objects that the model proposes, in pixels of each picture. As in transformers, boxes may extend beyond
        the picture."""
        return [Detections(*found) for found in self.detector.detect([picture.image for picture in pictures])]
