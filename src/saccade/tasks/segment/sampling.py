"""The pixels at which the loss of a segmenter is computed: more where classes meet (PointRend, Kirillov et al. 2020,
3.3; Mask2Former, Cheng et al. 2022, 3.3)."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Generator, Tensor

from saccade.data.segments import IGNORE_INDEX

SHARE = 0.25  # of a picture's pixels
REACH = 1  # distance in pixels from a boundary that has more weight


class SampledPixels(NamedTuple):
    """Pixels of each picture, in raster order; a pixel may occur more than once.

    pixels: y * width + x. area: number of labelled pixels that each stands for. weight: the area times the weight of
    those pixels in the loss. Both are 0 for pixels without a label.
    """

    pixels: Int64[Tensor, "b p"]
    area: Float[Tensor, "b p"]
    weight: Float[Tensor, "b p"]


def sample_pixels(truth: UInt8[Tensor, "b y x"], boundary_weight: float, generator: Generator) -> SampledPixels:
    """A quarter of the pixels of each picture, with odds in proportion to their weight: 1, and `boundary_weight` more
    next to boundaries, 0 without a label.

    The cumulative weights of a picture are divided into equal intervals, with one pixel drawn from each (stratified
    sampling): sums over the sample estimate those over all pixels without bias.
    """
    known, boundary = truth != IGNORE_INDEX, boundary_band(truth, REACH)
    weight = (known * (1 + boundary_weight * boundary.double())).flatten(1)
    cumulative = weight.cumsum(dim=1)
    total, count = cumulative[:, -1:], max(1, round(SHARE * weight.shape[1]))
    at = (torch.arange(count) + torch.rand(len(truth), count, generator=generator, dtype=torch.float64)) / count
    index = torch.searchsorted(cumulative, at * total, right=True).clamp(max=weight.shape[1] - 1)
    drawn = weight.gather(1, index)
    each = torch.where(drawn > 0, total / count, 0)
    return SampledPixels(index, (each / drawn.clamp(min=1)).float(), each.float())


def boundary_band(truth: UInt8[Tensor, "b y x"], reach: int) -> Bool[Tensor, "b y x"]:
    """Pixels with one of another class at most `reach` rows and columns away; next to ignored pixels there is no
    boundary."""
    values = truth[:, None].float()
    side = 2 * reach + 1
    ignored = values == IGNORE_INDEX
    highest = F.max_pool2d(values.masked_fill(ignored, -1), side, stride=1, padding=reach)
    lowest = -F.max_pool2d(-values, side, stride=1, padding=reach)  # IGNORE_INDEX is the highest possible value
    return ((highest > values) | (lowest < values))[:, 0] & ~ignored[:, 0]
