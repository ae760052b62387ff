"""Features of the places of a picture after the blocks of a model, each block on a grid of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor

from saccade.studio.patches.features import FeatureRecorder, apply_norm, enclosing_block, pack_layers
from saccade.studio.places.calls import Grid, PlacedAttentionCall, features_on_grid
from saccade.studio.places.table import PlaceTable


@dataclass(frozen=True)
class PlacedFeatures:
    """Features of all places, row by row, after the block of each attention call, by its name, and their grids.
    normed: whether the norm that reads the last block is applied to them."""

    layers: dict[str, Float[Tensor, "n d"]]
    grids: dict[str, Grid]
    normed: bool

    def content(self, names: Sequence[str]) -> tuple[dict[str, Any], dict[str, bytes]]:
        """JSON for the viewer, and planes as bytes, by name. names: of the layers of the page, at least one of them
        with features."""
        layers = {i: [self.layers[name]] for i, name in enumerate(names) if name in self.layers}
        packed = pack_layers(layers, {i: [self.grids[names[i]]] for i in layers})
        metas = [
            packed[i].meta | {"grid": list(self.grids[name])} if i in packed else None for i, name in enumerate(names)
        ]
        content = {"layers": metas, "known": [name in self.layers for name in names], "normed": self.normed}
        return content, {f"features-{i}-0": layer.data[0] for i, layer in packed.items()}


def placed_features(
    recorder: FeatureRecorder, placed: Sequence[PlacedAttentionCall], table: PlaceTable
) -> PlacedFeatures | None:
    """The features after the blocks of these calls, where each of a block's tokens is known to be one place of the grid
    of the call's targets (what holds a whole stage ends on another); None if there are none. Where all have one width,
    they are after the norm that reads the last of them."""
    outputs = {name: found for name, out in recorder.valid_outputs().items() if (found := features_on_grid(out, table))}
    around = {each.name: enclosing_block(each.call, outputs) for each in placed}
    blocks = {
        each.name: name
        for each in placed
        if (name := around[each.name]) and outputs[name][1] == (each.targets.grid or outputs[name][1])
    }
    if not blocks:
        return None
    used = {name: recorder.outputs[name] for name in blocks.values()}
    norm = None
    if len({outputs[name][0].shape[1] for name in used}) == 1:
        norm = recorder.norm_after(list(used.values())[-1])
    layers = dict[str, Tensor]()
    for name, out in used.items():
        found = features_on_grid(out, table, apply_norm(out, norm))
        assert found is not None
        layers[name] = found[0]
    return PlacedFeatures(
        {call: layers[block] for call, block in blocks.items()},
        {call: outputs[block][1] for call, block in blocks.items()},
        norm is not None,
    )
