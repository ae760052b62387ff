"""What models are used for: prediction, scores, training."""

from saccade.tasks.classify import Classification, ClassifyTask
from saccade.tasks.classify_training import ClassifyRecipe, ClassifyTraining
from saccade.tasks.detect import Detection, DetectTask
from saccade.tasks.detect_training import DetectRecipe, DetectTraining
from saccade.tasks.load import embedded, load
from saccade.tasks.segment import SegmentTask
from saccade.tasks.segment_training import SegmentRecipe, SegmentTraining
from saccade.tasks.segmentation import Segmentation
from saccade.tasks.task import Task

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
