"""Normalisation over the width of each token."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class RMSNorm(nn.Module):
    """x / rms(x) * weight (Zhang & Sennrich 2019, eq. 4), in the dtype of x, computed in float32 or better.

    torch's own layer leaves its fused kernel when autocast gives it bf16 tokens with fp32 weights, and has none on the
    CPU, where it passes over the tokens more often than is needed.
    """

    def __init__(self, width: int, eps: float = 1e-6):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Float[Tensor, "*b d"]) -> Float[Tensor, "*b d"]:
        if x.device.type != "cpu" or torch.compiler.is_compiling():
            return F.rms_norm(x, (x.shape[-1],), self.weight.to(x.dtype), self.eps)
        exact = x if x.dtype == torch.float64 else x.float()
        square = torch.linalg.vector_norm(exact, dim=-1, keepdim=True).square()
        scaled = exact * torch.rsqrt(square / x.shape[-1] + self.eps)
        weighted = scaled * self.weight if torch.is_grad_enabled() else scaled.mul_(self.weight)
        return weighted.to(x.dtype)


NORMS = {"layer": nn.LayerNorm, "rms": RMSNorm}
