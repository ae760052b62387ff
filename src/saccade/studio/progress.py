"""Progress of the long steps of a look, for the terminal."""

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol, TypeVar

from torch import nn

Item = TypeVar("Item")


class Reporter(Protocol):
    """What shows progress."""

    def step(self, name: str, done: float | None) -> None:
        """A step has begun or goes on. done: share of it, 0 to 1; None where it is not known."""

    def note(self, text: str) -> None:
        """Something to know before it takes long."""


_reporter: ContextVar[Reporter | None] = ContextVar("reporter", default=None)


@contextmanager
def reporting(reporter: Reporter) -> Iterator[None]:
    """Report the steps in the block to `reporter`."""
    token = _reporter.set(reporter)
    try:
        yield
    finally:
        _reporter.reset(token)


def report_step(name: str, done: float | None = None) -> None:
    """Report a step."""
    if (reporter := _reporter.get()) is not None:
        reporter.step(name, done)


def report_note(text: str) -> None:
    """Report a note."""
    if (reporter := _reporter.get()) is not None:
        reporter.note(text)


def track_progress(items: Sequence[Item], name: str) -> Iterator[Item]:
    """The items, reporting how many are done."""
    for i, item in enumerate(items):
        report_step(name, i / len(items))
        yield item


@contextmanager
def track_layers(layers: Sequence[nn.Module], name: str) -> Iterator[None]:
    """Report how many of the layers of a forward pass in the block are done."""
    report_step(name, 0.0)
    done = itertools.count(1)
    hooks = [layer.register_forward_hook(lambda *_: report_step(name, next(done) / len(layers))) for layer in layers]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
