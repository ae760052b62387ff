"""Loss of a classifier."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def classification_loss(logits: Float[Tensor, "b classes"], labels: Float[Tensor, "b classes"]) -> Float[Tensor, ""]:
    """Cross-entropy with soft labels, which label smoothing, MixUp and CutMix produce; in float32."""
    return F.cross_entropy(logits.float(), labels)
