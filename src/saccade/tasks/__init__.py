"""What models are used for: prediction, scores, training."""

from saccade.tasks.base import Task
from saccade.tasks.classify.task import Classification, ClassifyTask
from saccade.tasks.classify.training import ClassifyRecipe, ClassifyTraining
from saccade.tasks.detect.task import Detection, DetectTask
from saccade.tasks.detect.training import DetectRecipe, DetectTraining
from saccade.tasks.load import embedded, load
from saccade.tasks.segment.result import Segmentation
from saccade.tasks.segment.task import SegmentTask
from saccade.tasks.segment.training import SegmentRecipe, SegmentTraining

__all__ = [
    "Classification",
    "ClassifyRecipe",
    "ClassifyTask",
    "ClassifyTraining",
    "DetectRecipe",
    "DetectTask",
    "DetectTraining",
    "Detection",
    "SegmentRecipe",
    "SegmentTask",
    "SegmentTraining",
    "Segmentation",
    "Task",
    "embedded",
    "load",
]
