"""The objects of a picture: shapes and places by the detector, pixels by the segmenter, colours by fixed rules."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, UInt8
from PIL import Image
from scipy import ndimage

from saccade.data.images import Picture
from saccade.ops.boxes import iou
from saccade.tasks.detect.result import Detection
from saccade.tasks.detect.task import DetectTask
from saccade.tasks.judge.colours import object_colour
from saccade.tasks.loading import load
from saccade.tasks.segment.task import SegmentTask

SIDE = 128  # pixels of the shorter side at which pictures are examined, that of the networks' training
THRESHOLD = 0.5  # score of a detection
MIN_PIXELS = 20  # of an object
MIN_PART = 4  # pixels of a part of an object, in which occluders may have cut it
MARGIN = 2.0  # pixels by which parts may leave the detected box
IN_BOX = 0.95  # of a part's pixels that lie in the box it belongs to

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class FoundObject:
    """An object found in a picture.

    Attributes:
        shape, colour: names as in `saccade.data.scenes`; the colour is None where it is none of the ten.
        box: left, top, right, bottom around the pixels of the mask, as of `saccade.data.objects.ObjectAnnotations`.
        mask: bool (y x), its visible pixels.
        score: of the detection, 0 to 1.
    """

    shape: str
    colour: str | None
    box: Box
    mask: Bool[np.ndarray, "y x"]
    score: float

    @cached_property
    def num_pixels(self) -> int:
        """How many pixels show it."""
        return int(self.mask.sum())

    def __str__(self) -> str:
        return f"{self.colour or 'grey'} {self.shape}"


class ObjectFinder:
    """Finds the objects of drawn scenes with the bundled detector "scenes" and the bundled segmenter "shapes"."""

    def __init__(self, detector: DetectTask | None = None, segmenter: SegmentTask | None = None) -> None:
        self.detector = detector or _bundled("scenes", DetectTask)
        self.segmenter = segmenter or _bundled("shapes", SegmentTask)

    @torch.no_grad()
    def find(self, pictures: list[Picture]) -> list[list[FoundObject]]:
        """The objects of each picture by descending score, in pixels of the picture resized by
        `resize_for_detection`."""
        images = [Picture(resize_for_detection(picture.image), picture.name) for picture in pictures]
        detections = self.detector.predict_all(images, THRESHOLD)
        segmentations = self.segmenter.predict_all(images)
        return [
            self._objects(np.asarray(image.image), detection, segmentation.mask.numpy(), segmentation.classes)
            for image, detection, segmentation in zip(images, detections, segmentations, strict=True)
        ]

    def _objects(
        self,
        pixels: UInt8[np.ndarray, "y x 3"],
        detection: Detection,
        classes: UInt8[np.ndarray, "y x"],
        labels: Sequence[str],
    ) -> list[FoundObject]:
        boxes = [tuple(box) for box in detection.found.boxes.tolist()]
        masks = object_masks(boxes, [labels.index(shape) for shape in detection.labels], classes)
        return [
            FoundObject(shape, object_colour(pixels, mask), box_around(mask), mask, score)
            for shape, mask, score in zip(detection.labels, masks, detection.found.scores.tolist(), strict=True)
            if mask.sum() >= MIN_PIXELS
        ]


def resize_for_detection(image: Image.Image) -> Image.Image:
    """The picture with `SIDE` pixels on the shorter side."""
    scale = SIDE / min(image.size)
    if scale == 1:
        return image
    return image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)


def object_masks(
    boxes: list[Box], kinds: list[int], classes: UInt8[np.ndarray, "y x"]
) -> list[Bool[np.ndarray, "y x"]]:
    """The pixels of each object: those connected parts of its class that lie in its box.

    boxes: of the objects. kinds: the class index of each. classes: the class index of each pixel. A part that lies in
    several boxes of its class belongs to the one that fits it best, by IoU, as of rings in rings; one that lies in
    none, as of two objects that touch, is divided by whose centre is nearest, in units of the box.
    """
    masks = [np.zeros(classes.shape, bool) for _ in boxes]
    for kind in set(kinds):
        rivals = [i for i, each in enumerate(kinds) if each == kind]
        far = {i: _distance(boxes[i], classes.shape) for i in rivals}
        parts, count = ndimage.label(classes == kind, np.ones((3, 3)))
        for part in (parts == number for number in range(1, count + 1)):
            if part.sum() < MIN_PART:
                continue
            around = [i for i in rivals if (far[i][part] <= 1).mean() >= IN_BOX]
            if around:
                fits = torch.tensor([boxes[i] for i in around], dtype=torch.float32)
                masks[around[int(iou(fits, torch.tensor(box_around(part))).argmax())]] |= part
            else:
                nearest = np.stack([far[i] for i in rivals]).argmin(axis=0)
                for rank, i in enumerate(rivals):
                    masks[i] |= part & (nearest == rank) & (far[i] <= 1)
    return masks


def box_around(mask: Bool[np.ndarray, "y x"]) -> Box:
    """Left, top, right, bottom of the pixels of a mask that is not empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


def _distance(box: Box, size: tuple[int, ...]) -> np.ndarray:
    """From the centre of a box to each pixel, in units of its half sides with a margin; up to 1 inside."""
    left, top, right, bottom = box
    x = np.abs(np.arange(size[1]) + 0.5 - (left + right) / 2) / ((right - left) / 2 + MARGIN)
    y = np.abs(np.arange(size[0]) + 0.5 - (top + bottom) / 2) / ((bottom - top) / 2 + MARGIN)
    return np.maximum(x, y[:, None])


def _bundled(name: str, kind: type):
    task = load(name)
    assert isinstance(task, kind)
    return task
