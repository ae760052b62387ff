"""Annotated pictures decoded into memory for training a detector."""

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from saccade.data.cache import read_all_readable
from saccade.data.files import escape
from saccade.data.objects import ObjectAnnotations, ObjectSet
from saccade.data.objects.planes import MaskPlanes
from saccade.data.objects.transforms import place
from saccade.data.preprocess import Preprocess
from saccade.errors import DataError


def to_object_arrays(
    dataset: ObjectSet, fit: Preprocess, masks: bool = True, min_visible: float = 0.1, planes: bool = False
) -> tuple[UInt8[Tensor, "n c y x"], list[ObjectAnnotations]]:
    """Decode a whole set: uint8 pictures at the model's input size, not normalized, and their objects in its pixels.

    masks: False omits masks, which take a byte for each pixel and object. min_visible: fraction 0..1 of an object that
    must remain where the picture is cropped, else the object is removed. planes: masks as `MaskPlanes`. Pictures that
    are unreadable or have an invalid annotation are left out and recorded in `dataset.skipped`, or raise, depending on
    `dataset.on_error`.

    Raises:
        DataError: an unreadable picture under on_error="fail"; no readable picture at all; with `planes`, a picture
            whose objects have no masks.
    """
    channels = len(fit.mean)
    pictures = np.empty((len(dataset), channels, *fit.size), dtype=np.uint8)
    objects: list[ObjectAnnotations | None] = [None] * len(dataset)

    def read(index: int) -> None:
        found = dataset.objects(index, "planes" if planes else masks)
        found = with_planes(found, escape(dataset.names[index])) if planes else found
        image = dataset.picture(index).image
        if image.size != found.size[::-1]:
            raise DataError(
                f"{escape(dataset.names[index])} has {image.width} x {image.height} pixels and its objects are of a "
                f"picture of {found.size[1]} x {found.size[0]}"
            )
        placement = fit.placement(*found.size)
        objects[index] = place(found, placement, fit.size, min_visible, dataset.relations)
        seen = np.asarray(fit.resize_and_crop(image)).reshape(*fit.size, channels)
        pictures[index] = seen.transpose(2, 0, 1)

    kept = read_all_readable(dataset, dataset.label, read)
    arrays = torch.from_numpy(pictures)
    return (arrays if len(kept) == len(dataset) else arrays[kept]), [objects[i] for i in kept]  # type: ignore[misc]


def with_planes(objects: ObjectAnnotations, name: str) -> ObjectAnnotations:
    """Masks as `MaskPlanes`. Raises DataError, with the name of the picture, for objects without masks."""
    if objects.planes is not None:
        return objects
    if objects.masks is None and len(objects):
        raise DataError(f"{name}: not all of its objects have outlines, and masks are to be learned; leave out --masks")
    masks = () if objects.masks is None else objects.masks
    return replace(objects, masks=None, planes=MaskPlanes.of(masks, objects.size))
