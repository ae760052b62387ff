"""The image encoder of a model that compares images with texts: one vector per image."""

from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn

from saccade.errors import SaccadeError
from saccade.models.vit import ViT, ViTConfig


class EmbedderConfig(BaseModel):
    """An encoder, and the width of the joint embedding space of images and texts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    vit: ViTConfig
    width: int = Field(gt=0)

    @model_validator(mode="after")
    def _has_a_class_token(self) -> "EmbedderConfig":
        if not self.vit.cls:
            raise SaccadeError("an embedder reads the class token, and the vit has none: set cls")
        return self


class Embedder(nn.Module):
    """The class token of an image, projected into the joint embedding space (CLIP, Radford et al. 2021, figure 3)."""

    def __init__(self, config: EmbedderConfig):
        super().__init__()
        self.config = config
        self.vit = ViT(config.vit)
        self.project = nn.Linear(config.vit.block.width, config.width, bias=False)

    def forward(self, picture: Float[Tensor, "b c y x"]) -> Float[Tensor, "b e"]:
        """Embeddings, not normalized."""
        return self.project(self.vit(picture)[:, 0])
