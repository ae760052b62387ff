"""The weights of placed calls as few bytes: logs of weights, as multiples of a step, and joined where there are too
many."""

import zlib
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from saccade.studio.page.queries import rounded
from saccade.studio.places.calls import Grid, PlacedAttentionCall, TokenLocations
from saccade.studio.places.tensor_places import NOWHERE, PADDING

STEP = 0.01  # of a log of a weight: each is off by 0.5 % of itself at most
NONE = 65535  # the number of a weight of 0
LARGEST_JOINED = 16  # places a side


@dataclass(frozen=True, eq=False)
class PlacedLayer:
    """A placed call as a page shows it. joined: places a side that are put together as one: of joined targets the mean
    of what they attend to, of joined sources the sum of what goes to them."""

    call: PlacedAttentionCall
    joined: tuple[int, int] = (1, 1)

    @property
    def name(self) -> str:
        return self.call.name

    @cached_property
    def targets(self) -> TokenLocations:
        """Cells of the targets, after joining."""
        return _joined(self.call.targets, self.joined[0])[0]

    @cached_property
    def sources(self) -> TokenLocations:
        """The same of the sources."""
        return _joined(self.call.sources, self.joined[1])[0]

    @property
    def weight_count(self) -> int:
        """How many weights it has."""
        windows, heads, _, _ = self.call.shape
        return windows * heads * self.targets.cells.shape[1] * self.sources.cells.shape[1]

    def coarser(self) -> "PlacedLayer | None":
        """With twice as many places a side joined, on the side that has more of them; on both where they are equal.
        None if joining would cut a place in two (windows that are no whole ones of them), or leave hardly any."""
        targets, sources = self.targets, self.sources
        n, m = targets.cells.shape[1], sources.cells.shape[1]
        more = (2 if n >= m and targets.grid else 1, 2 if m >= n and sources.grid else 1)
        found = replace(self, joined=(self.joined[0] * more[0], self.joined[1] * more[1]))
        fewer = found.weight_count < self.weight_count and max(found.joined) <= LARGEST_JOINED
        return found if fewer and _whole(found.targets) else None

    @cached_property
    def weights(self) -> Float[Tensor, "w h n m"]:
        """What each target attends to: rows sum to 1, those of padding are 0."""
        windows, heads = self.call.shape[:2]
        into = [_joined(side, joined)[1] for side, joined in zip((self.call.targets, self.call.sources), self.joined,
                                                                 strict=True)]  # fmt: skip
        if self.joined == (1, 1):
            out = torch.cat([tile for _, tile in self.call.tiles()], dim=2)
        else:
            out = torch.zeros(windows, heads, self.targets.cells.shape[1], self.sources.cells.shape[1])
            for targets, tile in self.call.tiles():
                for w in range(windows):
                    fewer = torch.zeros(heads, len(targets), out.shape[3]).index_add_(2, into[1][w], tile[w])
                    out[w].index_add_(1, into[0][w, targets], fewer)
            out /= out.sum(-1, keepdim=True).clamp_min(1e-30)
        return out.masked_fill((self.targets.cells == PADDING)[:, None, :, None], 0.0)

    def packed(self) -> tuple[bytes, dict[str, Any]]:
        """Cells of the targets and of the sources (32 bits each), then −log of each weight in steps, first all low
        bytes, then all high ones."""
        codes = (-self.weights.log() / STEP).round().clamp(0, NONE).to(torch.int32).numpy().astype(np.uint16)
        cells = [side.cells.to(torch.int32).numpy().tobytes() for side in (self.targets, self.sources)]
        low, high = (codes & 255).astype(np.uint8), (codes >> 8).astype(np.uint8)
        data = b"".join([*cells, low.tobytes(), high.tobytes()])
        return zlib.compress(data, 6), self.meta()

    def meta(self) -> dict[str, Any]:
        """JSON for the viewer."""
        windows, heads, _, _ = self.call.shape
        entropy, distance = self.measures()
        return {
            "name": self.name,
            "heads": heads,
            "windows": windows,
            "targets": [self.targets.cells.shape[1], self.targets.grid],
            "sources": [self.sources.cells.shape[1], self.sources.grid],
            "others": self.targets.unplaced_count,
            "places": [len(side.cells[side.cells >= 0].unique()) for side in (self.targets, self.sources)],
            "joined": list(self.joined),
            "step": STEP,
            "entropy": rounded(entropy, 4),
            "distance": rounded(distance, 4),
        }

    def measures(self) -> tuple[Float[Tensor, "h"], Float[Tensor, "h"]]:
        """Of each head, means over its targets: entropy as a share of that of uniform attention, and the distance to
        what they attend to, as a share of the diagonal of the picture (0 where targets have no places)."""
        weights, real = self.weights, self.targets.cells != PADDING
        m = weights.shape[-1]
        entropy = torch.special.entr(weights).sum(-1).transpose(1, 2)[real].mean(0) / max(1e-9, float(np.log(m)))
        if self.targets.grid is None:
            return entropy, torch.zeros_like(entropy)
        total, count = torch.zeros(weights.shape[1]), 0
        for window, targets, sources in zip(weights, self.targets.cells, self.sources.cells, strict=True):
            far = torch.cdist(_centres(targets, self.targets.grid), _centres(sources, self.sources.grid))
            placed = (targets >= 0)[:, None] & (sources >= 0)
            mass = (window * placed).sum(-1).clamp_min(1e-12)
            total += ((window * placed * far).sum(-1) / mass)[:, targets >= 0].sum(-1)
            count += int((targets >= 0).sum())
        return entropy, total / max(1, count)


def _centres(cells: Int[Tensor, "n"], grid: Grid | None) -> Float[Tensor, "n 2"]:
    """In shares of the diagonal of a square picture."""
    assert grid is not None
    at = cells.clamp_min(0)
    return torch.stack([(at // grid[1] + 0.5) / grid[0], (at % grid[1] + 0.5) / grid[1]], dim=1) / 2**0.5


def _joined(tokens: TokenLocations, side: int) -> tuple[TokenLocations, Int[Tensor, "w n"]]:
    """Tokens with `side` x `side` places put together, and the number of each token among these."""
    windows, n = tokens.cells.shape
    if side == 1 or tokens.grid is None:
        return tokens, torch.arange(n).expand(windows, n)
    columns = tokens.grid[1]
    grid = -(-tokens.grid[0] // side), -(-columns // side)
    coarse = (tokens.cells // columns // side) * grid[1] + tokens.cells % columns // side
    coarse = torch.where(tokens.cells < 0, tokens.cells, coarse)
    cells, into = [], []
    for each in coarse:
        single = each == NOWHERE  # tokens without a place stay apart
        key = torch.where(single, -(3 + torch.arange(n)), each)
        found, index = key.unique(return_inverse=True)
        cells.append(torch.where(found <= -3, NOWHERE, found))
        into.append(index)
    most = max(map(len, cells))
    padded = torch.full((windows, most), PADDING)
    for row, found in zip(padded, cells, strict=True):
        row[: len(found)] = found
    return TokenLocations(grid, padded), torch.stack(into)


def _whole(tokens: TokenLocations) -> bool:
    """Whether each place lies in one window."""
    real = tokens.cells[tokens.cells >= 0]
    return len(real.unique()) == len(real)
