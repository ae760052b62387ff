"""Captioned pictures decoded for training."""

import numpy as np
from jaxtyping import UInt8

from saccade.data.cache import MEMORY_BUDGET, Arrays, Streamed, prepare_readable
from saccade.data.captions.sets import CaptionSet
from saccade.data.preprocess import Preprocess


def prepare_captioned(
    dataset: CaptionSet, preprocess: Preprocess, budget: int = MEMORY_BUDGET
) -> tuple[Arrays | Streamed, list[int]]:
    """The set at the model's input size, not normalized, in memory if that takes at most `budget` bytes, else decoded
    batch by batch; and the indices of its pictures in `dataset`. The target of a picture is its place in the result.

    Unreadable pictures are left out and recorded in `dataset.skipped`, or raise, depending on `dataset.on_error`.

    Raises DataError for an unreadable picture with on_error="fail", and if none can be read.
    """

    def decode(index: int) -> UInt8[np.ndarray, "c y x"]:
        image = preprocess.resize_and_crop(dataset.picture(index).image)
        return np.ascontiguousarray(np.asarray(image).transpose(2, 0, 1))

    return prepare_readable(dataset, dataset.label, (3, *preprocess.size), decode, budget)
