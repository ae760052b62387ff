"""A picture of any size through a network that sees tiles of one size, in memory that its height does not change.

Tiles overlap, and where they do their logits are blended, each tile's weight falling towards its edges, which see least
of their surroundings. Rows that no further tile touches are turned into classes and forgotten.
"""

import math
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor
from tqdm.auto import tqdm

from saccade.errors import SaccadeError

OVERLAP = 0.25  # of a tile's side, at least, where one tile is not enough
BATCH = 4  # tiles at once
ROWS = 64  # of the result at once

Logits = Callable[[Float[Tensor, "b c y x"]], Float[Tensor, "b classes y x"]]


def classes_of_pixels(
    picture: Float[Tensor, "c y x"], tile: tuple[int, int], classes: int, logits: Logits, size: tuple[int, int]
) -> UInt8[Tensor, "rows columns"]:
    """The likeliest of so many classes for every pixel, on the CPU.

    picture: as the network takes it, with 0 where there is nothing, on the device on which to compute. tile: (height,
    width) that the network sees at once. logits: of a batch of tiles. size: (rows, columns) of the result, to which the
    logits are interpolated (bilinear).

    Raises SaccadeError for logits that are no finite numbers.
    """
    out = torch.empty(size, dtype=torch.uint8)
    done = 0
    kept: Tensor | None = None  # the last row so far: the next rows are interpolated from it too
    scale, top = picture.shape[1] / size[0], 0
    for rows in _bands(picture, tile, classes, logits):
        band = rows if kept is None else torch.cat([kept, rows], dim=1)
        bottom = top + band.shape[1]
        last = bottom == picture.shape[1]
        # of the result's rows, those whose two nearest rows are here
        end = size[0] if last else min(size[0], max(done, math.floor((bottom - 0.5) / scale - 0.5) + 1))
        for start in range(done, end, ROWS):
            at = torch.arange(start, min(start + ROWS, end))
            out[at] = _interpolated(band, (at + 0.5) * scale - 0.5 - top, size[1]).argmax(dim=0).byte().cpu()
        done, top = end, bottom - 1
        kept = band[:, -1:]
    return out


def starts(length: int, side: int) -> list[int]:
    """Where tiles of `side` begin, to cover `length` evenly with at least OVERLAP between neighbours."""
    if length <= side:
        return [0]
    step = side - max(1, round(side * OVERLAP)) if side > 1 else 1
    count = -(-(length - side) // step) + 1
    return [round(i * (length - side) / (count - 1)) for i in range(count)]


def _bands(
    picture: Float[Tensor, "c y x"], tile: tuple[int, int], classes: int, logits: Logits
) -> Iterator[Float[Tensor, "classes rows x"]]:
    """Logits of the picture's rows from the top down, as soon as no tile to come touches them."""
    _, height, width = picture.shape
    tops, lefts = starts(height, tile[0]), starts(width, tile[1])
    picture = F.pad(picture, (0, max(0, tile[1] - width), 0, max(0, tile[0] - height)))
    fade = (_fade(tile[0])[:, None] * _fade(tile[1])).to(picture.device)
    total = picture.new_zeros(classes + 1, tile[0], picture.shape[2])  # of logits times fade, and of fade
    with tqdm(total=len(tops) * len(lefts), unit="tiles", delay=1, leave=False, disable=None) as bar:
        for top, below in zip(tops, [*tops[1:], height], strict=True):
            for some in (lefts[i : i + BATCH] for i in range(0, len(lefts), BATCH)):
                said = logits(torch.stack([picture[:, top : top + tile[0], left : left + tile[1]] for left in some]))
                if not said.isfinite().all():
                    raise SaccadeError(
                        "the model's answer is not a number: its weights are damaged, fetch or train it again"
                    )
                for left, one in zip(some, said, strict=True):
                    total[:-1, :, left : left + tile[1]] += one * fade
                    total[-1, :, left : left + tile[1]] += fade
                bar.update(len(some))
            ready = below - top
            yield (total[:-1, :ready] / total[-1, :ready])[:, :, :width]
            total = F.pad(total[:, ready:], (0, 0, 0, min(ready, tile[0])))


def _fade(side: int) -> Float[Tensor, "side"]:
    """The weight of a tile's pixels along one side: 1 in the middle, less from OVERLAP of the side towards its ends."""
    from_end = torch.minimum(torch.arange(side) + 0.5, side - torch.arange(side) - 0.5)
    return (from_end / max(1.0, side * OVERLAP)).clamp(max=1)


def _interpolated(
    band: Float[Tensor, "classes y x"], at: Float[Tensor, "rows"], width: int
) -> Float[Tensor, "classes rows columns"]:
    """Rows of the band at the places `at`, between two of which they are mixed, stretched to `width`."""
    at = at.clamp(0, band.shape[1] - 1).to(band.device)
    low = at.floor().long()
    high = (low + 1).clamp(max=band.shape[1] - 1)
    rows = torch.lerp(band[:, low], band[:, high], (at - low)[None, :, None].to(band.dtype))
    return rows if rows.shape[2] == width else F.interpolate(rows, size=width, mode="linear")
