"""Segmentation of a picture of any size in tiles, with memory independent of its height.

Tiles overlap. Their logits are blended with weights that fall towards the edges of a tile, where the network sees the
least context. Rows that no further tile covers are reduced to class indices and freed.
"""

import math
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor
from tqdm.auto import tqdm

from saccade.ops.patches import tile_starts
from saccade.tasks.saved import not_finite_error

OVERLAP = 0.25  # of a tile's side, at least, where one tile is not enough
BATCH = 4  # tiles at once
ROWS = 64  # of the result at once

Logits = Callable[[Float[Tensor, "b c y x"]], Float[Tensor, "b classes y x"]]


def segment_tiled(
    picture: Float[Tensor, "c y x"], tile: tuple[int, int], classes: int, logits: Logits, size: tuple[int, int]
) -> UInt8[Tensor, "rows columns"]:
    """Class index of every pixel, on the CPU.

    Args:
        picture: input of the network, on the device to compute on.
        tile: (height, width) of the network's input; smaller pictures are padded with 0.
        classes: number of classes.
        logits: the network, for a batch of tiles.
        size: (rows, columns) of the result, to which the logits are interpolated (bilinear).

    Raises SaccadeError for logits that are not finite.
    """
    out = torch.empty(size, dtype=torch.uint8)
    done = 0
    last_row: Tensor | None = None  # interpolated with the first of the next rows
    scale, top = picture.shape[1] / size[0], 0
    for rows in _bands(picture, tile, classes, logits):
        band = rows if last_row is None else torch.cat([last_row, rows], dim=1)
        bottom = top + band.shape[1]
        last = bottom == picture.shape[1]
        # the rows of the result whose two nearest input rows are in this band
        end = size[0] if last else min(size[0], max(done, math.floor((bottom - 0.5) / scale - 0.5) + 1))
        for start in range(done, end, ROWS):
            at = torch.arange(start, min(start + ROWS, end))
            out[at] = _interpolated(band, (at + 0.5) * scale - 0.5 - top, size[1]).argmax(dim=0).byte().cpu()
        done, top = end, bottom - 1
        last_row = band[:, -1:]
    return out


def tile_offsets(length: int, side: int) -> list[int]:
    """Offsets of tiles of `side` that cover `length` evenly and overlap by at least OVERLAP."""
    return tile_starts(length, side, side - max(1, round(side * OVERLAP)))


def _bands(
    picture: Float[Tensor, "c y x"], tile: tuple[int, int], classes: int, logits: Logits
) -> Iterator[Float[Tensor, "classes rows x"]]:
    """Logits of rows from the top down, as soon as no further tile covers them."""
    _, height, width = picture.shape
    tops, lefts = tile_offsets(height, tile[0]), tile_offsets(width, tile[1])
    picture = F.pad(picture, (0, max(0, tile[1] - width), 0, max(0, tile[0] - height)))
    weight = (_blend_weight(tile[0])[:, None] * _blend_weight(tile[1])).to(picture.device)
    total = picture.new_zeros(classes + 1, tile[0], picture.shape[2])  # of weighted logits, and of weights
    with tqdm(total=len(tops) * len(lefts), unit="tiles", delay=1, leave=False, disable=None) as bar:
        for top, below in zip(tops, [*tops[1:], height], strict=True):
            for chunk in (lefts[i : i + BATCH] for i in range(0, len(lefts), BATCH)):
                tiles = torch.stack([picture[:, top : top + tile[0], left : left + tile[1]] for left in chunk])
                tile_logits = logits(tiles)
                if not tile_logits.isfinite().all():
                    raise not_finite_error()
                for left, one in zip(chunk, tile_logits, strict=True):
                    total[:-1, :, left : left + tile[1]] += one * weight
                    total[-1, :, left : left + tile[1]] += weight
                bar.update(len(chunk))
            ready = below - top
            yield (total[:-1, :ready] / total[-1, :ready])[:, :, :width]
            total = F.pad(total[:, ready:], (0, 0, 0, min(ready, tile[0])))


def _blend_weight(side: int) -> Float[Tensor, "side"]:
    """Weight of the pixels along one side of a tile: 1 in the middle, falling within OVERLAP of its ends."""
    from_end = torch.minimum(torch.arange(side) + 0.5, side - torch.arange(side) - 0.5)
    return (from_end / max(1.0, side * OVERLAP)).clamp(max=1)


def _interpolated(
    band: Float[Tensor, "classes y x"], at: Float[Tensor, "rows"], width: int
) -> Float[Tensor, "classes rows columns"]:
    """Rows of the band at the fractional positions `at`, resized to `width` (bilinear)."""
    at = at.clamp(0, band.shape[1] - 1).to(band.device)
    low = at.floor().long()
    high = (low + 1).clamp(max=band.shape[1] - 1)
    rows = torch.lerp(band[:, low], band[:, high], (at - low)[None, :, None].to(band.dtype))
    return rows if rows.shape[2] == width else F.interpolate(rows, size=width, mode="linear")
