"""The transformer block: attention, then the MLP, each added to the tokens."""

from typing import Literal

import torch
from jaxtyping import Float, Shaped
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from saccade.layers.attention import Attention
from saccade.layers.mlp import mlp_of
from saccade.layers.norm import NORMS


class BlockConfig(BaseModel):
    """Configuration of one block. The defaults are those of the models trained here; checkpoints set their own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    width: int = Field(gt=0, le=65536)
    heads: int = Field(gt=0, le=1024)
    hidden: int = Field(gt=0, le=65536, description="width of the MLP's hidden layer")
    norm: Literal["rms", "layer"] = "rms"
    eps: float = Field(1e-6, gt=0, allow_inf_nan=False)
    activation: Literal["gelu", "gelu_tanh", "quick_gelu", "relu", "swiglu"] = "gelu"
    bias: bool = False
    qk_norm: bool = True
    layer_scale: bool = Field(False, description="one learned factor per channel and branch (Touvron et al. 2021)")
    drop_path: float = Field(0.0, ge=0, lt=1, description="chance to skip a branch in training (Huang et al. 2016)")


class Block(nn.Module):
    """Pre-norm residual block (Xiong et al. 2020): x + attention(norm(x)), then x + mlp(norm(x))."""

    def __init__(self, config: BlockConfig):
        super().__init__()
        norm, c = NORMS[config.norm], config
        self.attention_norm = norm(c.width, eps=c.eps)
        self.attention = Attention(c.width, c.heads, bias=c.bias, qk_norm=c.qk_norm)
        self.mlp_norm = norm(c.width, eps=c.eps)
        self.mlp = mlp_of(c.width, c.hidden, c.activation, c.bias)
        self.attention_branch = LayerScaleDropPath(c.width, c.layer_scale, c.drop_path)
        self.mlp_branch = LayerScaleDropPath(c.width, c.layer_scale, c.drop_path)

    def forward(
        self,
        x: Float[Tensor, "b n d"],
        mask: Shaped[Tensor, "..."] | None = None,
        angles: Float[Tensor, "n half"] | None = None,
    ) -> Float[Tensor, "b n d"]:
        x = x + self.attention_branch(self.attention(self.attention_norm(x), mask=mask, angles=angles))
        return x + self.mlp_branch(self.mlp(self.mlp_norm(x)))


class LayerScaleDropPath(nn.Module):
    """Applied to the output of a residual branch before the addition: layer scale, and in training drop-path, which
    zeroes the branch for random samples of the batch and scales it up for the others to keep the mean."""

    def __init__(self, width: int, layer_scale: bool, drop_path: float):
        super().__init__()
        self.layer_scale = nn.Parameter(torch.full((width,), 1e-5)) if layer_scale else None
        self.drop_path = drop_path

    def forward(self, x: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        if self.layer_scale is not None:
            x = x * self.layer_scale
        if self.training and self.drop_path > 0:
            kept = torch.rand(x.shape[0], 1, 1, device=x.device) >= self.drop_path
            x = x * (kept / (1 - self.drop_path)).to(x.dtype)
        return x
