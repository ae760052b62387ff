"""Loss of a segmenter: cross-entropy and Dice of sampled pixels, and cross-entropy of patches."""

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from saccade.data.segments import IGNORE_INDEX
from saccade.models.segmenter import SegmenterOutput
from saccade.tasks.segment.sampling import SampledPixels

PIXELS, DICE, PATCHES = 1.0, 1.0, 0.5  # weights of the terms


def segmentation_loss(
    output: SegmenterOutput, truth: UInt8[Tensor, "b y x"], sample: SampledPixels
) -> dict[str, Tensor]:
    """The terms of the loss: "pixels" (weighted cross-entropy), "dice" (1 - Dice of the classes that occur), "patches"
    (cross-entropy of each patch with the class frequencies of its pixels).

    output: its `logits` are those of the sample, (b classes p). Pixels of IGNORE_INDEX have no weight.
    """
    logits = output.logits.float()
    target = truth.flatten(1).gather(1, sample.pixels).long()
    target = target.masked_fill(target == IGNORE_INDEX, 0)  # without weight
    log_probabilities = logits.log_softmax(dim=1)
    each = -log_probabilities.gather(1, target[:, None])[:, 0]
    counts = _patch_counts(truth, *output.patch_logits.shape[1:])
    return {
        "pixels": PIXELS * (each * sample.weight).sum() / sample.weight.sum().clamp(min=1),
        "dice": DICE * _dice_loss(log_probabilities.exp(), target, sample.area, counts.sum(dim=(0, 2, 3))),
        "patches": PATCHES * _patch_loss(output.patch_logits.float(), counts),
    }


def _dice_loss(
    probabilities: Float[Tensor, "b classes p"],
    target: Int64[Tensor, "b p"],
    area: Float[Tensor, "b p"],
    true: Float[Tensor, "classes"],
) -> Float[Tensor, ""]:
    """1 - Dice over all pictures of the batch (Milletari et al. 2016, eq. 2, without the squares), averaged over the
    classes that occur: rare classes have the same weight as frequent ones. true: labelled pixels of each class."""
    with torch.autocast(area.device.type, enabled=False):  # which would sum areas in bf16
        predicted = torch.einsum("bcp,bp->c", probabilities, area)
    own = probabilities.gather(1, target[:, None])[:, 0] * area  # of the true class
    intersection = torch.zeros_like(predicted).index_add(0, target.flatten(), own.flatten())
    present = true > 0
    dice = 2 * intersection / (predicted + true).clamp(min=1e-6)
    return torch.where(present, 1 - dice, 0.0).sum() / present.sum().clamp(min=1)


def _patch_loss(
    logits: Float[Tensor, "b classes rows columns"], counts: Float[Tensor, "b classes rows columns"]
) -> Float[Tensor, ""]:
    """Cross-entropy with the class frequencies among a patch's labelled pixels; each patch is
    weighted by its labelled fraction."""
    return -(counts * logits.log_softmax(dim=1)).sum() / counts.sum().clamp(min=1)


def _patch_counts(
    truth: UInt8[Tensor, "b y x"], classes: int, rows: int, columns: int
) -> Float[Tensor, "b classes rows columns"]:
    """Number of pixels of each class in each patch."""
    b, height, width = truth.shape
    patch = (torch.arange(b * rows, device=truth.device) * columns).view(b, rows, 1, 1, 1)
    patch = patch + torch.arange(columns, device=truth.device)[:, None]  # (b rows 1 columns 1)
    blocks = truth.view(b, rows, height // rows, columns, width // columns).long()
    labelled = blocks != IGNORE_INDEX  # IGNORE_INDEX is above all classes
    counts = torch.bincount((patch * classes + blocks)[labelled], minlength=b * rows * columns * classes)
    return counts.view(b, rows, columns, classes).permute(0, 3, 1, 2).float()
