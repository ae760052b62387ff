"""A block of a map: what some of its targets attend to among some of its sources."""

from collections.abc import Iterator
from typing import Any, Protocol

import torch
from jaxtyping import Float, Int
from torch import Tensor

from saccade.errors import SaccadeError
from saccade.lens.indices import Indices, indices


class RecordedCall(Protocol):
    """What a block reads of its call."""

    name: str
    shape: tuple[int, int, int, int]
    parts: dict[str, slice] | None

    @property
    def kind(self) -> str: ...

    def tiles(self, targets: Int[Tensor, "n"] | None = None) -> Iterator[tuple[Int[Tensor, "t"], Tensor]]: ...

    def columns(self, idx: Indices) -> Float[Tensor, "b h n i"]: ...


class Block:
    """The part of a call's map with a run of targets and a run of sources, such as image to text.

    Weights are those of the whole map: a row sums to the share of its attention that goes to these sources, 0 to 1.
    Nothing is computed before it is needed, and n x m numbers only by `weights`. shape: (b, h, n, m) of the block.
    Targets and sources are counted within it.
    """

    def __init__(self, call: RecordedCall, targets: slice, sources: slice) -> None:
        self.call, self.targets, self.sources = call, targets, sources
        b, h = call.shape[:2]
        self.shape = (b, h, targets.stop - targets.start, sources.stop - sources.start)

    def rows(self, idx: Indices) -> Float[Tensor, "b h i m"]:
        """What the targets `idx` attend to among the sources."""
        targets = self._whole("target", idx, self.shape[2], self.targets)
        return torch.cat([w[..., self.sources] for _, w in self.call.tiles(targets)], dim=2)

    def columns(self, idx: Indices) -> Float[Tensor, "b h n i"]:
        """How much the targets attend to the sources `idx`."""
        return self.call.columns(self._whole("source", idx, self.shape[3], self.sources))[:, :, self.targets]

    def received(self) -> Float[Tensor, "b h m"]:
        """How much attention each source gets: the mean over the targets."""
        b, h, n, m = self.shape
        total = torch.zeros(b, h, m)
        for w in self._tiles():
            total = total.to(w) + w.sum(dim=2)
        return total / n

    def share(self) -> Float[Tensor, "b h n"]:
        """How much of the attention of each target goes to all the sources together, 0 to 1."""
        return torch.cat([w.sum(dim=-1) for w in self._tiles()], dim=2)

    def weights(self) -> Float[Tensor, "b h n m"]:
        """The whole block. n x m memory."""
        return torch.cat(list(self._tiles()), dim=2)

    def _tiles(self) -> Iterator[Float[Tensor, "b h t m"]]:
        targets = torch.arange(self.targets.start, self.targets.stop)
        return (w[..., self.sources] for _, w in self.call.tiles(targets))

    def _whole(self, what: str, idx: Indices, length: int, within: slice) -> Int[Tensor, "i"]:
        return indices(idx, length, what, self.call.name) + within.start

    def __repr__(self) -> str:
        return f"Block({self.call.name!r}, targets {_span(self.targets)}, sources {_span(self.sources)})"


def check_parts_cover(parts: Any, n: int) -> dict[str, slice]:
    """Parts by name that cover tokens 0 to n without gaps. Raises ValueError for others."""
    at = 0
    for name, part in parts.items():
        if not isinstance(name, str) or part.start != at or part.stop <= at:
            raise ValueError(f"parts {parts} do not follow one another")
        at = part.stop
    if at != n or len(parts) < 2:
        raise ValueError(f"parts {parts} do not cover {n} tokens")
    return dict(parts)


def block_of(call: RecordedCall, targets: str, sources: str) -> Block:
    """The block of two named parts. Raises SaccadeError if the call has no such parts."""
    parts = call.parts or {}
    for name in (targets, sources):
        if name not in parts:
            known = ", ".join(parts) if parts else f"none: it is {call.kind}-attention of one sequence"
            raise SaccadeError(f"{call.name!r} has no part {name!r}; its parts are {known}")
    return Block(call, parts[targets], parts[sources])


def _span(part: slice) -> str:
    return f"{part.start} to {part.stop - 1}"
