"""Work on many files at once."""

import itertools
import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
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


def read_ahead(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    most: int,
    threads: int | None = None,
    has_room: Callable[[Sequence[Result]], bool] = lambda results: True,
) -> Generator[Future[Result]]:
    """`function` of each item in order, computed in threads while the caller works. A future raises the error of its
    own item.

    most: futures that were begun and not returned yet. threads: default, one a processor. has_room: whether another
    item may be begun beside these results, which were not returned yet; asked when there are any. Closing the iterator
    waits for what is being computed.
    """
    threads = threads or num_threads()
    pending: deque[Future[Result]] = deque()
    rest, end = iter(items), object()
    closed, lock = False, threading.RLock()

    def is_full() -> bool:
        done = [future for future in pending if future.done()]
        results = [future.result() for future in done if future.exception() is None]
        return len(pending) >= most or len(pending) - len(done) >= threads or (bool(results) and not has_room(results))

    def fill(_: object = None) -> None:
        """As soon as something has ended or was returned, whether or not the caller waits."""
        with lock:
            while not closed and not is_full() and (item := next(rest, end)) is not end:
                pending.append(pool.submit(function, item))  # type: ignore[arg-type]
                pending[-1].add_done_callback(fill)

    with ThreadPoolExecutor(threads) as pool:
        try:
            fill()
            while pending:
                with lock:
                    first = pending.popleft()
                    fill()
                yield first
        finally:
            with lock:
                closed = True


def in_background(items: Iterable[Item], most: int) -> Generator[Item]:
    """The items, at most `most` of them produced by a thread before they are needed. An error is raised where it
    occurred."""
    produce, end = iter(items), object()
    with closing(read_ahead(lambda _: next(produce, end), itertools.repeat(None), most, threads=1)) as produced:
        for future in produced:
            item = future.result()
            if item is end:
                return
            yield item  # type: ignore[misc]
