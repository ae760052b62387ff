"""What a segmenter is asked to do: the right class for every pixel, above all where one class ends."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from saccade.data.segments import IGNORE_INDEX
from saccade.models.segmenter import SegmenterOutput

PIXELS, OVERLAP, PATCHES = 1.0, 1.0, 0.5  # weights of the parts
REACH = 1  # pixels from the border that count more


def segmentation_loss(said: SegmenterOutput, truth: UInt8[Tensor, "b y x"], border: float) -> dict[str, Tensor]:
    """The parts of the loss: "pixels" (cross-entropy, with more weight beside borders), "overlap" (1 - Dice of every
    class that is there), "patches" (cross-entropy of every patch with the shares of classes in it).

    Pixels of IGNORE_INDEX count nowhere. border: how much more a pixel beside another class counts.
    """
    known = truth != IGNORE_INDEX
    weight = known.float() * (1 + border * border_band(truth, REACH).float())
    logits = said.logits.float()
    each = F.cross_entropy(logits, truth.long().masked_fill(~known, 0), reduction="none")
    classes = torch.arange(logits.shape[1], device=truth.device, dtype=truth.dtype)
    whole = truth[:, None] == classes[:, None, None]  # of no class where IGNORE_INDEX, which is above all classes
    return {
        "pixels": PIXELS * (each * weight).sum() / weight.sum().clamp(min=1),
        "overlap": OVERLAP * _overlap_loss(logits, whole, known),
        "patches": PATCHES * _patch_loss(said.patch_logits.float(), whole, known),
    }


def border_band(truth: UInt8[Tensor, "b y x"], reach: int) -> Bool[Tensor, "b y x"]:
    """Pixels with one of another class at most `reach` rows and columns away. The border of what is ignored is none."""
    values = truth[:, None].float()
    side = 2 * reach + 1
    ignored = values == IGNORE_INDEX
    highest = F.max_pool2d(values.masked_fill(ignored, -1), side, stride=1, padding=reach)
    lowest = -F.max_pool2d(-values, side, stride=1, padding=reach)  # IGNORE_INDEX is the highest value there is
    return ((highest > values) | (lowest < values))[:, 0] & ~ignored[:, 0]


def _overlap_loss(
    logits: Float[Tensor, "b classes y x"], whole: Bool[Tensor, "b classes y x"], known: Bool[Tensor, "b y x"]
) -> Float[Tensor, ""]:
    """1 - Dice over all pictures together (Milletari et al. 2016, eq. 2, without the squares), the mean of the classes
    that are in them: rare ones weigh as much as common ones."""
    said = logits.softmax(dim=1) * known[:, None]
    sums = [part.sum(dim=(0, 2, 3)) for part in (said * whole, said, whole)]
    both, mine, theirs = (part.float() for part in sums)
    there = theirs > 0
    dice = 2 * both / (mine + theirs).clamp(min=1e-6)
    return torch.where(there, 1 - dice, 0.0).sum() / there.sum().clamp(min=1)


def _patch_loss(
    logits: Float[Tensor, "b classes rows columns"], whole: Bool[Tensor, "b classes y x"], known: Bool[Tensor, "b y x"]
) -> Float[Tensor, ""]:
    """Cross-entropy with the shares that the classes have of a patch's known pixels, a patch as much as is known."""
    size = (logits.shape[2], logits.shape[3])
    share = F.adaptive_avg_pool2d(whole.float(), size)
    weight = F.adaptive_avg_pool2d(known[:, None].float(), size)[:, 0]
    each = -(share * logits.log_softmax(dim=1)).sum(dim=1)  # the shares of a patch sum to its weight
    return each.sum() / weight.sum().clamp(min=1e-6)
