"""Captioned pictures decoded for training."""

import numpy as np
import torch
from jaxtyping import UInt8

from saccade.data.cache import MEMORY_BUDGET, Arrays, Streamed, read_all_readable
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

    if len(dataset) * 3 * preprocess.size[0] * preprocess.size[1] <= budget:
        pictures = np.empty((len(dataset), 3, *preprocess.size), dtype=np.uint8)

        def read(index: int) -> None:
            pictures[index] = decode(index)

        kept = read_all_readable(dataset, dataset.label, read)
        arrays = torch.from_numpy(pictures)
        return Arrays(arrays if len(kept) == len(dataset) else arrays[kept], torch.arange(len(kept))), kept
    kept = read_all_readable(dataset, dataset.label, decode)
    return Streamed([dataset.names[i] for i in kept], lambda i: (decode(kept[i]), np.array(i))), kept
