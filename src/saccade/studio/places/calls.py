"""Attention calls whose tokens lie at known places of a picture, window by window, and the reasons for all others."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from saccade.lens import Call, Trace
from saccade.studio.places.table import PlaceTable, Side
from saccade.studio.places.tensor_places import NOWHERE, PADDING, Grids, is_constant

Grid = tuple[int, int]


@dataclass(frozen=True, eq=False)
class TokenLocations:
    """Where the tokens of one side of a call lie.

    grid: (rows, columns) of its cells over the picture; None if none of the tokens has a place. cells: of each window
    and token, counted row by row: -1 for a token without a place (cls, a query), -2 for padding.
    """

    grid: Grid | None
    cells: Int[Tensor, "w n"]

    @property
    def unplaced_count(self) -> int:
        """Tokens of a window without a place, but for padding."""
        return int((self.cells == NOWHERE).sum(dim=1).max())


@dataclass(frozen=True, eq=False)
class PlacedAttentionCall:
    """One attention call of one picture. slices: of each window, the (batch, head) of each of its heads in the call;
    a call over the whole picture has one window. targets, sources: where the tokens lie."""

    call: Call
    name: str
    slices: Sequence[Sequence[tuple[int, int]]]
    targets: TokenLocations
    sources: TokenLocations

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Windows, heads, targets and sources of a window."""
        return len(self.slices), len(self.slices[0]), *self.call.shape[2:]

    def tiles(self) -> Iterator[tuple[Int[Tensor, "t"], Float[Tensor, "w h t m"]]]:
        """Walk over the weights: the targets of a tile, and what they attend to."""
        index = torch.tensor(self.slices)  # (w h 2)
        for targets, weights in self.call.tiles():
            yield targets.cpu(), weights.float().cpu()[index[..., 0], index[..., 1]]

    @property
    def in_raster_order(self) -> bool:
        """Whether it is self-attention over all places of one grid, row by row after the other tokens: what a page
        shows from queries and keys."""
        cells = self.targets.cells[0]
        return (
            self.call.kind == "self"
            and self.call.shape[0] == 1
            and self.call.lengths is None
            and len(self.slices) == 1
            and torch.equal(cells, self.sources.cells[0])
            and _row_by_row(cells, self.targets.grid)
        )


def _row_by_row(cells: Int[Tensor, "n"], grid: Grid | None) -> bool:
    if grid is None:
        return False
    count = grid[0] * grid[1]
    prefix = len(cells) - count
    return prefix >= 0 and bool((cells[:prefix] == NOWHERE).all()) and torch.equal(cells[prefix:], torch.arange(count))


def placed_calls(trace: Trace, table: PlaceTable) -> tuple[list[PlacedAttentionCall], dict[str, str]]:
    """The calls of a pass over one picture that can be shown on it, and the reason for each of the others, by name."""
    placed, left = list[PlacedAttentionCall](), dict[str, str]()
    for call, name in zip(trace, _unique([call.name for call in trace]), strict=True):
        found = _place(call, name, table)
        if isinstance(found, PlacedAttentionCall):
            placed.append(found)
        else:
            left[name] = found
    return placed, left


def _unique(names: Sequence[str]) -> list[str]:
    """Names of calls; further calls of a module are numbered."""
    seen, unique = dict[str, int](), []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        unique.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return unique


