"""Pictures and their masks as a segmenter trains on them: all in memory where they fit, otherwise batch by batch."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from saccade.data.cache import MEMORY_BUDGET, num_threads, read_all
from saccade.data.files import escape
from saccade.data.preprocess import Preprocess
from saccade.data.segments import IGNORE_INDEX, SegmentSet
from saccade.errors import DataError


class SegmentArrays(torch.utils.data.Dataset):
    """A decoded set in memory.

    `data[i]` is (uint8 (c y x), uint8 (y x)); `data[[i, j, ...]]` is a batch (uint8 (b c y x), uint8 (b y x)).

    Attributes:
        names: of the pictures, in order.
    """

    def __init__(self, pictures: UInt8[Tensor, "n c y x"], masks: UInt8[Tensor, "n y x"], names: Sequence[str]):
        self.pictures, self.masks, self.names = pictures, masks, list(names)

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int | Sequence[int] | Tensor) -> tuple[Tensor, Tensor]:
        if not isinstance(index, int):
            index = torch.as_tensor(index, dtype=torch.int64)
        return self.pictures[index], self.masks[index]


class SegmentStreamed(SegmentArrays):
    """A set decoded as it is asked for; the same items and batches. A batch is decoded by several threads.

    kept: the items of `dataset` that can be read.
    """

    def __init__(self, dataset: SegmentSet, fit: Preprocess, kept: Sequence[int]):
        self.dataset, self.fit, self.kept = dataset, fit, list(kept)
        self.names = [dataset.names[i] for i in kept]

    def __getitem__(self, index: int | Sequence[int] | Tensor) -> tuple[Tensor, Tensor]:
        """Raises DataError for a picture or mask that can no longer be read."""
        if isinstance(index, int):
            picture, mask = self._decode(index)
            return torch.from_numpy(picture), torch.from_numpy(mask)
        wanted = [int(i) for i in index]
        # a pool a batch costs little beside the decoding, and survives neither a fork nor an error
        with ThreadPoolExecutor(num_threads()) as pool:
            both = list(pool.map(self._decode, wanted))
        pictures, masks = (np.stack([each[i] for each in both]) for i in (0, 1))
        return torch.from_numpy(pictures), torch.from_numpy(masks)

    def _decode(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        return decoded(self.dataset, self.kept[index], self.fit)


def to_segment_arrays(dataset: SegmentSet, fit: Preprocess, budget: int = MEMORY_BUDGET) -> SegmentArrays:
    """A whole set as `fit` lets a model see it, not yet normalised: decoded into memory if that takes at most `budget`
    bytes, else batch by batch (`SegmentStreamed`).

    Each pixel of a mask takes the class under its centre; the padding is IGNORE_INDEX. Either way every picture and mask
    is read once: unreadable ones are left out and recorded in `dataset.skipped`, or raise, as `dataset.on_error` says.

    Raises:
        DataError: an unreadable picture or mask under on_error="fail"; no readable one at all.
    """
    shape = (len(fit.mean), *fit.size)
    n, pixels = len(dataset), fit.size[0] * fit.size[1]
    in_memory = n * pixels * (shape[0] + 1) <= budget
    pictures = np.empty((n if in_memory else 0, *shape), np.uint8)
    masks = np.empty((n if in_memory else 0, *fit.size), np.uint8)

    def read(index: int) -> None:
        picture, mask = decoded(dataset, index, fit)
        if in_memory:
            pictures[index], masks[index] = picture, mask

    kept = read_all(dataset, read)
    if not kept:
        reason = next(iter(dataset.skipped.values()), "it is empty")
        raise DataError(f"no picture of {dataset.label} could be read: {reason}")
    if not in_memory:
        return SegmentStreamed(dataset, fit, kept)
    both = torch.from_numpy(pictures), torch.from_numpy(masks)
    if len(kept) < n:
        both = both[0][kept], both[1][kept]
    return SegmentArrays(*both, [dataset.names[i] for i in kept])


def decoded(
    dataset: SegmentSet, index: int, fit: Preprocess
) -> tuple[UInt8[np.ndarray, "c y x"], UInt8[np.ndarray, "y x"]]:
    """A picture and its mask as `fit` lets a model see them. Raises DataError for those of two sizes."""
    image, mask = dataset.picture(index).image, dataset.mask(index)
    if image.size != (mask.shape[1], mask.shape[0]):
        raise DataError(
            f"{escape(dataset.names[index])} has {image.width} x {image.height} pixels and its mask "
            f"{mask.shape[1]} x {mask.shape[0]}; the same expected"
        )
    seen = np.asarray(fit.resize_and_crop(image)).reshape(*fit.size, len(fit.mean)).transpose(2, 0, 1)
    placed = fit.placement(image.height, image.width).classes_to_model(mask, fit.size, IGNORE_INDEX)
    return np.ascontiguousarray(seen), placed.numpy()
