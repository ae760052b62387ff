"""Pack queries and keys into few bytes, from which a page recomputes attention weights row by row.

Only the scores q·k matter, and three changes leave every softmax row alone or make its numbers cheaper:

1. A vector added to all keys adds a constant to each row: the mean of k is taken out.
2. q·k = (qA)·(kA⁻ᵀ) for any invertible A. From the singular value decomposition QKᵀ = UΣVᵀ come the coordinates
   U√Σ and V√Σ, which sort the directions by their contribution, largest first.
3. All coordinates are rounded with steps that add the same error to the scores; directions whose whole contribution
   is below that error are left out. This is reverse water-filling (Cover & Thomas, section 10.3.3).

What is left are small whole numbers, many of them 0, that vary slowly over the picture: each is stored as the
difference from its left and upper neighbours where this is smaller, and Huffman-coded by deflate.
"""

import json
import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

# A direction is left out when its rounded numbers would have a standard deviation below this.
WORTH_KEEPING = 0.4
# A token of the prefix (cls, a register) counts as much as this part of all patches: its row is what people look at
# first, and its query points where no patch's does. Costs no bytes, halves the error of its weights or better.
PREFIX_WEIGHT = 1 / 16
LARGEST = 32000  # whole numbers are read as 16 bits


@dataclass(frozen=True)
class RotatedQueriesKeys:
    """Queries (h n r) and keys (g m r) of one call in coordinates sorted by importance.

    q·k is unchanged but for a constant in each row, `shift` (h n) = q·(mean of k), which changes no weight. power_q and
    power_k: weighted mean square of each coordinate over tokens.
    """

    q: Float[Tensor, "h n r"]
    k: Float[Tensor, "g m r"]
    power_q: Float[Tensor, "g r"]
    power_k: Float[Tensor, "g r"]
    shift: Float[Tensor, "h n"]
    scale: float
    width: int


@dataclass(frozen=True)
class QuantizedQueriesKeys:
    """Whole numbers q (h n r), k (g m r) and the worth of each direction: q·k = Σ gain·q·k (gain 0: left out)."""

    q: Float[Tensor, "h n r"]
    k: Float[Tensor, "g m r"]
    gain: Float[Tensor, "g r"]
    scale: float

    def scores(self, targets: slice | Sequence[int] = slice(None)) -> Float[Tensor, "h i m"]:
        """Scaled scores of some targets, as the page computes them (without each row's constant)."""
        group = self.q.shape[0] // self.k.shape[0]
        used = self.gain.any(dim=0)  # most directions are left out of most pages
        q = self.q[:, targets][..., used] * (self.gain[:, used] * self.scale).repeat_interleave(group, 0)[:, None]
        return q @ self.k[..., used].repeat_interleave(group, 0).transpose(1, 2)

    def row_statistics(self, first: int, rows: int = 64) -> tuple[Float[Tensor, "h n"], Float[Tensor, "h m"]]:
        """Log of the sum of exp(score) over each row, and the mean row of the targets from `first` on, in tiles."""
        lse, total = [], torch.zeros(self.q.shape[0], self.k.shape[1])
        for start in range(0, self.q.shape[1], rows):
            scores = self.scores(slice(start, start + rows))
            peak = scores.amax(-1, keepdim=True)
            powers = scores.sub_(peak).exp_()
            sums = powers.sum(-1)
            lse.append(peak[..., 0] + sums.log())
            patches = max(first - start, 0)
            total += ((1 / sums)[:, None, patches:] @ powers[:, patches:])[:, 0]
        return torch.cat(lse, 1), total / (self.q.shape[1] - first)


@dataclass(frozen=True)
class PackedAttentionLayer:
    """One call, packed: deflated planes of whole numbers and what is needed to read them (plain, for JSON)."""

    data: bytes
    meta: dict
    bits: float  # of data, for each number of q and k

    @property
    def size(self) -> int:
        """Bytes on a page: the data in base64, the rest as JSON."""
        return (len(self.data) + 2) // 3 * 4 + len(json.dumps(self.meta, separators=(",", ":")))