def _place(call: Call, name: str, table: PlaceTable) -> PlacedAttentionCall | str:
    if call.kind == "channels":
        return "its tokens are channels, not places of the picture"
    if not bool(call.q.isfinite().all() and call.k.isfinite().all()):
        return "its queries or keys are not all finite"
    targets, sources = _both(call, table)
    if not bool((sources >= 0).any()):
        if bool((targets >= 0).any()):
            return "its sources are no places of the picture"
        return "no token of it is known to be a place of the picture (words, queries, operations not followed)"
    if _values_elsewhere(call, sources, table):
        return "its values lie at other places than its keys, so that its weights are of other places than they seem"
    heads = call.shape[1] // sources.shape[1]
    sources = sources.repeat_interleave(heads, dim=1)
    windows = _windows(targets, sources)
    windows = [slices for slices in windows if _known(targets[slices[0]], sources[slices[0]])]
    if len({len(slices) for slices in windows}) != 1:
        return "its windows have different numbers of heads"
    if not bool((targets >= 0).any()) and call.shape[0] > 1 and len(windows[0]) > call.shape[1]:
        return f"it holds {call.shape[0]} sets of targets"
    sides = []
    for codes in (targets, sources):
        side = _tokens(torch.stack([codes[slices[0]] for slices in windows]), table.grids)
        if side is None:
            return "its tokens lie on several grids at once"
        sides.append(side)
    found = PlacedAttentionCall(call, name, windows, *sides)
    return _doubt(found) or found


def _known(targets: Int[Tensor, "n"], sources: Int[Tensor, "m"]) -> bool:
    """Whether any token of a window is a place of the picture, or padding in a window beside such ones: entries of a
    batch that are masks, texts or blank tiles have none."""
    return bool((targets >= 0).any() or (sources >= 0).any() or (targets == PADDING).any())


def _values_elsewhere(call: Call, sources: Int[Tensor, "b g m"], table: PlaceTable) -> bool:
    """Whether the values that a weight multiplies are known to lie elsewhere than its key."""
    values = None if call.v is None else _codes(call.v, table)
    if values is None or values.shape[-1] != sources.shape[-1]:
        return False
    return bool(((values != sources) & (values >= 0) & (sources >= 0)).any())


def _both(call: Call, table: PlaceTable) -> tuple[Int[Tensor, "b h n"], Int[Tensor, "b g m"]]:
    """The places of targets and sources. Where a trace keeps queries or keys of its own making (with scales of heads in
    them), those of the product that the model made."""
    targets, sources = (_codes(t, table) for t in (call.q, call.k))
    if targets is None and sources is not None:
        heads = call.shape[1] // sources.shape[1]
        targets = _partners("columns", sources.repeat_interleave(heads, dim=1), call.shape[2], table)
    elif sources is None and targets is not None:
        sources = _partners("rows", targets, call.shape[3], table)
    elif targets is None and sources is None and call.mask is not None:  # kept by its scores
        targets = _rows(call, table)
        sources = None if targets is None else _partners("weights", targets, call.shape[3], table)
    found = []
    for places, t in ((targets, call.q), (sources, call.k)):
        found.append(torch.full(t.shape[:3], NOWHERE, dtype=torch.int32) if places is None else places)
    return found[0], found[1]


def _rows(call: Call, table: PlaceTable) -> Int[Tensor, "b h n"] | None:
    """The places of the targets of a call that is kept by its scores."""
    places = None if call.mask is None else table.places(call.mask)
    if places is None or places.shape != call.shape or not is_constant(places, [3]):
        return None
    return places[..., 0]


def _partners(side: Side, places: Int[Tensor, "b h n"], count: int, table: PlaceTable) -> Int[Tensor, "b h m"] | None:
    found = [table.find_product_partner(side, each) for each in places.flatten(0, 1)]
    if any(each is None or len(each) != count for each in found):
        return None
    return torch.stack(found).unflatten(0, places.shape[:2])  # type: ignore[arg-type]  # none is None


def _codes(t: Tensor, table: PlaceTable) -> Int[Tensor, "b h n"] | None:
    """The place of each token: that of those of its numbers which have one, nowhere where these differ; None if it is
    not followed."""
    places = table.places(t)
    return None if places is None else _one_place(places)


def _one_place(places: Int[Tensor, "... k"]) -> Int[Tensor, "..."]:
    codes = places.amax(-1)
    one = ((places == codes[..., None]) | (places < 0)).all(-1)
    return torch.where(one, codes, NOWHERE)


