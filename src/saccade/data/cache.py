"""Decoded pictures for training: all in memory where they fit, otherwise decoded batch by batch."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor
from tqdm.auto import tqdm

from saccade.data.files import escape
from saccade.data.folders import ImageFolder
from saccade.data.preprocess import Preprocess
from saccade.errors import DataError

MEMORY_BUDGET = 2 << 30  # bytes of decoded pictures kept in memory: 700,000 of 32 x 32, 14,000 of 224 x 224


Read = TypeVar("Read")


class Pictures(Protocol):
    """What `read_all` and `read_or_skip` need to know of a set."""

    skipped: dict[str, str]

    @property
    def names(self) -> list[str]: ...

    @property
    def on_error(self) -> str: ...

    def __len__(self) -> int: ...


def to_arrays(
    dataset: ImageFolder, fit: Preprocess, draft: bool = False
) -> tuple[UInt8[Tensor, "n c y x"], Int64[Tensor, "n"]]:
    """Decode a whole set once: uint8 pictures as `fit` lets a model see them, not yet normalised, and labels.

    draft: as in `prepare`. Unreadable pictures are left out and recorded in `dataset.skipped`, or raise, as
    `dataset.on_error` says.

    Raises:
        DataError: an unreadable picture under on_error="fail"; a class with no readable picture.
    """
    pictures = np.empty((len(dataset), 3, *fit.size), dtype=np.uint8)

    def read(index: int) -> None:
        pictures[index] = _decoded(dataset, index, fit, draft)

    kept = read_all(dataset, read)
    _check_classes(dataset, kept)
    arrays = torch.from_numpy(pictures)
    return (arrays if len(kept) == len(dataset) else arrays[kept]), dataset.labels[kept]


def drop_unreadable(dataset: ImageFolder) -> ImageFolder:
    """`dataset` without its unreadable pictures, which `skipped` then names; every picture is decoded to know.

    Raises:
        DataError: an unreadable picture under on_error="fail"; a class with no readable picture.
    """
    kept = read_all(dataset, lambda index: dataset.picture(index, at_least=(1, 1)))
    _check_classes(dataset, kept)
    part = dataset.subset(kept)
    part.skipped = dataset.skipped
    return part


class Arrays(torch.utils.data.Dataset):
    """A decoded set in memory.

    `data[i]` is (uint8 (c y x), label); `data[[i, j, ...]]` is a batch (uint8 (b c y x), int64 (b,)).
    """

    def __init__(self, pictures: UInt8[Tensor, "n c y x"], labels: Int64[Tensor, "n"]):
        self.pictures, self.labels = pictures, labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int | Sequence[int] | Tensor) -> tuple[Tensor, Tensor]:
        if not isinstance(index, int):
            index = torch.as_tensor(index, dtype=torch.int64)
        return self.pictures[index], self.labels[index]


class Streamed(torch.utils.data.Dataset):
    """A set decoded as it is asked for; the same items and batches as `Arrays`.

    A batch is decoded by several threads, so that one thread asking ahead keeps all processors busy.
    """

    def __init__(self, dataset: ImageFolder, fit: Preprocess, draft: bool = False):
        self.dataset, self.fit, self.draft = dataset, fit, draft
        self.labels = dataset.labels

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int | Sequence[int] | Tensor) -> tuple[Tensor, Tensor]:
        """Raises DataError for a picture that cannot be read (see `readable`)."""
        if isinstance(index, int):
            return torch.from_numpy(self._decode(index)), self.labels[index]
        wanted = [int(i) for i in index]
        # a pool a batch costs little beside the decoding, and survives neither a fork nor an error
        with ThreadPoolExecutor(num_threads()) as pool:
            pictures = list(pool.map(self._decode, wanted))
        return torch.from_numpy(np.stack(pictures)), self.labels[wanted]

    def _decode(self, index: int) -> np.ndarray:
        return _decoded(self.dataset, index, self.fit, self.draft)


def prepare(
    dataset: ImageFolder, fit: Preprocess, draft: bool = False, budget: int = MEMORY_BUDGET
) -> Arrays | Streamed:
    """The set as `fit` lets a model see it, decoded into memory if that takes at most `budget` bytes, else batch
    by batch.

    draft: decode large JPEGs at 1/2, 1/4 or 1/8 of their size where that is still twice the size wanted: several
    times faster, and good enough to train on. Scores are taken without.

    Either way its unreadable pictures are known before training starts: left out and recorded in
    `dataset.skipped` under on_error="skip". Under "fail" the first one met raises.
    """
    if len(dataset) * 3 * fit.size[0] * fit.size[1] <= budget:
        return Arrays(*to_arrays(dataset, fit, draft))
    return Streamed(drop_unreadable(dataset) if dataset.on_error == "skip" else dataset, fit, draft)


def _decoded(dataset: ImageFolder, index: int, fit: Preprocess, draft: bool) -> UInt8[np.ndarray, "c y x"]:
    enough = (2 * fit.size[0], 2 * fit.size[1]) if draft else None
    image = fit.resize_and_crop(dataset.picture(index, at_least=enough).image)
    return np.ascontiguousarray(np.asarray(image).transpose(2, 0, 1))


def read_all(dataset: Pictures, read: Callable[[int], object]) -> list[int]:
    """Call `read` for every item, in threads, with a progress bar; the items that could be read. The others are
    recorded in `dataset.skipped` under on_error="skip", else the first DataError is raised."""

    def read_some(span: range) -> list[int]:
        return [index for index in span if read_or_skip(dataset, index, lambda i: (read(i),)) is not None]

    spans = [range(i, min(i + 64, len(dataset))) for i in range(0, len(dataset), 64)]
    kept: list[int] = []
    with (
        ThreadPoolExecutor(num_threads()) as pool,
        tqdm(total=len(dataset), desc="reading pictures", unit="pictures", delay=1, disable=None) as bar,
    ):
        try:
            for span, good in zip(spans, pool.map(read_some, spans), strict=True):
                kept += good
                bar.update(len(span))
        except BaseException:  # also Ctrl-C: do not read the rest first
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return kept


def _check_classes(dataset: ImageFolder, kept: list[int]) -> None:
    for label in sorted(set(dataset.labels.tolist()) - set(dataset.labels[kept].tolist())):
        reason = next(iter(dataset.skipped.values()))
        raise DataError(f"no picture of class {escape(dataset.classes[label])} could be read: {reason}")


def read_or_skip(dataset: Pictures, index: int, read: Callable[[int], Read]) -> Read | None:
    """What `read` makes of an item. A DataError is recorded in `dataset.skipped` under on_error="skip", with None as the
    answer, else raised."""
    try:
        return read(index)
    except DataError as error:
        if dataset.on_error == "fail":
            raise
        dataset.skipped[dataset.names[index]] = str(error)
        return None


def num_threads() -> int:
    # Pillow decodes and resizes outside Python's lock, so threads do run side by side
    if torch.utils.data.get_worker_info() is not None:  # a loader's workers are many already
        return 1
    return min(16, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
