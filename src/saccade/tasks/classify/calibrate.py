"""Fit a classifier's out-of-distribution detector on training pictures, and its thresholds on held-out ones."""

from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from saccade.data import ImageFolder
from saccade.device import Device
from saccade.errors import pluralize
from saccade.tasks.classify.confidence import margin
from saccade.tasks.classify.ood import ACCEPTED, KEY, OODDetector, fit_gaussian, record_pooled
from saccade.tasks.classify.task import ClassifyTask

PICTURES = 5000  # of each set at most, evenly spaced: class folders are in order
FEWEST = 20  # held-out pictures, for a threshold that 5 % of them exceed


def fit_ood_detector(task: ClassifyTask, train: ImageFolder, held_out: ImageFolder, device: Device) -> ClassifyTask:
    """The task with an `OODDetector`, described on its card. train: pictures that it was trained on. held_out: others
    of the same kind.

    Raises ValueError, with the reason, where the pictures do not suffice."""
    device = replace(device, bf16=False)
    with record_pooled(task.vit) as found:
        fitted = task.val(_part(train), device)
    mean, whitening = fit_gaussian(torch.cat(found).cpu())
    with record_pooled(task.vit) as found:
        checked = task.val(_part(held_out), device)
    if len(checked.truth) < FEWEST:
        count = pluralize(len(checked.truth), "held-out picture")
        raise ValueError(
            f"there {'is' if len(checked.truth) == 1 else 'are'} {count}, and at least {FEWEST} are needed"
        )
    height, width = task.preprocess.size
    detector = OODDetector(mean, whitening, 0.0, 0.0, (height, width))
    scores = detector(torch.cat(found).cpu())
    right = checked.probabilities.argmax(dim=-1) == checked.truth
    threshold = round(float(torch.quantile(scores.double(), ACCEPTED)), 4)
    least = round(margin_threshold(margin(checked.probabilities), right), 4)
    about: dict[str, Any] = {
        "threshold": threshold,
        "accepted": ACCEPTED,
        "margin_threshold": least,
        "size": [height, width],
        "training_pictures": len(fitted.truth),
        "held_out_pictures": len(checked.truth),
    }
    return replace(task, ood=replace(detector, threshold=threshold, margin=least), card={**task.card, KEY: about})


def margin_threshold(margins: Float[Tensor, "n"], right: Bool[Tensor, "n"]) -> float:
    """The margin that best separates right answers from wrong ones: answers below it are more often wrong than right,
    those above it more often right. 0 where no margin is so low, the largest one where all are."""
    order = margins.argsort()
    gain = torch.cumsum(1 - 2 * right[order].long(), dim=0)  # wrong less right answers among the lowest margins
    best = int(gain.argmax())
    if gain[best] <= 0:
        return 0.0
    above = margins[order[min(best + 1, len(order) - 1)]]
    return float((margins[order[best]] + above) / 2)


def _part(data: ImageFolder) -> ImageFolder:
    step = max(1, -(-len(data) // PICTURES))
    return data.subset(range(0, len(data), step))
