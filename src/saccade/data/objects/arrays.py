"""Annotated pictures decoded into memory for training a detector."""

import math
from dataclasses import replace

import numpy as np
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from saccade.data.cache import MEMORY_BUDGET, Arrays, Streamed, prepare_readable
from saccade.data.files import escape
from saccade.data.objects import ObjectAnnotations, ObjectSet
from saccade.data.objects.planes import MaskPlanes
from saccade.data.objects.transforms import apply_placement
from saccade.data.preprocess import Preprocess
from saccade.errors import DataError


def to_object_arrays(
    dataset: ObjectSet, fit: Preprocess, masks: bool = True, min_visible: float = 0.1, planes: bool = False
) -> tuple[UInt8[Tensor, "n c y x"], list[ObjectAnnotations]]:
    """As `prepare_objects`, with all pictures in memory."""
    budget = len(dataset) * len(fit.mean) * math.prod(fit.size)
    data, objects = prepare_objects(dataset, fit, masks, min_visible, planes, budget)
    assert isinstance(data, Arrays)
    return data.pictures, objects


def prepare_objects(
    dataset: ObjectSet,
    fit: Preprocess,
    masks: bool = True,
    min_visible: float = 0.1,
    planes: bool = False,
    budget: int = MEMORY_BUDGET,
) -> tuple[Arrays | Streamed, list[ObjectAnnotations]]:
    """uint8 pictures at the model's input size, not normalized, as many in memory as take at most `budget` bytes and
    the others decoded batch by batch; and their objects in its pixels. The target of each picture is its place.

    masks: False omits masks, which take a byte for each pixel and object. min_visible: fraction 0..1 of an object that
    must remain where the picture is cropped, else the object is removed. planes: masks as `MaskPlanes`. Pictures that
    are unreadable or have an invalid annotation are left out and recorded in `dataset.skipped`, or raise, depending on
    `dataset.on_error`.

    Raises:
        DataError: an unreadable picture under on_error="fail"; no readable picture at all; with `planes`, a picture
            whose objects have no masks.
    """
    shape = (len(fit.mean), *fit.size)
    objects: dict[int, ObjectAnnotations] = {}

    def fitted(image: Image.Image) -> UInt8[np.ndarray, "c y x"]:
        seen = np.asarray(fit.resize_and_crop(image)).reshape(*fit.size, shape[0])
        return np.ascontiguousarray(seen.transpose(2, 0, 1))

    def read(index: int) -> UInt8[np.ndarray, "c y x"]:
        if index in objects:  # decoded again
            return fitted(dataset.picture(index).image)
        found = dataset.objects(index, "planes" if planes else masks)
        found = with_planes(found, escape(dataset.names[index])) if planes else found
        image = dataset.picture(index).image
        if image.size != found.size[::-1]:
            raise DataError(
                f"{escape(dataset.names[index])} has {image.width} x {image.height} pixels and its objects are of a "
                f"picture of {found.size[1]} x {found.size[0]}"
            )
        placement = fit.placement(*found.size)
        objects[index] = apply_placement(found, placement, fit.size, min_visible, dataset.relations)
        return fitted(image)

    data, kept = prepare_readable(dataset, dataset.title, shape, read, budget)
    return data, [objects[i] for i in kept]


def with_planes(objects: ObjectAnnotations, name: str) -> ObjectAnnotations:
    """Masks as `MaskPlanes`. Raises DataError, with the name of the picture, for objects without masks."""
    if objects.planes is not None:
        return objects
    if objects.masks is None and len(objects):
        raise DataError(f"{name}: not all of its objects have outlines, and masks are to be learned; leave out --masks")
    masks = () if objects.masks is None else objects.masks
    return replace(objects, masks=None, planes=MaskPlanes.of(masks, objects.size))
