"""What a page lets a person choose by name: each thing has maps over the picture."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol, Self

from jaxtyping import Float
from torch import Tensor

from saccade.lens import Trace
from saccade.studio.queries import QueryLayer, rounded


class Packs(Protocol):
    """A layer's maps."""

    def packed(self) -> tuple[bytes, Any]:
        """As bytes, with what is needed to read them."""


@dataclass(frozen=True, kw_only=True)
class Targets(ABC):
    """Things of one picture that a page offers by name.

    kind: of them, as the page knows it. layers: maps, an entry for each of the first `len` names. others: the calls
    that are none of theirs. grid: (rows, columns) of patches.
    """

    kind: ClassVar[str]

    layers: Sequence[Packs]
    others: Trace
    grid: tuple[int, int]
    notes: list[str]

    @abstractmethod
    def __len__(self) -> int:
        """How many have maps."""

    @property
    @abstractmethod
    def names(self) -> list[str]:
        """To tell them apart by."""

    @abstractmethod
    def first(self, n: int) -> Self:
        """Those of the first n."""

    @abstractmethod
    def cut(self, n: int) -> str:
        """What to say of a page that shows n of them."""

    @abstractmethod
    def content(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        """What the page reads of them, and the maps of each layer and other planes as bytes, by name."""

    def fitting(self, budget: float) -> Self:
        """As many of the first as take at most `budget` bytes of a page, and at least one."""
        fewer = self
        while (size := sum(len(layer.packed()[0]) for layer in fewer.layers) * 4 / 3) > budget and len(fewer) > 1:
            fewer = self.first(max(1, min(len(fewer) - 1, int(len(fewer) * budget / size))))
        if fewer is self:
            return self
        return replace(fewer, notes=[*self.notes, self.cut(len(fewer))])


@dataclass(frozen=True, kw_only=True)
class Queries(Targets):
    """Objects or classes of one picture, and where the query of each looked. place: what a query stands for in the
    picture, in a word."""

    place: ClassVar[str]

    layers: list[QueryLayer]

    @property
    @abstractmethod
    def cover(self) -> Float[Tensor, "n m"]:
        """The part of every patch that is the place of each."""

    @abstractmethod
    def details(self) -> dict[str, Any]:
        """What the page reads of them beside their names and layers."""

    def planes(self) -> dict[str, bytes]:
        """What the page reads as bytes beside the maps, by name."""
        return {}

    def _layers_of(self, n: int) -> list[QueryLayer]:
        return [
            replace(one, looks=one.looks[:, :n], among=None if one.among is None else one.among[:, :n, :n])
            for one in self.layers
        ]

    def shares(self) -> list[dict[str, Any]]:
        """For JSON, an entry each: the share of its attention to patches that falls inside its place, a decoder layer
        each (mean of the heads), beside the place's share of the picture."""
        cover = self.cover
        inside = [layer.inside(cover)[0].tolist() for layer in self.layers]
        return [
            {
                f"attention_in_{self.place}": [round(layer[i], 4) for layer in inside],
                f"{self.place}_share": round(float(area), 4),
            }
            for i, area in enumerate(cover.mean(dim=1))
        ]

    def content(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        cover = self.cover
        layers, data = [], self.planes()
        for i, layer in enumerate(self.layers):
            data[str(i)], largest = layer.packed()
            layers.append(
                {
                    "name": layer.name,
                    "heads": layer.looks.shape[0],
                    "tokens": layer.tokens,
                    "largest": largest,
                    "inside": rounded(layer.inside(cover)),
                    "entropy": rounded(layer.entropy()),
                    "among": None if layer.among is None else rounded(layer.among),
                }
            )
        told = {"kind": self.kind, "names": self.names, "area": rounded(cover.mean(dim=1)), "layers": layers}
        return {**told, **self.details()}, data
