"""The batches of a run, prepared while the steps before them compute."""

import signal
from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from saccade.train.config import SHARDS
from saccade.train.seeds import combined_seed
from saccade.train.signals import ENDING, SAVING


class BatchMaker(Protocol):
    """Makes the batches of a task."""

    def __len__(self) -> int:
        """Training samples an epoch."""

    def batch(self, indices: Tensor, generator: torch.Generator, progress: float) -> Any:
        """Samples at `indices`, augmented with random numbers of `generator` alone. progress: 0 to 1 over the run."""

    def collate(self, batches: list[Any]) -> list[Any]:
        """The batches of one process and step as they are given to the loss."""


class Batches(Dataset[list[Any]]):
    """What one of `world` processes computes at each step of a run. An item follows from its step and the progress of
    the run (0 to 1) alone."""

    def __init__(self, sampler: BatchMaker, batch: int, seed: int, rank: int = 0, world: int = 1):
        self.sampler, self.batch, self.seed = sampler, batch, seed
        self.mine = range(rank, SHARDS, world)
        self.per_epoch = max(1, len(sampler) // batch)
        self._ordered: tuple[int, Tensor] | None = None

    def __getitem__(self, item: tuple[int, float]) -> list[Any]:
        step, progress = item
        epoch, place = divmod(step, self.per_epoch)
        indices = self._order(epoch)[place * self.batch : (place + 1) * self.batch].chunk(SHARDS)
        batches = [
            self.sampler.batch(
                indices[shard],
                torch.Generator().manual_seed(combined_seed(self.seed, step, shard)),
                progress,
            )
            for shard in self.mine
        ]
        return self.sampler.collate(batches)

    def _order(self, epoch: int) -> Tensor:
        if self._ordered is None or self._ordered[0] != epoch:
            generator = torch.Generator().manual_seed(combined_seed(self.seed, epoch))
            samples = len(self.sampler)
            rounds = -(-self.batch // samples) if samples < self.batch else 1  # few samples are repeated within a batch
            orders = [torch.randperm(samples, generator=generator) for _ in range(rounds)]
            self._ordered = epoch, torch.cat(orders)
        return self._ordered[1]

    def prefetch(self, items: Iterable[tuple[int, float]], workers: int) -> Generator[list[Any]]:
        """The items, each prepared before it is needed: by `workers` processes, to which the sampler is sent, or, if
        there are none, by a thread. `items` is iterated in the thread of the caller, one ahead, or two a worker."""
        return self._by_processes(items, workers) if workers else self._by_a_thread(items)

    def _by_a_thread(self, items: Iterable[tuple[int, float]]) -> Generator[list[Any]]:
        with ThreadPoolExecutor(1) as thread:
            pending = None
            for item in items:
                before, pending = pending, thread.submit(self.__getitem__, item)
                if before is not None:
                    yield before.result()
            if pending is not None:
                yield pending.result()

    def _by_processes(self, items: Iterable[tuple[int, float]], workers: int) -> Generator[list[Any]]:
        # A process that is forked after threads or a GPU were used may hang: these start anew.
        yield from DataLoader(
            self,
            batch_size=None,
            sampler=items,
            num_workers=workers,
            multiprocessing_context="spawn",
            worker_init_fn=_leave_signals,
        )


def _leave_signals(worker: int) -> None:
    """Signals to a whole group of processes are for the training process, which saves its state and then ends its
    workers."""
    for number in (*ENDING, *SAVING):
        signal.signal(number, signal.SIG_IGN)
