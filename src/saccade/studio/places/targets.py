"""Placed calls as targets of a page, in as many bytes as it has."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from saccade.studio.page.targets import Targets
from saccade.studio.places.calls import Grid
from saccade.studio.places.features import PlacedFeatures
from saccade.studio.places.packing import PlacedLayer
from saccade.studio.progress import track_progress

BYTES = 1.9  # of a weight on a page, about


@dataclass(frozen=True, kw_only=True)
class PlacesPageData(Targets):
    """The attention of layers between places of a picture, each on its own grid, for the viewer's scene "places".

    tokens: names of tokens without a place, of layers in which such tokens attend: by their number. features: of the
    places after the blocks of the layers.
    """

    kind = "places"

    layers: Sequence[PlacedLayer]
    tokens: Sequence[str] = ()
    features: PlacedFeatures | None = None

    def __len__(self) -> int:
        return len(self.layers)

    @property
    def names(self) -> list[str]:
        return [layer.name for layer in self.layers]

    def first_targets(self, n: int) -> "PlacesPageData":
        return replace(self, layers=self.layers[:n])

    def truncation_note(self, n: int) -> str:
        return ""

    def fitting(self, budget: float) -> "PlacesPageData":
        """Places of the largest layers are joined until all fit; layers that cannot be are left out."""
        layers, left = list(self.layers), list[str]()
        while sum(layer.weight_count for layer in layers) * BYTES > budget:
            largest = max(range(len(layers)), key=lambda i: layers[i].weight_count)
            if (coarser := layers[largest].coarser()) is not None:
                layers[largest] = coarser
            elif len(layers) > 1:
                left.append(layers.pop(largest).name)
            else:
                break
        joined = [layer for layer in layers if layer.joined != (1, 1)]
        notes = [f"Not shown: {name}: it has too many weights for a page." for name in left]
        if joined:
            notes.append(
                f"In {len(joined)} of {len(layers)} layers neighbouring places are joined, to keep the page small."
            )
        return replace(self, layers=layers, notes=[*self.notes, *notes])

    def content(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        packed = [layer.packed() for layer in track_progress(self.layers, "packing weights")]
        content = {
            "kind": self.kind,
            "names": self.names,
            "layers": [meta for _, meta in packed],
            "tokens": list(self.tokens),
        }
        data = {str(i): data for i, (data, _) in enumerate(packed)}
        if self.features is None or self.features.layers.keys().isdisjoint(self.names):
            return content, data
        features, planes = self.features.content(self.names)
        return content | {"features": features}, data | planes


def finest_grid(layers: Sequence[PlacedLayer]) -> Grid:
    """The grid with the most cells, of the targets of the layers, or else of their sources."""
    sides = [layer.targets.grid for layer in layers if layer.targets.grid] or [
        layer.sources.grid for layer in layers if layer.sources.grid
    ]
    return max(sides, key=lambda grid: grid[0] * grid[1])
