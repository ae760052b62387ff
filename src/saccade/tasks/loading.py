"""One way to a model, whatever it is called and wherever it lies."""

from pathlib import Path
from typing import TYPE_CHECKING

from saccade.tasks.base import Task
from saccade.tasks.bundled_models import DEFAULT_CLASSIFIER
from saccade.tasks.trained_models import find_trained_model, open_trained_model

if TYPE_CHECKING:
    from saccade.tasks.classify.video_classifier import VideoClassifyTask
    from saccade.tasks.detect.public import PublicDetectTask
    from saccade.tasks.generate.public import PublicGenerateTask
    from saccade.tasks.generate.public_film import PublicFilmTask
    from saccade.tasks.segment.public import PublicSegmentTask
    from saccade.tasks.vision import PublicVisionTask


def load(
    spec: str | Path = DEFAULT_CLASSIFIER,
) -> (
    "Task | PublicDetectTask | PublicSegmentTask | PublicGenerateTask | PublicFilmTask | VideoClassifyTask | "
    "PublicVisionTask"
):
    """A task, ready for `predict` where it has a head to predict with.

    spec: the name of a bundled model ("cifar"), a folder that `saccade train` wrote (the run's or its model's),
    "hf:owner/name", "timm:name", a folder with config.json and model.safetensors, a safetensors file, or an .onnx or
    .xml file that `saccade export` wrote; of a pipeline of diffusers, which `generate`s, "diffusers:FOLDER" or its
    folder (from the hub: `load_generator`).

    Raises CheckpointError, in one line, if there is no such model or it cannot be read.
    """
    if (own := find_trained_model(str(spec))) is not None:
        return open_trained_model(*own)
    from saccade.tasks.public_loading import load_public  # the readers of all families, which own models do without

    return load_public(spec)
