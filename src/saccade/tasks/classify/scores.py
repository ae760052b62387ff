"""Scores of a classifier from its probabilities."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

BINS = 15  # of the expected calibration error, as in Guo et al. 2017


def classification_scores(probabilities: Float[Tensor, "n classes"], truth: Int[Tensor, "n"]) -> dict[str, float]:
    """Top-1 and top-5 accuracy, 0 to 1; cross-entropy in nats; expected calibration error, 0 to 1."""
    best = probabilities.argsort(dim=-1, descending=True, stable=True)[:, :5]  # of equals the first, as in `argmax`
    ranked = best == truth[:, None]
    return {
        "top1": ranked[:, 0].double().mean().item(),
        "top5": ranked.any(dim=-1).double().mean().item(),
        "loss": torch.nn.functional.nll_loss(probabilities.clamp_min(1e-12).log(), truth).item(),
        "ece": calibration_error(probabilities.amax(dim=-1), ranked[:, 0]),
    }


def calibration_error(confidence: Float[Tensor, "n"], correct: Bool[Tensor, "n"], bins: int = BINS) -> float:
    """Expected calibration error (Guo et al. 2017, eq. 3): the mean over pictures of |accuracy - confidence| of their
    bin. Bin m of M holds the confidences in ((m - 1) / M, m / M], so that 1 belongs to the last."""
    edges = torch.arange(1, bins, dtype=torch.float64) / bins
    index = torch.bucketize(confidence.double(), edges.to(confidence.device))
    gaps = torch.zeros(bins, dtype=torch.float64, device=confidence.device)
    gaps.index_add_(0, index, confidence.double() - correct.double())
    return (gaps.abs().sum() / max(1, len(confidence))).item()


def confusion(probabilities: Float[Tensor, "n classes"], truth: Int[Tensor, "n"]) -> Int[Tensor, "classes classes"]:
    """Number of pictures by true class (row) and predicted class (column)."""
    classes = probabilities.shape[1]
    pairs = truth * classes + probabilities.argmax(dim=-1)
    return torch.bincount(pairs, minlength=classes * classes).reshape(classes, classes)
