"""Decoded pictures for training: in memory as far as a budget allows, the others decoded batch by batch."""

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from saccade.data.files import escape
from saccade.data.folders import ImageFolder
from saccade.data.preprocess import Preprocess
from saccade.data.threads import map_threads, num_threads
from saccade.errors import DataError

MEMORY_BUDGET = 2 << 30  # bytes of decoded pictures kept in memory: 700,000 of 32 x 32, 14,000 of 224 x 224

Result = TypeVar("Result")


class Readable(Protocol):
    """The part of a data set that `read_all` and `read_or_skip` need."""

    skipped: dict[str, str]

    @property
    def names(self) -> list[str]: ...

    @property
    def on_error(self) -> str: ...

    def __len__(self) -> int: ...


class Arrays(torch.utils.data.Dataset):
    """A decoded set in memory: uint8 pictures (n c y x), and a label or a mask for each.

    `data[i]` is (uint8 (c y x), target); `data[[i, j, ...]]` is a batch (uint8 (b c y x), (b ...)).
    names: of the pictures, where they are known.
    """

    def __init__(self, pictures: UInt8[Tensor, "n c y x"], targets: Tensor, names: Sequence[str] = ()):
        self.pictures, self.targets, self.names = pictures, targets, list(names)

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int | Sequence[int] | Tensor) -> tuple[Tensor, Tensor]:
        if not isinstance(index, int):
            index = torch.as_tensor(index, dtype=torch.int64)
        return self.pictures[index], self.targets[index]


class Streamed(torch.utils.data.Dataset):
    """A set that is decoded when it is indexed; the same items and batches as `Arrays`. Several threads
    decode a batch.

    names: of the pictures. decode: index -> uint8 picture (c y x) and its target. held: the first items, which are in
    memory and not decoded again. Raises DataError for a picture that cannot be read.
    """

    def __init__(
        self,
        names: Sequence[str],
        decode: Callable[[int], tuple[np.ndarray, np.ndarray]],
        held: Arrays | None = None,
    ):
        self.names, self.decode, self.held = list(names), decode, held

    def _item(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        if self.held is not None and 0 <= index < len(self.held):
            picture, target = self.held[index]
            return picture.numpy(), target.numpy()
        return self.decode(index)

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int | Sequence[int] | Tensor) -> tuple[Tensor, Tensor]:
        if isinstance(index, int):
            picture, target = self._item(index)
            return torch.from_numpy(picture), torch.as_tensor(target)
        # a pool for each batch costs little compared with decoding, and is safe across forks and errors
        with ThreadPoolExecutor(num_threads()) as pool:
            items = list(pool.map(self._item, [int(i) for i in index]))
        pictures, targets = (torch.from_numpy(np.stack([item[i] for item in items])) for i in (0, 1))
        return pictures, targets


