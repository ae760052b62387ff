"""What a person can select by name on a page: each target has maps over the patches of the image."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol, Self

from jaxtyping import Float
from torch import Tensor

from saccade.lens import Trace
from saccade.studio.page.budget import PackingResult
from saccade.studio.page.queries import QueryLayer, rounded


class Packs(Protocol):
    """A layer's maps."""

    def packed(self) -> tuple[bytes, Any]:
        """As bytes, with what is needed to read them."""


@dataclass(frozen=True, kw_only=True)
class Targets(ABC):
    """Objects, classes or words that a page offers by name.

    kind: names their scene in the viewer (scenes.js). layers: maps of the first `len` names. others: all other calls.
    grid: (rows, columns) of patches.
    """

    kind: ClassVar[str]

    layers: Sequence[Any]  # `Packs`, unless `fitting` is a subclass's own
    others: Trace
    grid: tuple[int, int]
    notes: list[str]

    @abstractmethod
    def __len__(self) -> int:
        """Number of targets with maps."""

    @property
    @abstractmethod
    def names(self) -> list[str]:
        """Unique names."""

    @property
    def packing_result(self) -> PackingResult | None:
        """How their layers were packed by `fitting`, where they are queries and keys."""
        return None

    @abstractmethod
    def first_targets(self, n: int) -> Self:
        """The first n of them."""

    @abstractmethod
    def truncation_note(self, n: int) -> str:
        """A note for a page that shows only n of them."""

    @abstractmethod
    def content(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        """JSON for the viewer, and the maps of each layer and other planes as bytes, by name."""

    def packed_size(self) -> int:
        """Bytes of all maps."""
        return sum(len(layer.packed()[0]) for layer in self.layers)

    def fitting(self, budget: float) -> Self:
        """As many as fit in `budget` bytes of a page, in order, and at least one."""
        fewer = self
        while (size := fewer.packed_size() * 4 / 3) > budget and len(fewer) > 1:
            fewer = self.first_targets(max(1, min(len(fewer) - 1, int(len(fewer) * budget / size))))
        if fewer is self:
            return self
        return replace(fewer, notes=[*self.notes, self.truncation_note(len(fewer))])


@dataclass(frozen=True, kw_only=True)
class Queries(Targets):
    """Objects or classes of one image, with the attention of each one's query. region: what a query stands for in the
    image (box, area)."""

    region: ClassVar[str]

    layers: list[QueryLayer]

    @property
    @abstractmethod
    def region_coverage(self) -> Float[Tensor, "n m"]:
        """Share of every patch that is in the region of each."""

    @abstractmethod
    def details(self) -> dict[str, Any]:
        """JSON for the viewer, besides names and layers."""

    def planes(self) -> dict[str, bytes]:
        """Bytes for the viewer besides the maps, by name."""
        return {}

    def _layers_of(self, n: int) -> list[QueryLayer]:
        return [
            replace(
                one,
                weights=one.weights[:, :n],
                self_weights=None if one.self_weights is None else one.self_weights[:, :n, :n],
            )
            for one in self.layers
        ]

    def attention_shares(self) -> list[dict[str, Any]]:
        """For JSON, one entry each: the share of its attention to patches that is inside its region, per decoder layer
        (mean of the heads), and the region's share of the image."""
        cover = self.region_coverage
        inside = [layer.attention_inside_region(cover)[0].tolist() for layer in self.layers]
        return [
            {
                f"attention_in_{self.region}": [round(layer[i], 4) for layer in inside],
                f"{self.region}_share": round(float(area), 4),
            }
            for i, area in enumerate(cover.mean(dim=1))
        ]

    def content(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        cover = self.region_coverage
        layers, data = [], self.planes()
        for i, layer in enumerate(self.layers):
            data[str(i)], largest = layer.packed()
            layers.append(
                {
                    "name": layer.name,
                    "heads": layer.weights.shape[0],
                    "tokens": layer.tokens,
                    "largest": largest,
                    "inside": rounded(layer.attention_inside_region(cover)),
                    "entropy": rounded(layer.entropy()),
                    "among": None if layer.self_weights is None else rounded(layer.self_weights),
                }
            )
        common = {"kind": self.kind, "names": self.names, "area": rounded(cover.mean(dim=1)), "layers": layers}
        return {**common, **self.details()}, data
