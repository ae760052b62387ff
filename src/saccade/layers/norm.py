"""Normalisation over the width of each token."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class RMSNorm(nn.Module):
    """x / rms(x) * weight (Zhang & Sennrich 2019, eq. 4), in the dtype of x.

    torch's own layer leaves its fused kernel when autocast gives it bf16 tokens with fp32 weights.
    """

    def __init__(self, width: int, eps: float = 1e-6):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Float[Tensor, "*b d"]) -> Float[Tensor, "*b d"]:
        return F.rms_norm(x, (x.shape[-1],), self.weight.to(x.dtype), self.eps)


NORMS = {"layer": nn.LayerNorm, "rms": RMSNorm}
