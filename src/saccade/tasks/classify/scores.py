"""Scores of a classifier from its probabilities."""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def score(probabilities: Float[Tensor, "n classes"], truth: Int[Tensor, "n"]) -> dict[str, float]:
    """Top-1 and top-5 accuracy, 0 to 1; cross-entropy in nats; expected calibration error over 15 bins, 0 to 1 (Guo et
    al. 2017, eq. 5)."""
    from torchmetrics.functional.classification import multiclass_calibration_error

    classes = probabilities.shape[1]
    ranked = probabilities.topk(min(5, classes), dim=-1).indices == truth[:, None]
    return {
        "top1": ranked[:, 0].float().mean().item(),
        "top5": ranked.any(dim=-1).float().mean().item(),
        "loss": torch.nn.functional.nll_loss(probabilities.clamp_min(1e-12).log(), truth).item(),
        "ece": multiclass_calibration_error(probabilities, truth, num_classes=classes, n_bins=15).item(),
    }


def confusion(probabilities: Float[Tensor, "n classes"], truth: Int[Tensor, "n"]) -> Int[Tensor, "classes classes"]:
    """Number of pictures by true class (row) and predicted class (column)."""
    from torchmetrics.functional.classification import multiclass_confusion_matrix

    return multiclass_confusion_matrix(probabilities, truth, num_classes=probabilities.shape[1])
