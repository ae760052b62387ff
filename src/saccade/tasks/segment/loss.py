"""Loss of a segmenter: cross-entropy of pixels and patches, and Dice, with more weight at class boundaries."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from saccade.data.segments import IGNORE_INDEX
from saccade.models.segmenter import SegmenterOutput

PIXELS, DICE, PATCHES = 1.0, 1.0, 0.5  # weights of the terms
REACH = 1  # distance in pixels from a boundary that has more weight


def segmentation_loss(
    output: SegmenterOutput, truth: UInt8[Tensor, "b y x"], boundary_weight: float
) -> dict[str, Tensor]:
    """The terms of the loss: "pixels" (cross-entropy, with `boundary_weight` added next to boundaries), "dice" (1 -
    Dice of the classes that occur), "patches" (cross-entropy of each patch with the class frequencies of its pixels).

    Pixels of IGNORE_INDEX have no weight.
    """
    known = truth != IGNORE_INDEX
    weight = known.float() * (1 + boundary_weight * boundary_band(truth, REACH).float())
    logits = output.logits.float()
    each = F.cross_entropy(logits, truth.long().masked_fill(~known, 0), reduction="none")
    classes = torch.arange(logits.shape[1], device=truth.device, dtype=truth.dtype)
    one_hot = truth[:, None] == classes[:, None, None]  # zero where IGNORE_INDEX, which is above all classes
    return {
        "pixels": PIXELS * (each * weight).sum() / weight.sum().clamp(min=1),
        "dice": DICE * _dice_loss(logits, one_hot, known),
        "patches": PATCHES * _patch_loss(output.patch_logits.float(), one_hot, known),
    }


def boundary_band(truth: UInt8[Tensor, "b y x"], reach: int) -> Bool[Tensor, "b y x"]:
    """Pixels with one of another class at most `reach` rows and columns away; next to ignored pixels there is no
    boundary."""
    values = truth[:, None].float()
    side = 2 * reach + 1
    ignored = values == IGNORE_INDEX
    highest = F.max_pool2d(values.masked_fill(ignored, -1), side, stride=1, padding=reach)
    lowest = -F.max_pool2d(-values, side, stride=1, padding=reach)  # IGNORE_INDEX is the highest possible value
    return ((highest > values) | (lowest < values))[:, 0] & ~ignored[:, 0]


def _dice_loss(
    logits: Float[Tensor, "b classes y x"], one_hot: Bool[Tensor, "b classes y x"], known: Bool[Tensor, "b y x"]
) -> Float[Tensor, ""]:
    """1 - Dice over all pictures of the batch (Milletari et al. 2016, eq. 2, without the squares), averaged over the
    classes that occur: rare classes have the same weight as frequent ones."""
    probabilities = logits.softmax(dim=1) * known[:, None]
    sums = [values.sum(dim=(0, 2, 3)) for values in (probabilities * one_hot, probabilities, one_hot)]
    intersection, predicted, true = (values.float() for values in sums)
    present = true > 0
    dice = 2 * intersection / (predicted + true).clamp(min=1e-6)
    return torch.where(present, 1 - dice, 0.0).sum() / present.sum().clamp(min=1)


def _patch_loss(
    logits: Float[Tensor, "b classes rows columns"],
    one_hot: Bool[Tensor, "b classes y x"],
    known: Bool[Tensor, "b y x"],
) -> Float[Tensor, ""]:
    """Cross-entropy with the class frequencies among a patch's labelled pixels; each patch is
    weighted by its labelled fraction."""
    size = (logits.shape[2], logits.shape[3])
    frequency = F.adaptive_avg_pool2d(one_hot.float(), size)
    weight = F.adaptive_avg_pool2d(known[:, None].float(), size)[:, 0]
    each = -(frequency * logits.log_softmax(dim=1)).sum(dim=1)  # the frequencies of a patch sum to its weight
    return each.sum() / weight.sum().clamp(min=1e-6)
