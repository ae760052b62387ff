"""Decoded pictures for training: all in memory where they fit, otherwise decoded ahead of the training step."""

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Literal

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from PIL import Image
from torch import Tensor
from tqdm.auto import tqdm

from saccade.data.folders import ImageFolder
from saccade.errors import DataError

Resize = Literal["stretch", "crop"]
Filter = Literal["bilinear", "bicubic"]
BUDGET = 2 << 30  # bytes of decoded pictures kept in memory: 700,000 of 32 x 32, 14,000 of 224 x 224
FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


def resize_image(
    image: Image.Image, size: tuple[int, int], resize: Resize = "stretch", filter: Filter = "bicubic"
) -> Image.Image:
    """`image` at size (rows, columns), antialiased by Pillow.

    resize: "stretch" takes the whole picture, its proportions changed; "crop" keeps them and takes the middle.
    """
    rows, columns = size
    if image.size == (columns, rows):
        return image
    box = (0.0, 0.0, float(image.width), float(image.height))
    if resize == "crop":
        scale = min(image.width / columns, image.height / rows)
        left, top = (image.width - columns * scale) / 2, (image.height - rows * scale) / 2
        box = (left, top, image.width - left, image.height - top)
    return image.resize((columns, rows), FILTERS[filter], box=box)


def to_tensor(image: Image.Image) -> UInt8[Tensor, "c y x"]:
    """RGB image -> uint8 tensor (3 y x), 0..255."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()


def to_arrays(
    dataset: ImageFolder,
    size: tuple[int, int],
    resize: Resize = "stretch",
    filter: Filter = "bicubic",
    threads: int | None = None,
) -> tuple[UInt8[Tensor, "n c y x"], Int64[Tensor, "n"]]:
    """Decode a whole set once: uint8 pictures of size (rows, columns), and labels.

    Unreadable pictures are left out and recorded in `dataset.skipped`, or raise, as `dataset.bad` says.

    Raises:
        DataError: an unreadable picture under bad="fail"; a class with no readable picture.
    """
    reader = Streamed(dataset, size, resize, filter)
    pictures = np.empty((len(dataset), 3, *size), dtype=np.uint8)

    def fill(span: range) -> list[int]:
        return [i for i in span if reader.read_into(i, pictures[i])]

    spans = [range(i, min(i + 64, len(dataset))) for i in range(0, len(dataset), 64)]
    kept: list[int] = []
    with (
        ThreadPoolExecutor(threads or _threads()) as pool,
        tqdm(total=len(dataset), desc="reading pictures", unit="pictures", delay=1, disable=None) as bar,
    ):
        try:
            for span, good in zip(spans, pool.map(fill, spans), strict=True):
                kept += good
                bar.update(len(span))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    labels = dataset.labels[kept]
    for label in set(range(len(dataset.classes))) - set(labels.tolist()):
        raise DataError(f"no picture of class {dataset.classes[label]!r} could be read: {_first(dataset)}")
    arrays = torch.from_numpy(pictures)
    return (arrays if len(kept) == len(dataset) else arrays[kept]), labels


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
    """A set decoded as it is asked for, same items and batches as `Arrays`; safe to use from many threads.

    A batch leaves out pictures that cannot be read (recorded in `dataset.skipped`) under bad="skip".
    """

    def __init__(
        self,
        dataset: ImageFolder,
        size: tuple[int, int],
        resize: Resize = "stretch",
        filter: Filter = "bicubic",
    ):
        self.dataset, self.size, self.resize, self.filter = dataset, size, resize, filter

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int | Sequence[int] | Tensor) -> tuple[Tensor, Tensor]:
        single = isinstance(index, int)
        wanted = [index] if isinstance(index, int) else [int(i) for i in index]
        out = np.empty((len(wanted), 3, *self.size), dtype=np.uint8)
        good = [row for row, i in enumerate(wanted) if self.read_into(i, out[row])]
        if not good:
            raise DataError(f"no picture of the batch could be read: {_first(self.dataset)}")
        pictures = torch.from_numpy(out if len(good) == len(wanted) else out[good])
        labels = self.dataset.labels[[wanted[row] for row in good]]
        return (pictures[0], labels[0]) if single else (pictures, labels)

    def read_into(self, index: int, out: np.ndarray) -> bool:
        """Decode one picture into `out` (3 y x). False if it cannot be read and such are skipped."""
        rows, columns = self.size
        try:
            # a JPEG decoded at no less than twice the size wanted, then reduced, keeps the same detail
            picture = self.dataset.picture(index, at_least=(2 * rows, 2 * columns))
        except DataError as error:
            if self.dataset.bad == "fail":
                raise
            self.dataset.skipped[self.dataset.names[index]] = str(error)
            return False
        image = resize_image(picture.image, self.size, self.resize, self.filter)
        out[:] = np.asarray(image).transpose(2, 0, 1)
        return True


def prepare(
    dataset: ImageFolder,
    size: tuple[int, int],
    resize: Resize = "stretch",
    filter: Filter = "bicubic",
    budget: int = BUDGET,
) -> Arrays | Streamed:
    """The set decoded into memory if that takes at most `budget` bytes, else decoded batch by batch."""
    if len(dataset) * 3 * size[0] * size[1] <= budget:
        return Arrays(*to_arrays(dataset, size, resize, filter))
    return Streamed(dataset, size, resize, filter)


def batches(
    data: Arrays | Streamed, indices: Iterable[Sequence[int] | Tensor], threads: int | None = None
) -> Iterator[tuple[UInt8[Tensor, "b c y x"], Int64[Tensor, "b"]]]:
    """`data[i]` for each batch of indices, in order; a streamed set is decoded some batches ahead by threads."""
    if isinstance(data, Arrays):
        yield from (data[index] for index in indices)
        return
    count = threads or _threads()
    waiting: deque[Future] = deque()
    pool = ThreadPoolExecutor(count)
    try:
        for index in indices:
            waiting.append(pool.submit(data.__getitem__, index))
            if len(waiting) > 2 * count:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:  # also when the caller stops early
        pool.shutdown(wait=False, cancel_futures=True)


def _threads() -> int:
    # Pillow decodes and resizes outside Python's lock, so threads do run side by side
    return min(16, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def _first(dataset: ImageFolder) -> str:
    return next(iter(dataset.skipped.values()), "nothing was read")
