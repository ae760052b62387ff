"""What is known of the places of tensors, and where the two sides of products lay."""

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Int
from PIL import Image
from torch import Tensor

from saccade.studio.places.tensor_places import Grids, TensorPlaces

Side = Literal["rows", "columns", "weights"]


class PlaceTable:
    """The places of the tensors of one pass. grids: what places are counted in. shadow: places by memory. size: of the
    picture (rows, columns), in places. covered: the part of it from its top left that has patches."""

    def __init__(self, grids: Grids, size: Sequence[int]) -> None:
        self.grids, self.shadow = grids, TensorPlaces()
        self.size = self.covered = tuple(size)
        self._patched = False
        self._products: dict[tuple[str, bytes], set[bytes]] = {}

    def places(self, t: Tensor) -> Int[Tensor, "..."] | None:
        """The place of every number of a tensor; None if it is not followed."""
        return self.shadow.get(t)

    def record_coverage(self, cells: tuple[int, ...], covered: Sequence[int]) -> bool:
        """Note what part of the picture patches cover; False for cells that are no pixels of the picture, and where
        other patches cover another part."""
        if cells != self.size or (self._patched and self.covered != tuple(covered)):
            return False
        self.covered, self._patched = tuple(covered), True
        return True

    def covered_part(self, picture: Image.Image) -> Image.Image:
        """The part of a picture of any size that patches cover."""
        if self.covered == self.size:
            return picture
        height, width = (side * part / whole for side, part, whole in
                         zip((picture.height, picture.width), self.covered, self.size, strict=True))  # fmt: skip
        return picture.crop((0, 0, max(1, round(width)), max(1, round(height))))

    def find_product_partner(self, side: Side, places: Int[Tensor, "n"]) -> Int[Tensor, "m"] | None:
        """In the products of queries and keys (rows, columns), or of weights and values, of which one side lay at these
        places: where the other lay. None if there was no such product, or several that differ."""
        found = self._products.get((side, places.contiguous().numpy().tobytes()), set())
        return torch.frombuffer(bytearray(next(iter(found))), dtype=torch.int32) if len(found) == 1 else None

    def record_product(self, rows: Int[Tensor, "... n"], columns: Int[Tensor, "... m"], weights: bool = False) -> None:
        """Note that rows at these places were multiplied with columns at those; or weights with values."""
        lead = torch.broadcast_shapes(rows.shape[:-1], columns.shape[:-1])
        pairs = {
            (n.tobytes(), m.tobytes())
            for n, m in zip(
                rows.expand(*lead, -1).flatten(0, -2).contiguous().numpy(),
                columns.expand(*lead, -1).flatten(0, -2).contiguous().numpy(),
                strict=True,
            )
        }
        for n, m in pairs:
            self._products.setdefault(("weights" if weights else "rows", n), set()).add(m)
            if not weights:
                self._products.setdefault(("columns", m), set()).add(n)
