"""What models are used for: prediction, evaluation, training. A folder for each task."""

from typing import TYPE_CHECKING

from saccade.lazy import lazy_exports

if TYPE_CHECKING:
    from saccade.tasks.base import Task
    from saccade.tasks.bundled_models import bundled
    from saccade.tasks.classify.recipe import ClassifyRecipe
    from saccade.tasks.classify.result import Classification
    from saccade.tasks.classify.task import ClassifyTask
    from saccade.tasks.classify.training import ClassifyTraining
    from saccade.tasks.detect.recipe import DetectRecipe
    from saccade.tasks.detect.result import Detection
    from saccade.tasks.detect.task import DetectTask
    from saccade.tasks.detect.training import DetectTraining
    from saccade.tasks.loading import load
    from saccade.tasks.segment.recipe import SegmentRecipe
    from saccade.tasks.segment.result import Segmentation
    from saccade.tasks.segment.task import SegmentTask
    from saccade.tasks.segment.training import SegmentTraining

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
    "bundled",
    "load",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "Classification": ".classify.result",
        "ClassifyRecipe": ".classify.recipe",
        "ClassifyTask": ".classify.task",
        "ClassifyTraining": ".classify.training",
        "DetectRecipe": ".detect.recipe",
        "DetectTask": ".detect.task",
        "DetectTraining": ".detect.training",
        "Detection": ".detect.result",
        "SegmentRecipe": ".segment.recipe",
        "SegmentTask": ".segment.task",
        "SegmentTraining": ".segment.training",
        "Segmentation": ".segment.result",
        "Task": ".base",
        "bundled": ".bundled_models",
        "load": ".loading",
    },
)
