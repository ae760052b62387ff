"""Pictures and their masks for training a segmentation model: in memory where they fit, otherwise batch by batch."""

import numpy as np
from jaxtyping import UInt8

from saccade.data.cache import MEMORY_BUDGET, Arrays, MemoryCache, Streamed, read_all_readable
from saccade.data.files import escape
from saccade.data.preprocess import Preprocess
from saccade.data.segments import IGNORE_INDEX, SegmentSet
from saccade.data.segments.plausibility import MaskCensus, check_census
from saccade.errors import DataError


def to_segment_arrays(dataset: SegmentSet, preprocess: Preprocess, budget: int = MEMORY_BUDGET) -> Arrays | Streamed:
    """A set at the model's input size, not normalized: as much of it as takes at most `budget` bytes is decoded into
    memory, the rest batch by batch. Targets are masks, uint8 (y x).

    Each pixel of a mask takes the class under its centre; the padding is IGNORE_INDEX. Every picture and mask is read
    once beforehand: unreadable ones are left out and recorded in `dataset.skipped`, or raise, depending on
    `dataset.on_error`.

    Raises:
        DataError: an unreadable picture or mask with on_error="fail"; no readable one at all; masks of one class only.
    """
    shape = (len(preprocess.mean), *preprocess.size)
    memory = MemoryCache(len(dataset), [shape, preprocess.size], budget)
    census = MaskCensus(dataset.classes)
    kept = read_all_readable(
        dataset,
        dataset.title,
        lambda index: memory.put(index, *load_picture_and_mask(dataset, index, preprocess, census)),
    )
    check_census(census, dataset)
    names = [dataset.names[i] for i in kept]
    pictures, masks = memory.take(kept)
    held = Arrays(pictures, masks, names)
    if len(held) == len(kept):
        return held
    return Streamed(names, lambda index: load_picture_and_mask(dataset, kept[index], preprocess), held)


def load_picture_and_mask(
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
