"""Pictures and their masks for training a segmentation model: in memory where they fit, otherwise batch by batch."""

import numpy as np
import torch
from jaxtyping import UInt8

from saccade.data.cache import MEMORY_BUDGET, Arrays, Streamed, read_all_readable
from saccade.data.files import escape
from saccade.data.preprocess import Preprocess
from saccade.data.segments import IGNORE_INDEX, SegmentSet
from saccade.data.segments.plausibility import MaskCensus, check_census
from saccade.errors import DataError


def to_segment_arrays(dataset: SegmentSet, preprocess: Preprocess, budget: int = MEMORY_BUDGET) -> Arrays | Streamed:
    """A set at the model's input size, not normalized: decoded into memory if that takes at most `budget` bytes, else
    batch by batch. Targets are masks, uint8 (y x).

    Each pixel of a mask takes the class under its centre; the padding is IGNORE_INDEX. Every picture and mask is read
    once beforehand: unreadable ones are left out and recorded in `dataset.skipped`, or raise, depending on
    `dataset.on_error`.

    Raises:
        DataError: an unreadable picture or mask with on_error="fail"; no readable one at all; masks of one class only.
    """
    shape = (len(preprocess.mean), *preprocess.size)
    n = len(dataset)
    in_memory = n * preprocess.size[0] * preprocess.size[1] * (shape[0] + 1) <= budget
    pictures = np.empty((n if in_memory else 0, *shape), np.uint8)
    masks = np.empty((n if in_memory else 0, *preprocess.size), np.uint8)

    census = MaskCensus(dataset.classes)

    def read(index: int) -> None:
        item = decode(dataset, index, preprocess, census)
        if in_memory:
            pictures[index], masks[index] = item

    kept = read_all_readable(dataset, dataset.label, read)
    check_census(census, dataset)
    names = [dataset.names[i] for i in kept]
    if not in_memory:
        return Streamed(names, lambda index: decode(dataset, kept[index], preprocess))
    arrays = torch.from_numpy(pictures), torch.from_numpy(masks)
    return Arrays(*(arrays if len(kept) == n else (arrays[0][kept], arrays[1][kept])), names)


def decode(
    dataset: SegmentSet, index: int, preprocess: Preprocess, census: MaskCensus | None = None
) -> tuple[UInt8[np.ndarray, "c y x"], UInt8[np.ndarray, "y x"]]:
    """A picture and its mask at the model's input size. census: counts the mask. Raises DataError if their sizes
    differ."""
    image, mask = dataset.picture(index).image, dataset.mask(index)
    if image.size != (mask.shape[1], mask.shape[0]):
        raise DataError(
            f"{escape(dataset.names[index])} has {image.width} x {image.height} pixels and its mask "
            f"{mask.shape[1]} x {mask.shape[0]}; the same expected"
        )
    if census is not None:
        census.add(mask.numpy())
    resized = np.asarray(preprocess.resize_and_crop(image)).reshape(*preprocess.size, len(preprocess.mean))
    placed = preprocess.placement(image.height, image.width).masks_to_model(mask, preprocess.size, IGNORE_INDEX)
    return np.ascontiguousarray(resized.transpose(2, 0, 1)), placed.numpy()
