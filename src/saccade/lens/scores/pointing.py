"""The pointing game: does the peak of a map lie on the thing?"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from saccade.errors import SaccadeError
from saccade.lens.scores.bootstrap import interval
from saccade.lens.scores.given import check_axes, check_numbers, check_pairs, check_seed


@dataclass(frozen=True)
class PointingGame:
    """How often the peak of an attention map lies on the object that it belongs to.

    hits: share of objects, 0 to 1. low, high: 95 % interval of it. random: what a point anywhere in the picture
    would hit on average. centre: what the middle of the box around each mask hits. objects: how many there were.
    """

    hits: float
    low: float
    high: float
    random: float
    centre: float
    objects: int


def pointing_game(
    maps: Sequence[Float[Tensor, "n y x"]], masks: Sequence[Bool[Tensor, "n h w"]], seed: int = 0
) -> PointingGame:
    """Whether the peak of each object's map lies inside its mask (Zhang et al. 2018, "Top-down neural attention by
    excitation backprop", 4.2), without their tolerance of 15 pixels.

    maps, masks: one tensor a picture, of its n objects in the same order, both over the same part of the picture; a
    map may be coarser than a mask: its peak is the middle of the patch with the largest weight (of equals, the first
    row by row).

    The interval is the bootstrap's of 2000 draws of pictures, because objects of one picture are not independent
    (Efron & Tibshirani 1993, chapter 13). Raises SaccadeError for no objects, for maps that are not finite, for empty
    masks, and for maps and masks that do not pair up.
    """
    check_pairs(maps, masks)
    check_seed(seed)
    pairs = enumerate(zip(maps, masks, strict=True))
    tables = [_played(a, b, i) for i, (a, b) in pairs if not _no_objects(a) or not _no_objects(b)]
    if not tables:
        raise SaccadeError("the pointing game needs at least one object; none was given")
    hits, chance, centre = torch.cat(tables).T
    per_picture = torch.stack([torch.stack([t[:, 0].sum(), torch.tensor(len(t)).double()]) for t in tables])
    low, high = interval(per_picture, lambda sums: sums[:, 0] / sums[:, 1], seed)
    return PointingGame(float(hits.mean()), low, high, float(chance.mean()), float(centre.mean()), len(hits))


def _played(maps: Tensor, masks: Tensor, picture: int) -> Float[Tensor, "n 3"]:
    """Of each object: whether the peak hits, the mask's share of the picture, whether the middle of its box hits."""
    where = f"picture {picture}"
    check_axes(masks, f"{where}: the tensor of masks", "n h w")
    check_numbers(maps, f"{where}: the tensor of maps", "n y x")
    if len(maps) != len(masks):
        raise SaccadeError(
            f"{where}: maps of shape {tuple(maps.shape)} and masks of {tuple(masks.shape)}; expected (n, y, x) and "
            "(n, h, w) of the same n objects"
        )
    if masks.dtype != torch.bool:
        raise SaccadeError(f"{where}: masks of {masks.dtype}; expected boolean ones, such as masks > 0")
    if not masks.flatten(1).any(dim=1).all():
        raise SaccadeError(f"{where}: a mask is empty: leave out objects that cannot be seen")
    rows, columns = maps.shape[1:]
    height, width = masks.shape[1:]
    peak = maps.flatten(1).argmax(dim=1).cpu()
    y = ((peak // columns + 0.5) / rows * height).long()
    x = ((peak % columns + 0.5) / columns * width).long()
    masks, each = masks.cpu(), torch.arange(len(masks))
    middle = [_middle(masks.any(dim=2)), _middle(masks.any(dim=1))]
    share = masks.flatten(1).double().mean(dim=1)
    return torch.stack([masks[each, y, x].double(), share, masks[each, middle[0], middle[1]].double()], dim=1)


def _no_objects(given: object) -> bool:
    return isinstance(given, Tensor) and given.shape[:1] == (0,)


def _middle(along: Bool[Tensor, "n i"]) -> Tensor:
    """The pixel in the middle between the first and the last that is set."""
    length = along.shape[1]
    first = along.int().argmax(dim=1)
    last = length - 1 - along.flip(1).int().argmax(dim=1)
    return (first + last + 1) // 2
