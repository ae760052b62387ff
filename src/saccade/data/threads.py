"""Work on many files at once."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from tqdm.auto import tqdm

Item = TypeVar("Item")
Result = TypeVar("Result")
CHUNK = 64  # items of one job at most
FEW = 4  # items that are not worth a thread


def num_threads() -> int:
    """Threads for decoding: one a processor, and a single one in a worker process of a data loader."""
    import torch

    # Pillow decodes and resizes without the GIL, so threads run in parallel
    if torch.utils.data.get_worker_info() is not None:
        return 1
    return min(16, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def map_threads(function: Callable[[Item], Result], items: Sequence[Item], unit: str) -> Iterator[Result]:
    """`function` of each item, in order, computed in threads under a progress bar that counts in `unit`."""
    if len(items) <= FEW:
        yield from map(function, items)
        return
    workers = num_threads()
    size = max(1, min(CHUNK, len(items) // (4 * workers)))
    chunks = [items[i : i + size] for i in range(0, len(items), size)]
    with (
        ThreadPoolExecutor(workers) as pool,
        tqdm(total=len(items), desc=f"reading {unit}", unit=unit, delay=1, disable=None) as bar,
    ):
        try:
            for results in pool.map(lambda chunk: [function(item) for item in chunk], chunks):
                yield from results
                bar.update(len(results))
        except BaseException:  # Ctrl-C as well: cancel what has not started
            pool.shutdown(wait=False, cancel_futures=True)
            raise
