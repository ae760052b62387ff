"""Losses and scores of matching pictures with texts. Labels: 1 the text describes the picture, 0 it does not, -1 not
known or not to count."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from saccade.errors import SaccadeError


def cosines(pictures: Float[Tensor, "b e"], texts: Float[Tensor, "p e"]) -> Float[Tensor, "b p"]:
    """Of every picture's vector with every text's, all of length 1; in their dtype also under autocast: close
    candidates differ by less than bf16 holds."""
    with torch.autocast(pictures.device.type, enabled=False):
        return pictures @ texts.T


def sigmoid_loss(logits: Float[Tensor, "b p"], labels: Shaped[Tensor, "b p"]) -> Float[Tensor, ""]:
    """Sigmoid loss over all pairs of b pictures and p texts (SigLIP, Zhai et al. 2023, eq. 1): the sum of
    -log σ(z logit), with z = 1 for a match and -1 for none, divided by b.

    labels: 1, 0 or -1 (boolean: match or not). A picture may have several matching texts, and a text several pictures.
    """
    return _cross_entropy(logits, labels).sum() / max(len(logits), 1)


def match_loss(logits: Float[Tensor, "*p"], labels: Shaped[Tensor, "*p"]) -> Float[Tensor, ""]:
    """Binary cross-entropy of the head's logits, averaged over the pairs that count; 0 if there are none."""
    counted = (labels >= 0).sum().clamp(min=1)
    return _cross_entropy(logits, labels).sum() / counted


def ranking_loss(logits: Float[Tensor, "b k"], labels: Shaped[Tensor, "b k"]) -> Float[Tensor, ""]:
    """-log σ(true - false) of every two texts of a picture of which one describes it and the other does not, averaged
    over these pairs (RankNet, Burges et al. 2005, section 3); 0 if there are none."""
    logits = logits if logits.dtype == torch.float64 else logits.float()
    compared = (labels > 0)[:, :, None] & (labels == 0)[:, None, :]
    excess = (logits[:, None, :] - logits[:, :, None]).masked_fill(~compared, 0.0)
    return F.softplus(excess).masked_fill(~compared, 0.0).sum() / compared.sum().clamp(min=1)


def ranks(scores: Float[Tensor, "b p"], matches: Bool[Tensor, "b p"]) -> Int[Tensor, "b"]:
    """The place, from 1, of each row's best match when its scores are sorted: 1 + the number of candidates that do not
    match and score as high or higher. So a tie counts against the model, and a constant score gains nothing.

    Transpose both for the other direction. Raises SaccadeError for a row without a match, and for scores that are NaN.
    """
    if scores.isnan().any():
        raise SaccadeError(f"{int(scores.isnan().sum())} of {scores.numel()} scores are not a number: nothing to rank")
    lacking = (~matches.any(dim=1)).nonzero().flatten()
    if len(lacking):
        raise SaccadeError(f"row {int(lacking[0])} has no match among its {matches.shape[1]} candidates")
    best = scores.masked_fill(~matches, -torch.inf).amax(dim=1, keepdim=True)
    return 1 + ((scores >= best) & ~matches).sum(dim=1)


def recall(scores: Float[Tensor, "b p"], matches: Bool[Tensor, "b p"], k: int) -> float:
    """recall@k: the share of rows whose best match is among the first k candidates. Errors as in `ranks`."""
    return float((ranks(scores, matches) <= k).double().mean())


def _cross_entropy(logits: Float[Tensor, "*p"], labels: Shaped[Tensor, "*p"]) -> Float[Tensor, "*p"]:
    """-log σ(± logit) of every pair, 0 where it does not count; in float32 or better."""
    logits = logits if logits.dtype == torch.float64 else logits.float()
    counts = labels >= 0
    target = (labels > 0).to(logits.dtype)
    loss = F.binary_cross_entropy_with_logits(logits.masked_fill(~counts, 0.0), target, reduction="none")
    return loss.masked_fill(~counts, 0.0)
