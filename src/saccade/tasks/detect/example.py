"""A picture with its annotated objects for the sheet of a data set."""

from collections import Counter

import numpy as np
from PIL import Image
from torch import Tensor

from saccade.data.objects import ObjectAnnotations, ObjectSet
from saccade.errors import shorten_list
from saccade.tasks.drawing import PAPER, Overlay, colour, curve_between, label_positions, truncate_text
from saccade.tasks.sample_sheet import Example, thumbnail

_MOST_NAMED = 24  # objects of a picture with their names, beyond which these would hide it
_ARROWS = 6


def draw_example(dataset: ObjectSet, index: int) -> Example:
    """A picture with the box, class and outline of each object, dashed where it is ignored, and with arrows between
    those that are related. Raises DataError if it cannot be read."""
    picture, objects = dataset.picture(index).image, dataset.objects(index)
    canvas, scale = thumbnail(picture)
    if objects.masks is not None:
        canvas = _under_masks(canvas, objects)
    overlay = Overlay(canvas)
    boxes = [tuple(value * scale for value in box) for box in objects.boxes.tolist()]
    names = [dataset.classes[label] for label in objects.labels.tolist()]
    for i, box in enumerate(boxes):
        assert objects.crowd is not None
        overlay.box(box, colour(int(objects.labels[i])), 1.8 / overlay.unit, dashed=bool(objects.crowd[i]))
    for i, box in enumerate(boxes[:_MOST_NAMED]):
        overlay.label(truncate_text(names[i]), label_positions(box), colour(int(objects.labels[i])), 11 / overlay.unit)
    for subject, relation, target in [] if objects.relations is None else objects.relations.tolist()[:_ARROWS]:
        curve = curve_between(boxes[subject], boxes[target], overlay.unit)
        overlay.arrow(curve, PAPER, 1.2 / overlay.unit)
        middle = curve[len(curve) // 2]
        overlay.label(truncate_text(dataset.relations[relation]), [(*middle, "mm")], PAPER, 10 / overlay.unit)
    counts = shorten_list((f"{count} {name}" for name, count in Counter(names).most_common()), 4) or "no objects"
    return Example(overlay.result(), [counts, dataset.names[index]], wrong=not boxes)


def _under_masks(canvas: Image.Image, objects: ObjectAnnotations) -> Image.Image:
    """The picture with the pixels of each object tinted in the colour of its class."""
    assert objects.masks is not None
    pixels = np.asarray(canvas).astype(np.float32)
    for mask, label in zip(objects.masks, objects.labels.tolist(), strict=True):
        inside = _resized(mask, canvas.size)
        pixels[inside] = 0.5 * pixels[inside] + 0.5 * np.array(colour(label), np.float32)
    return Image.fromarray(pixels.round().astype(np.uint8))


def _resized(mask: Tensor, size: tuple[int, int]) -> np.ndarray:
    return np.asarray(Image.fromarray(mask.numpy().astype(np.uint8)).resize(size, Image.Resampling.NEAREST)).astype(
        bool
    )