class MemoryCache:
    """uint8 arrays for the first of `count` items, as many as take at most `budget` bytes.

    shapes: of the arrays of an item. size: how many items they hold.
    """

    def __init__(self, count: int, shapes: Sequence[tuple[int, ...]], budget: int):
        self.size = min(count, max(0, budget) // sum(map(math.prod, shapes)))
        self.arrays = [np.empty((self.size, *shape), np.uint8) for shape in shapes]

    def put(self, index: int, *items: UInt8[np.ndarray, "..."]) -> None:
        """Keep an item, if it is one of the first."""
        if index < self.size:
            for array, item in zip(self.arrays, items, strict=True):
                array[index] = item

    def take(self, kept: Sequence[int]) -> list[UInt8[Tensor, "n ..."]]:
        """The items of those of `kept`, in ascending order, that are held. They move up in place."""
        held = [i for i in kept if i < self.size]
        for to, i in enumerate(held):
            if to != i:
                for array in self.arrays:
                    array[to] = array[i]
        return [torch.from_numpy(array[: len(held)]) for array in self.arrays]


def to_arrays(
    dataset: ImageFolder, preprocess: Preprocess, draft: bool = False
) -> tuple[UInt8[Tensor, "n c y x"], Int64[Tensor, "n"]]:
    """Decode a whole set: uint8 pictures at the model's input size, not normalized, and labels.

    draft: see `prepare`. Unreadable pictures are left out and recorded in `dataset.skipped`, or raise,
    depending on `dataset.on_error`.

    Raises:
        DataError: an unreadable picture with on_error="fail"; a class without a readable picture.
    """
    size = 3 * preprocess.size[0] * preprocess.size[1]
    arrays = prepare(dataset, preprocess, draft, budget=len(dataset) * size)
    assert isinstance(arrays, Arrays)
    return arrays.pictures, arrays.targets


def drop_unreadable(dataset: ImageFolder) -> ImageFolder:
    """`dataset` without its unreadable pictures, which are recorded in `skipped`. Every picture is decoded.

    Raises:
        DataError: an unreadable picture with on_error="fail"; a class without a readable picture.
    """
    kept = read_all(dataset, lambda index: dataset.picture(index, at_least=(1, 1)))
    _check_classes(dataset, kept)
    part = dataset.subset(kept)
    part.skipped = dataset.skipped
    return part


def prepare(
    dataset: ImageFolder, preprocess: Preprocess, draft: bool = False, budget: int = MEMORY_BUDGET
) -> Arrays | Streamed:
    """The set at the model's input size. As many pictures as take at most `budget` bytes are decoded into memory, the
    others batch by batch.

    draft: decode large JPEGs at 1/2, 1/4 or 1/8 of their size where that is at least twice the input size: several
    times faster, and accurate enough for training, not for evaluation.

    With on_error="skip", unreadable pictures are found beforehand, left out and recorded in `dataset.skipped`. With
    "fail" the first one raises, if it is in memory; else when it is decoded.
    """
    memory = MemoryCache(len(dataset), [(3, *preprocess.size)], budget)

    def read(index: int) -> None:
        if index < memory.size:
            memory.put(index, _decode(dataset, index, preprocess, draft))
        elif dataset.on_error == "skip":
            dataset.picture(index, at_least=(1, 1))

    kept = read_all(dataset, read)
    _check_classes(dataset, kept)
    (pictures,) = memory.take(kept)
    held = Arrays(pictures, dataset.labels[kept[: len(pictures)]])
    if len(held) == len(kept):
        return held
    part = dataset.subset(kept) if len(kept) < len(dataset) else dataset
    part.skipped = dataset.skipped
    return stream(part, preprocess, draft, held)


def stream(dataset: ImageFolder, preprocess: Preprocess, draft: bool = False, held: Arrays | None = None) -> Streamed:
    """The set at the model's input size, decoded batch by batch but for the first items, which are held."""
    labels = dataset.labels.numpy()
    return Streamed(dataset.names, lambda index: (_decode(dataset, index, preprocess, draft), labels[index]), held)


def _decode(dataset: ImageFolder, index: int, preprocess: Preprocess, draft: bool) -> UInt8[np.ndarray, "c y x"]:
    enough = (2 * preprocess.size[0], 2 * preprocess.size[1]) if draft else None
    image = preprocess.resize_and_crop(dataset.picture(index, at_least=enough).image)
    return np.ascontiguousarray(np.asarray(image).transpose(2, 0, 1))


def read_all(dataset: Readable, read: Callable[[int], object], unit: str = "picture") -> list[int]:
    """Call `read` for every index, in threads; returns the indices that could be read. The others are recorded in
    `dataset.skipped` with on_error="skip", otherwise the first DataError is raised."""

    def attempt(index: int) -> DataError | None:
        try:
            read(index)
        except DataError as error:
            if dataset.on_error == "fail":
                raise
            return error
        return None

    kept: list[int] = []
    for index, error in enumerate(map_threads(attempt, range(len(dataset)), f"{unit}s")):
        if error is None:
            kept.append(index)
        else:
            dataset.skipped[dataset.names[index]] = str(error)
    return kept


def read_all_readable(dataset: Readable, label: str, read: Callable[[int], object], unit: str = "picture") -> list[int]:
    """As `read_all`. Raises DataError if nothing could be read."""
    kept = read_all(dataset, read, unit)
    if not kept:
        reason = next(iter(dataset.skipped.values()), "it is empty")
        raise DataError(f"no {unit} of {label} could be read: {reason}")
    return kept


def prepare_readable(
    dataset: Readable,
    label: str,
    shape: tuple[int, int, int],
    decode: Callable[[int], UInt8[np.ndarray, "c y x"]],
    budget: int = MEMORY_BUDGET,
) -> tuple[Arrays | Streamed, list[int]]:
    """What `decode` makes of every index of a set, the first in memory, as many as take at most `budget` bytes, the
    others decoded batch by batch; and the indices that could be decoded. The target of each is its place in the result.

    shape: of what `decode` returns. Raises DataError as `read_all_readable` does."""
    memory = MemoryCache(len(dataset), [shape], budget)
    kept = read_all_readable(dataset, label, lambda i: memory.put(i, decode(i)))
    (pictures,) = memory.take(kept)
    held = Arrays(pictures, torch.arange(len(pictures)))
    if len(held) == len(kept):
        return held, kept
    return Streamed([dataset.names[i] for i in kept], lambda i: (decode(kept[i]), np.array(i)), held), kept


def read_or_skip(dataset: Readable, index: int, read: Callable[[int], Result]) -> Result | None:
    """`read(index)`. A DataError is recorded in `dataset.skipped` with on_error="skip", and None returned; otherwise
    raised."""
    try:
        return read(index)
    except DataError as error:
        if dataset.on_error == "fail":
            raise
        dataset.skipped[dataset.names[index]] = str(error)
        return None


def _check_classes(dataset: ImageFolder, kept: list[int]) -> None:
    for label in sorted(set(dataset.labels.tolist()) - set(dataset.labels[kept].tolist())):
        reason = next(iter(dataset.skipped.values()))
        raise DataError(f"no picture of class {escape(dataset.classes[label])} could be read: {reason}")