def rotate_queries_keys(
    q: Float[Tensor, "h n k"], k: Float[Tensor, "g m k"], scale: float, prefix: int = 0
) -> RotatedQueriesKeys:
    """Rotate queries and keys together so that q·k is unchanged and its directions come most important first.

    prefix: how many tokens come before the patches.
    """
    q, k = q.double(), k.double()
    mean = k.mean(1, keepdim=True)
    stacked = q.reshape(k.shape[0], -1, q.shape[-1])  # heads that share keys share the rotation
    counts = torch.ones(k.shape[1], 1, dtype=torch.float64)
    counts[:prefix] = max(1.0, PREFIX_WEIGHT * (k.shape[1] - prefix))
    weight = (counts / counts.sum()).sqrt()
    weight_q = weight.repeat(q.shape[0] // k.shape[0], 1) / math.sqrt(q.shape[0] // k.shape[0])
    r_q, whiten_q = _square_root(stacked * weight_q)
    r_k, whiten_k = _square_root((k - mean) * weight)
    u, s, vt = torch.linalg.svd(r_q @ r_k.transpose(1, 2))
    root = s.sqrt()[:, None]
    turned_q = stacked @ (whiten_q @ u * root)
    turned_k = (k - mean) @ (whiten_k @ vt.transpose(1, 2) * root)
    return RotatedQueriesKeys(
        q=turned_q.reshape(*q.shape[:2], -1).float(),
        k=turned_k.float(),
        power_q=(turned_q * weight_q).square().sum(1).float(),
        power_k=(turned_k * weight).square().sum(1).float(),
        shift=(stacked * mean).sum(-1).reshape(q.shape[:2]).float(),
        scale=scale,
        width=q.shape[-1],
    )


def _square_root(x: Float[Tensor, "g n k"]) -> tuple[Float[Tensor, "g k k"], Float[Tensor, "g k k"]]:
    """r and w with x = (x w) r and orthonormal columns x w, from the small xᵀx; directions without content are 0."""
    power, axes = torch.linalg.eigh(x.transpose(1, 2) @ x)
    size = power.clamp_min(0).sqrt()[:, None]  # (g 1 k)
    present = size > 1e-6 * size.amax(-1, keepdim=True)
    return (axes * size * present).transpose(1, 2), axes * torch.where(present, 1 / size, 0.0)


def quantize_queries_keys(call: RotatedQueriesKeys, error: float) -> QuantizedQueriesKeys:
    """Round so that the root mean square error of a score is about `error` (weights: that fraction of themselves)."""
    groups = call.k.shape[0]
    stacked = call.q.reshape(groups, -1, call.q.shape[-1])
    # Error of q·k over all directions: k * (power_k step_q² + power_q step_k²) / 12 = (error / scale)²
    level = 6 * (error / call.scale) ** 2 / call.width
    kept = (call.power_q * call.power_k).sqrt() > WORTH_KEEPING * math.sqrt(level)
    kept[:, 0] |= ~kept.any(1)
    floor = torch.finfo(torch.float32).tiny
    step_q = torch.maximum((level / call.power_k.clamp_min(floor)).sqrt(), stacked.abs().amax(1) / LARGEST)
    step_k = torch.maximum((level / call.power_q.clamp_min(floor)).sqrt(), call.k.abs().amax(1) / LARGEST)
    per_head = (kept / step_q).repeat_interleave(call.q.shape[0] // groups, 0)
    return QuantizedQueriesKeys(
        q=(call.q * per_head[:, None]).round(),
        k=(call.k * (kept / step_k)[:, None]).round(),
        gain=torch.where(kept, step_q * step_k, 0.0),
        scale=call.scale,
    )


def pack_attention_call(
    call: RotatedQueriesKeys,
    error: float,
    grid: tuple[int, int],
    values: Float[Tensor, "g m c"] | None = None,
    mean_row: bool = False,
    draft: bool = False,
    sums: Callable[[QuantizedQueriesKeys, int], tuple[Tensor, Tensor]] = QuantizedQueriesKeys.row_statistics,
) -> tuple[PackedAttentionLayer, QuantizedQueriesKeys]:
    """Pack one call with about `error` on its scores.

    Planes, in order: each head's kept directions of q; each group's of k; each head's shift, lse, and if `mean_row` the
    log of the patches' mean row; each group's components of `values`. draft=True leaves out lse and the mean row,
    which take the longest (to estimate a size). sums: as `QuantizedQueriesKeys.sums`, of what the targets may attend
    to.
    """
    rounded = quantize_queries_keys(call, error)
    group = call.q.shape[0] // call.k.shape[0]
    kept = (rounded.gain > 0).numpy()
    q, k = _whole(rounded.q).swapaxes(1, 2), _whole(rounded.k).swapaxes(1, 2)
    planes = [x[kept[h // group]] for h, x in enumerate(q)] + [x[kept[g]] for g, x in enumerate(k)]
    packed = sum(len(x) for x in planes)
    # Steps no finer than the largest number needs: clipping one would spoil its whole row or column.
    shift_step, lse_step, steps = _step(call.shift, error / call.scale), 0.0, torch.zeros(0)
    planes.append(_whole(call.shift, shift_step))
    if not draft:
        lse, mean = sums(rounded, call.k.shape[1] - grid[0] * grid[1])
        lse_step = _step(lse, error / 4)
        planes.append(_whole(lse, lse_step))
        planes += [_whole(mean.clamp_min(1e-30).log(), error)] if mean_row else []
    if values is not None:
        values = values.float()
        steps = values.std(1, correction=0) * max(2.5 * error, 1 / 64)
        steps = torch.maximum(steps, values.abs().amax(1) / LARGEST).clamp_min(1e-12)
        planes += [*_whole(values, steps[:, None]).swapaxes(1, 2)]
    data, kinds, ends = deflate(np.concatenate(planes), grid)
    meta = {
        "gain": [[_short(float(x)) for x in row[row > 0]] for row in rounded.gain],
        "shiftStep": _short(shift_step),
        "lseStep": _short(lse_step),
        "meanRowStep": error if mean_row else 0,
        "valueStep": [[_short(x) for x in row] for row in steps.tolist()],
        "planes": kinds,
    }
    return PackedAttentionLayer(
        data, meta, bits=8 * ends[packed - 1] / (call.width * (q.shape[0] * q.shape[2] + k[:, 0].size))
    ), rounded


def deflate(planes: Int[np.ndarray, "p n"], grid: tuple[int, int]) -> tuple[bytes, list[int], list[int]]:
    """Deflate planes of 16-bit whole numbers over tokens: the prefix, then a grid of patches.

    Returns the bytes; for each plane three numbers: what was subtracted, 1 if differences from the mean of the left
    and upper neighbour are stored, 1 if a number takes two bytes (all low ones, then all high ones); and where in the
    bytes each plane ends.
    """
    offset = np.rint(planes.mean(1)).astype(np.int32)
    plain = planes - offset[:, None]
    patches = grid[0] * grid[1]
    prefix = planes.shape[1] - patches
    change = plain.copy()
    change[:, prefix:] -= _guess(plain[:, prefix:].reshape(-1, *grid)).reshape(-1, patches)
    differs = np.abs(change).sum(1) < np.abs(plain).sum(1)
    stored = np.where(differs[:, None], change, plain)
    wide = np.abs(stored).max(1) > 127
    # Huffman only: repeated strings hardly occur, and a fresh table a plane fits each plane's own spread.
    machine = zlib.compressobj(9, zlib.DEFLATED, 15, 9, zlib.Z_HUFFMAN_ONLY)
    out, ends = bytearray(), []
    for row, two in zip(stored, wide, strict=True):
        for byte in (row, row >> 8) if two else (row,):
            out += machine.compress((byte & 255).astype(np.uint8).tobytes()) + machine.flush(zlib.Z_BLOCK)
        ends.append(len(out))
    out += machine.flush()
    kinds = np.stack([offset, differs.astype(np.int32), wide.astype(np.int32)], 1)
    return bytes(out), kinds.reshape(-1).tolist(), ends


def _guess(x: Int[np.ndarray, "p y x"]) -> Int[np.ndarray, "p y x"]:
    """Each number guessed from its left and upper neighbour: their mean, rounded down; the one there is at edges."""
    guess = np.zeros_like(x)
    guess[:, 0, 1:] = x[:, 0, :-1]
    guess[:, 1:, 0] = x[:, :-1, 0]
    guess[:, 1:, 1:] = (x[:, 1:, :-1] + x[:, :-1, 1:]) >> 1
    return guess


def _step(numbers: Tensor, wanted: float) -> float:
    return max(wanted, numbers.abs().max().item() / LARGEST)


def _whole(x: Tensor, step: float | Tensor = 1.0) -> Int[np.ndarray, "..."]:
    return (x / step).round().clamp(-LARGEST, LARGEST).to(torch.int32).numpy()


def _short(x: float) -> float:
    return float(f"{x:.7g}")
