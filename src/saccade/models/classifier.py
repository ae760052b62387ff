"""Image classification with a ViT."""

from typing import Literal

import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn

from saccade.errors import SaccadeError
from saccade.layers import NORMS
from saccade.models.vit import ViT, ViTConfig


class ClassifierConfig(BaseModel):
    """An encoder and a linear head over its class token ("cls"), over the mean of its patches ("mean"), over
    both side by side ("cls+mean", as DINOv2's), or the mean of two heads over the first two tokens
    ("distilled", DeiT's). `pool_norm` normalizes the pooled vector."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    vit: ViTConfig
    classes: int = Field(gt=0)
    pool: Literal["cls", "mean", "cls+mean", "distilled"] = "cls"
    pool_norm: bool = False
    head_bias: bool = True

    @model_validator(mode="after")
    def _has_the_tokens_it_pools(self) -> "ClassifierConfig":
        if self.pool != "mean" and not self.vit.cls:
            raise SaccadeError(
                f"pool {self.pool!r} reads the class token, and the vit has none: set cls, or pool 'mean'"
            )
        if self.pool == "distilled" and (self.vit.registers < 1 or self.pool_norm):
            raise SaccadeError(
                "pool 'distilled' reads a second token and does not normalise: registers 1, no pool_norm"
            )
        return self


class Classifier(nn.Module):
    """ViT with a linear classification head; returns one logit per class."""

    def __init__(self, config: ClassifierConfig):
        super().__init__()
        self.config = config
        block = config.vit.block
        self.vit = ViT(config.vit)
        width = block.width * (2 if config.pool == "cls+mean" else 1)
        self.pool_norm = NORMS[block.norm](width, eps=block.eps) if config.pool_norm else nn.Identity()
        self.head = nn.Linear(width, config.classes, bias=config.head_bias)
        two_heads = config.pool == "distilled"
        self.distilled_head = nn.Linear(width, config.classes, bias=config.head_bias) if two_heads else None
        for head in filter(None, (self.head, self.distilled_head)):
            nn.init.zeros_(head.weight)  # the first predictions do not depend on the picture

    def forward(self, picture: Float[Tensor, "b c y x"]) -> Float[Tensor, "b classes"]:
        return self.classify(self.vit(picture))

    def classify(self, tokens: Float[Tensor, "b n d"]) -> Float[Tensor, "b classes"]:
        """The logits, from the tokens of the encoder."""
        if self.distilled_head is not None:
            return (self.head(tokens[:, 0]) + self.distilled_head(tokens[:, 1])) / 2
        return self.head(self.pool_norm(self.pooled(tokens)))

    def pooled(self, tokens: Float[Tensor, "b n d"]) -> Float[Tensor, "b e"]:
        """Input of the head: the pooled tokens."""
        if self.config.pool == "cls":
            return tokens[:, 0]
        mean = tokens[:, self.vit.prefix :].mean(dim=1)
        return mean if self.config.pool == "mean" else torch.cat([tokens[:, 0], mean], dim=-1)
