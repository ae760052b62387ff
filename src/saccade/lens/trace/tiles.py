"""A map that is computed a tile of target rows at a time, from q, k and the log-sum-exp of its scores."""

import math
from collections.abc import Iterator

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from saccade import ops
from saccade.lens.shared_setting import full_precision
from saccade.lens.trace.row_sums import fused_weighted_sum, tiled_weighted_sum
from saccade.lens.trace.saved_tensor import SavedTensor
from saccade.lens.trace.views import View, WeightedRowSum

TILE = 128  # target rows at most in a tile
TILE_NUMBERS = 2**20  # and about this many weights, over all pictures and heads: 4 MB, which caches hold

# Beyond this size a log-sum-exp is too coarse in fp32: a row whose every source is masked by a huge negative number
# loses the log of its sum altogether. Such calls keep the largest score and the log of the rest apart.
COARSE = 256.0


class TiledMap:
    """Row i of the map is exp(s q_i·K + mask_i − lse_i); see `Call`."""

    name: str
    shape: tuple[int, int, int, int]
    scale: float
    causal: bool
    lengths: tuple[int, ...] | None
    _q: SavedTensor
    _k: SavedTensor
    _mask: SavedTensor | None
    _lse: Tensor | None  # the kernel's, or computed
    _norm: tuple[Tensor, Tensor | None] | None
    _graph: bool  # it is part of the graph

    @property
    def q(self) -> Shaped[Tensor, "b h n k"]:
        """Queries of the target."""
        return self._q.value(f"q of {self.name!r}")

    @property
    def k(self) -> Shaped[Tensor, "b g m k"]:
        """Keys of the source."""
        return self._k.value(f"k of {self.name!r}")

    @property
    def mask(self) -> Shaped[Tensor, "..."] | None:
        """The mask as it was given: boolean (True may attend) or float (added to the scores)."""
        return None if self._mask is None else self._mask.value(f"the mask of {self.name!r}")

    @property
    def lse(self) -> Float[Tensor, "b h n"]:
        """Natural log of the sum over sources of exp(score); 0 for a target that may attend to nothing.

        From the kernel where it returns it, else computed once, in tiles.
        """
        lse = self._lse
        if lse is None:
            peak, rest = self._normalizer()
            lse = peak if rest is None else peak + rest
            self._lse = None if self._graph else lse
        return lse.masked_fill(~lse.isfinite(), 0.0)

    def weighted_sum(self, share: Float[Tensor, "b n"]) -> Float[Tensor, "b h m"]:
        """The sum of all targets' rows, so much of each: shareᵀ times the map of each head. share: 0 or more.

        Without a mask it is taken head by head in one pass over tiles, or by a fused kernel on other devices than the
        CPU; else by a walk, over the targets that have a share.
        """
        targets = (share != 0).any(dim=0).nonzero()[:, 0]
        peak, rest = self._normalizer()
        plain = (
            not self._graph
            and self.mask is None
            and not (self.causal or self.lengths)
            and rest is None
            and bool((share > 0).any(dim=1).all())
        )
        if plain and len(targets) == self.shape[2]:
            given = self.q.to(self._dtype), self.k.to(self._dtype), peak, share.to(self._dtype), self.scale
            found = tiled_weighted_sum(*given) if self.q.is_cpu else fused_weighted_sum(*given)
            if found is not None:
                return found
        mixed = WeightedRowSum(share)
        self.walk(mixed, targets=targets)
        return mixed.value()

    def tiles(self, targets: Int[Tensor, "n"] | None = None) -> Iterator[tuple[Int[Tensor, "t"], Tensor]]:
        """Walk over the map: the targets of each tile, and their weights (b h t m). Default: all targets."""
        if targets is None:
            targets = torch.arange(self.shape[2])
        targets = targets.to(self.q.device)
        k = self.k.to(self._dtype)
        for a, z in self._spans(len(targets), self.shape[3]):
            yield targets[a:z], self._exp(targets[a:z], k)

    def walk(self, *views: View, targets: Int[Tensor, "n"] | None = None) -> None:
        """Walk over the map once and show every tile to several views. Default: all targets."""
        targets = (torch.arange(self.shape[2]) if targets is None else targets).to(self.q.device)
        k = self.k.to(self._dtype)
        weights = k.new_empty(0)
        with full_precision(k.device, self._graph):
            for a, z in self._spans(len(targets), self.shape[3]):
                logs = self._logs(targets[a:z], k)
                room = weights if weights.shape == logs.shape and not self._graph else None
                weights = torch.exp(logs, out=room)
                for view in views:
                    view.add(targets[a:z], weights, logs)

    @property
    def _dtype(self) -> torch.dtype:
        return torch.promote_types(self.q.dtype, torch.float32)

    def _spans(self, n: int, m: int) -> Iterator[tuple[int, int]]:
        b, h = self.shape[:2]
        tile = max(1, min(TILE, TILE_NUMBERS // max(1, b * h * m)))
        for a in range(0, max(n, 1), tile):  # at least one, so that no targets gives an empty view, not an error
            yield a, min(a + tile, n)

    def _scores(self, targets: Tensor, k: Tensor, sources: Tensor | None = None) -> Float[Tensor, "b h t i"]:
        with full_precision(k.device, self._graph):
            s = ops.score(self.q[:, :, targets].to(k.dtype), k, self._mask_at(targets, sources), self.scale)
            seen = self.seen(targets, sources)
            return s if seen is None else s.masked_fill(~seen, -math.inf)

    def seen(self, targets: Int[Tensor, "t"], sources: Int[Tensor, "i"] | None = None) -> Bool[Tensor, "t i"] | None:
        """Which sources some targets may attend to, beside `mask`: None for all. Default: of all sources."""
        if not (self.causal or self.lengths):
            return None
        of = torch.arange(self.shape[3], device=targets.device) if sources is None else sources
        seen = of <= targets[:, None] if self.causal else of.new_ones(len(targets), len(of), dtype=torch.bool)
        if self.lengths:
            own = torch.tensor(self.lengths, device=of.device)
            own = torch.arange(len(own), device=of.device).repeat_interleave(own)
            seen = seen & (own[of] == own[targets][:, None])
        return seen

    def _mask_at(self, targets: Tensor, sources: Tensor | None) -> Tensor | None:
        mask = self.mask
        if mask is None:
            return None
        if mask.ndim >= 2 and mask.shape[-2] > 1:
            mask = mask[..., targets, :]
        if sources is not None and mask.shape[-1] > 1:
            mask = mask[..., sources]
        return mask

    def _exp(self, targets: Tensor, k: Tensor, sources: Tensor | None = None) -> Float[Tensor, "b h t i"]:
        return self._logs(targets, k, sources).exp_()

    def _logs(self, targets: Tensor, k: Tensor, sources: Tensor | None = None) -> Float[Tensor, "b h t i"]:
        peak, rest = self._normalizer()
        s = self._scores(targets, k, sources).sub_(peak[:, :, targets, None])
        return s if rest is None else s.sub_(rest[:, :, targets, None])

    def _normalizer(self) -> tuple[Float[Tensor, "b h n"], Float[Tensor, "b h n"] | None]:
        """Two parts whose sum is the log-sum-exp: exact even where their sum would be rounded. Often one is
        enough."""
        if self._graph:
            return self._peaks()  # again each time: a backward pass frees what it went through
        if self._norm is None:
            peak, rest = (self.lse, None) if self._lse is not None else self._peaks()
            lse = peak if rest is None else peak + rest
            if bool((lse.abs() < COARSE).all()):
                self._norm = lse.to(self._dtype), None
            else:
                self._norm = self._peaks() if rest is None else (peak, rest)
        return self._norm

    def _peaks(self) -> tuple[Float[Tensor, "b h n"], Float[Tensor, "b h n"]]:
        k, every = self.k.to(self._dtype), torch.arange(self.shape[2], device=self.q.device)
        peaks, rests = [], []
        for a, z in self._spans(len(every), self.shape[3]):
            s = self._scores(every[a:z], k)
            peak = s.amax(dim=-1) if s.shape[-1] else s.new_zeros(s.shape[:-1])
            peak = peak.masked_fill(peak.isneginf(), 0.0).detach()  # any number will do: it is added again
            sums = (s - peak[..., None]).exp_().sum(dim=-1)
            peaks.append(peak)
            rests.append(torch.where(sums > 0, sums, 1.0).log())
        return torch.cat(peaks, dim=2), torch.cat(rests, dim=2)
