"""Options of `predict` and `val` with a detector."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from saccade.options import AnnotatedValOptions
from saccade.tasks.commands import DrawOptions


class DetectPredictOptions(DrawOptions):
    """Options of `predict` with a detector."""

    threshold: Annotated[float | None, Field(ge=0, le=1)] = None
    """Lowest score of an object, 0 to 1; default: that of the best F1 on the model's validation pictures, else 0.5."""
    masks: Path | None = None
    """Folder for PNGs of the pixels; of a video, a folder with one for each frame. Of a segmenter: the class index of
    each pixel. Of a detector with masks: the number of its object in 16 bits, from 1 by descending score, else 0."""
    coco: Path | None = None
    """File for COCO JSON. Of a detector: the boxes of all pictures with their scores. Of a segmenter: the class areas,
    exact to the pixel, one run-length-encoded annotation for each class of a picture; a first class called background,
    void, null or unlabelled is left out."""
    yolo: Path | None = None
    """Folder for the found objects as YOLO labels: a .txt for each picture, and classes.txt with the names."""
    crops: Path | None = None
    """Folder for the found objects cut out of their pictures: a folder for each class, which train classify reads."""


class DetectValOptions(AnnotatedValOptions):
    """Options of `val` with a detector."""

    keep_threshold: bool | None = None
    """Keep the threshold of the best F1 with the model, for predict and look; default: where it keeps none yet."""