def is_raster_order(t: Float[Tensor, "1 n d"], grid: Grid, table: PlaceTable) -> bool:
    """Whether the tokens of a tensor are known to be the cells of a grid, row by row after the other tokens."""
    codes = _codes(t, table)
    side = None if codes is None else _tokens(codes, table.grids)
    return side is not None and side.grid == grid and _row_by_row(side.cells[0], grid)


def features_on_grid(
    t: Float[Tensor, "..."], table: PlaceTable, values: Float[Tensor, "..."] | None = None
) -> tuple[Float[Tensor, "n d"], Grid] | None:
    """The features of the cells of a grid, row by row: of a tensor (b n d), (b y x d) or (b d y x), or of `values`
    in its shape. None unless each cell is known to be one token of it."""
    places = table.places(t)
    for channels in (-1, 1):
        if places is None or (channels == 1 and t.ndim != 4):
            continue
        side = _tokens(_one_place(places.movedim(channels, -1)).flatten()[None], table.grids)
        if side is None or side.grid is None:
            continue
        cells, at = side.cells[0][side.cells[0] >= 0].sort()
        if torch.equal(cells, torch.arange(side.grid[0] * side.grid[1])):
            tokens = (t if values is None else values).movedim(channels, -1).flatten(0, -2)
            return tokens[(side.cells[0] >= 0).nonzero()[:, 0][at].to(tokens.device)], side.grid
    return None


def _windows(targets: Int[Tensor, "b h n"], sources: Int[Tensor, "b h m"]) -> list[list[tuple[int, int]]]:
    """Batch and head of the slices whose tokens lie at the same places: the heads of one window. Windows may be folded
    into the batch (Swin) or into the heads (Hiera)."""
    found: dict[bytes, list[tuple[int, int]]] = {}
    places = torch.cat([targets, sources], dim=2).contiguous().numpy()
    for b in range(places.shape[0]):
        for h in range(places.shape[1]):
            found.setdefault(places[b, h].tobytes(), []).append((b, h))
    return list(found.values())


def _tokens(codes: Int[Tensor, "w n"], grids: Grids) -> TokenLocations | None:
    if not bool((codes >= 0).any()):
        return TokenLocations(None, codes.long())
    decoded = grids.decode(codes)
    if decoded is None:
        return None
    row, column, (rows, columns) = decoded
    (row, rows), (column, columns) = _every_second(row, rows), _every_second(column, columns)
    return TokenLocations((rows, columns), torch.where(codes < 0, codes, row * columns + column).long())


def _every_second(side: Int[Tensor, "w n"], count: int) -> tuple[Int[Tensor, "w n"], int]:
    """Rows or columns of a coarser grid, where only every second, third ... of a finer one holds tokens (LeViT)."""
    used = side[side >= 0].unique()
    step = int(used.diff().min()) if len(used) > 1 else 1
    if not torch.equal(used.long(), torch.arange(0, count, step)):
        return side, count
    return torch.where(side < 0, side, side // step), -(-count // step)


def _doubt(placed: PlacedAttentionCall) -> str:
    """Why the places cannot be those of the call; "" where nothing speaks against them."""
    targets, call = placed.targets.cells, placed.call
    real = targets[targets >= 0]
    if len(real.unique()) != len(real):
        return "several of its targets lie at one place (frames of a film, or overlapping windows)"
    for cells in placed.sources.cells:
        real = cells[cells >= 0]
        if len(real.unique()) != len(real):
            return "several of its sources lie at one place (frames of a film)"
    if call.windows is not None and len(placed.slices) == call.shape[0]:
        places = call.windows.places
        rows, columns = call.windows.grid[1:]
        seen = torch.where(places[..., 0] < 0, PADDING, places[..., 1] * columns + places[..., 2])
        if placed.targets.grid != (rows, columns) or not torch.equal(seen, targets):
            return "where its tokens lie cannot be said: two ways to find it disagree"
    return ""
