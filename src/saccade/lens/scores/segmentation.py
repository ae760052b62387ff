"""Does the map cover the thing, and nothing else? A map as a segmentation of its picture into thing and background."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from saccade.errors import SaccadeError
from saccade.lens.scores.bootstrap import Measured, control_generator, measured
from saccade.lens.scores.given import check_axes, check_numbers, check_pairs, check_seed


@dataclass(frozen=True)
class Segmented:
    """How well maps segment. accuracy: share of right pixels. miou: mean over thing and background of intersection
    over union, over all pictures together. mean_ap: mean over pictures of average precision. pictures: how many."""

    accuracy: Measured
    miou: Measured
    mean_ap: Measured
    pictures: int


def segmentation(
    maps: Sequence[Float[Tensor, "y x"]], masks: Sequence[Bool[Tensor, "h w"]], seed: int = 0
) -> Segmented:
    """A map as a segmentation: what is above its mean is the thing (the protocol for ImageNet-Segmentation of Chefer,
    Gur & Wolf 2021, "Transformer interpretability beyond attention visualization", section 4).

    maps, masks: one a picture, over the same part of it; a coarser map is brought to the mask by bilinear
    interpolation, then scaled to 0 to 1. Average precision is that of both classes together, as in their code: each
    pixel counts twice, with the map for the thing and 1 − map for the background. The random maps have the grids of
    the maps. The interval is over pictures.

    Raises SaccadeError for no pictures, for maps that are not finite, for masks that are empty or not boolean, and for
    maps and masks that do not pair up.
    """
    check_pairs(maps, masks)
    check_seed(seed)
    if not len(maps):
        raise SaccadeError("at least one picture is needed; none was given")
    generator = control_generator(seed)
    rows, chance = [], []
    for i, (one, mask) in enumerate(zip(maps, masks, strict=True)):
        _check(one, mask, i)
        rows.append(_row(one.cpu(), mask.cpu()))
        chance.append(_row(torch.rand(one.shape, generator=generator), mask.cpu()))
    tables = torch.stack(rows), torch.stack(chance)
    return Segmented(
        measured(*tables, lambda t: t[:, 0] / t[:, 1], seed),
        measured(*tables, lambda t: (t[:, 2] / t[:, 3].clamp_min(1) + t[:, 4] / t[:, 5].clamp_min(1)) / 2, seed),
        measured(*tables, lambda t: t[:, 6] / t[:, 7], seed),
        len(rows),
    )


def _row(one: Float[Tensor, "y x"], mask: Bool[Tensor, "h w"]) -> Float[Tensor, "8"]:
    """Right pixels, pixels; intersection and union of thing and of background; average precision; 1."""
    fine = F.interpolate(one[None, None].float(), mask.shape, mode="bilinear")[0, 0]
    low, high = fine.min(), fine.max()
    fine = (fine - low) / torch.where(high > low, high - low, 1.0)
    thing = fine > fine.mean()
    both = [(thing, mask), (~thing, ~mask)]
    overlaps = [float(part) for a, b in both for part in ((a & b).sum(), (a | b).sum())]
    ap = average_precision(
        torch.cat([1 - fine.flatten(), fine.flatten()]), torch.cat([~mask.flatten(), mask.flatten()])
    )
    return torch.tensor([float((thing == mask).sum()), mask.numel(), *overlaps, ap, 1.0], dtype=torch.float64)


def average_precision(scores: Float[Tensor, "n"], right: Bool[Tensor, "n"]) -> float:
    """Area under precision over recall, as a sum of steps: Σ (R_i − R_{i−1}) P_i over the distinct scores, largest
    first. 0 if none is right."""
    order = scores.argsort(descending=True)
    scores, right = scores[order], right[order].double()
    last = torch.cat([scores[1:] != scores[:-1], torch.ones(1, dtype=torch.bool)])  # of equal scores
    found, taken = right.cumsum(0)[last], torch.arange(1, len(scores) + 1, dtype=torch.float64)[last]
    steps = found.diff(prepend=found.new_zeros(1))
    return float((steps * found / taken).sum() / right.sum().clamp_min(1))


def _check(one: Tensor, mask: Tensor, i: int) -> None:
    check_numbers(one, f"picture {i}: the map", "y x")
    check_axes(mask, f"picture {i}: the mask", "h w")
    if mask.dtype != torch.bool:
        raise SaccadeError(f"picture {i}: a mask of {mask.dtype}; expected a boolean one, such as mask > 0")
    if not mask.any():
        raise SaccadeError(f"picture {i}: the mask is empty: leave out pictures without the thing")
