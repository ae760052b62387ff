"""A second memory beside the tensors of a model: for every number, the place of the picture that it stands for."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Int
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef

NOWHERE = -1  # a number that stands for no place: cls, a learned query, a mean over the picture
PADDING = -2  # the same, of padding around a feature map
LARGEST = 2**26  # numbers of a tensor whose places are kept


class Grids:
    """Places as whole numbers: every grid (rows, columns) over the picture has a range of its own.

    parts: of a picture that is given in several (tiles, or two pictures): each has the same grids. They are counted one
    after another, and laid out in rows of `across`.
    """

    def __init__(self, parts: int = 1) -> None:
        self.parts, self.across = parts, math.ceil(parts**0.5)
        self._starts: dict[tuple[int, int], int] = {}
        self._end = 0

    @property
    def rows_of_parts(self) -> int:
        """Rows of parts."""
        return -(-self.parts // self.across)

    def codes(self, rows: int, columns: int, part: int = 0) -> Int[Tensor, "y x"]:
        """The places of a grid, row by row. A grid of one cell is the whole picture, and no place."""
        if rows * columns == 1:
            return torch.full((1, 1), NOWHERE, dtype=torch.int32)
        start = self._starts.get((rows, columns))
        if start is None:
            start = self._starts[rows, columns] = self._end
            self._end += self.parts * rows * columns
        start += part * rows * columns
        return torch.arange(start, start + rows * columns, dtype=torch.int32).view(rows, columns)

    def part_of(self, code: int) -> int:
        """The part in which a place lies."""
        rows, columns, start = self.grid_and_start(code)
        return (code - start) // (rows * columns)

    def grid_and_start(self, code: int) -> tuple[int, int, int]:
        """The grid of a place, and the first of its places."""
        (rows, columns), start = max(
            ((grid, start) for grid, start in self._starts.items() if start <= code), key=lambda item: item[1]
        )
        return rows, columns, start

    def decode(
        self, codes: Int[Tensor, "..."]
    ) -> tuple[Int[Tensor, "..."], Int[Tensor, "..."], tuple[int, int]] | None:
        """Row and column of places of one grid (below 0 outside of it), and the grid, over all parts as they are laid
        out; None for places of several grids, and where there are none."""
        found = self._in_parts(codes)
        if found is None:
            return None
        part, row, column, (rows, columns) = found
        outside = codes < 0
        row = torch.where(outside, codes, row + part // self.across * rows)
        column = torch.where(outside, codes, column + part % self.across * columns)
        return row, column, (self.rows_of_parts * rows, self.across * columns)

    def _in_parts(
        self, codes: Int[Tensor, "..."]
    ) -> tuple[Int[Tensor, "..."], Int[Tensor, "..."], Int[Tensor, "..."], tuple[int, int]] | None:
        """Part, row and column of places of one grid (below 0 outside of it), and the grid of a part."""
        real = codes[codes >= 0]
        if not len(real):
            return None
        rows, columns, start = self.grid_and_start(int(real.min()))
        if int(real.max()) >= start + self.parts * rows * columns:
            return None
        inner, outside = codes - start, codes < 0
        sides = inner // (rows * columns), inner // columns % rows, inner % columns
        part, row, column = (torch.where(outside, codes, side) for side in sides)
        return part, row, column, (rows, columns)

    def coarser(self, codes: Int[Tensor, "... k"]) -> Int[Tensor, "..."]:
        """The cells of the coarsest regular grid in each of which all k places of one token lie; nowhere if there is
        none but the whole picture. The tokens of a patch merging, of pooling, of pixels that become patches."""
        nowhere = torch.full(codes.shape[:-1], NOWHERE, dtype=torch.int32)
        decoded = self._in_parts(codes)
        if decoded is None:
            return nowhere
        part, *sides, grid = decoded
        first = part.amax(-1)
        if bool(((part != first[..., None]) & (part >= 0)).any()):
            return nowhere
        cells, sizes = [], []
        for side, count in zip(sides, grid, strict=True):
            real = side >= 0
            low = side.masked_fill(~real, count).amin(-1)
            high = side.amax(-1)
            size = int((high - low).clamp(min=0).max()) + 1
            cell = low // size
            if bool(((high // size != cell) & (high >= 0)).any()):
                return nowhere
            cells.append(cell)
            sizes.append(-(-count // size))
        if sizes[0] * sizes[1] == 1:
            return nowhere
        start = int(self.codes(*sizes)[0, 0]) + first * (sizes[0] * sizes[1])
        empty = (codes < 0).all(-1)
        return (start + cells[0] * sizes[1] + cells[1]).to(torch.int32).masked_fill(empty, NOWHERE)


class TensorPlaces:
    """The places of all numbers of the tensors that are followed. Views of one memory share them, and so do writes into
    a view."""

    def __init__(self) -> None:
        self._of: dict[int, tuple[StorageWeakRef, Tensor, int]] = {}

    def get(self, t: Tensor) -> Int[Tensor, "..."] | None:
        """The places of a tensor, in its shape; None if it is not followed."""
        if t.layout != torch.strided or t.device.type == "meta":
            return None
        ref, flat, size = self._of.get(t.untyped_storage()._cdata, (None, None, 0))
        if ref is None or flat is None or ref.expired():
            return None
        if t.element_size() == size:
            return flat.as_strided(t.shape, t.stride(), t.storage_offset())
        if t.is_complex() and t.element_size() == 2 * size:  # a view of pairs of numbers
            return flat.as_strided(t.shape, [2 * s for s in t.stride()], 2 * t.storage_offset())
        if 2 * t.element_size() == size and t.shape[-1:] == (2,) and t.stride(-1) == 1:
            half = flat.as_strided(t.shape[:-1], [s // 2 for s in t.stride()[:-1]], t.storage_offset() // 2)
            return half[..., None].expand(t.shape)
        return None

    def put(self, t: Tensor, places: Tensor | None) -> None:
        """Note the places of a tensor, broadcast to its shape; None: they are not known."""
        if t.layout != torch.strided or not t.numel():
            return
        storage = t.untyped_storage()
        ref, flat, size = self._of.get(storage._cdata, (None, None, 0))
        if ref is None or ref.expired() or size != t.element_size():
            flat = None
        if places is None or t.numel() > LARGEST:
            if flat is not None:
                flat.as_strided(t.shape, t.stride(), t.storage_offset()).fill_(NOWHERE)
            return
        if flat is None:
            size = t.element_size()
            flat = torch.full((storage.nbytes() // size,), NOWHERE, dtype=torch.int32)
            self._of[storage._cdata] = StorageWeakRef(storage), flat, size
            if len(self._of) % 64 == 0:
                self._forget()
        flat.as_strided(t.shape, t.stride(), t.storage_offset()).copy_(places.expand(t.shape))

    def _forget(self) -> None:
        """Drop the places of memory that is freed."""
        for key in [key for key, (ref, _, _) in self._of.items() if ref.expired()]:
            del self._of[key]


def is_constant(places: Tensor, dims: Sequence[int]) -> bool:
    """Whether the places are the same along the axes."""
    first = places
    for dim in dims:
        first = first.narrow(dim, 0, 1)
    return bool((places == first).all())
