"""Semantic segmentation: class tokens are the targets, the encoded picture is the source.

One learned token a class looks at the picture and takes up what the class looks like here; a pixel belongs to the
class whose token its features match best (Segmenter, Strudel et al. 2021, 3.2; MaskFormer, Cheng et al. 2021). There
is one token for each class, so nothing has to be matched.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from saccade.errors import SaccadeError
from saccade.layers import NORMS, Decoder, PixelDecoder
from saccade.models.vit import ViT, ViTConfig


class SegmenterConfig(BaseModel):
    """An encoder, `depth` decoder blocks like the encoder's, and `fine` features a pixel."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    vit: ViTConfig
    classes: int = Field(gt=0, le=255)
    depth: int = Field(2, gt=0, le=100)
    fine: int = Field(16, gt=0, le=1024, multiple_of=8, description="features of every pixel")


class Segmented(NamedTuple):
    """A logit a class for every pixel, and for every patch."""

    pixels: Float[Tensor, "b classes y x"]
    patches: Float[Tensor, "b classes rows columns"]


class Segmenter(nn.Module):
    """Pictures in, logits of every pixel out."""

    def __init__(self, config: SegmenterConfig):
        super().__init__()
        self.config = config
        block, width = config.vit.block, config.vit.block.width
        self.vit = ViT(config.vit)
        self.classes = nn.Parameter(torch.randn(config.classes, width) * 0.02)
        self.decoder = Decoder(block, config.depth)
        self.norm = NORMS[block.norm](width, eps=block.eps)
        self.of_patches, self.of_pixels = Products(width, width), Products(width, config.fine)
        self.pixels = PixelDecoder(width, config.vit.patch, config.fine, config.vit.channels)

    def forward(self, picture: Float[Tensor, "b c y x"]) -> Segmented:
        """The sides of the picture are whole patches. Raises SaccadeError otherwise."""
        if picture.shape[2] % self.vit.config.patch or picture.shape[3] % self.vit.config.patch:
            raise SaccadeError(
                f"a picture of {picture.shape[3]} x {picture.shape[2]} pixels does not divide into patches of "
                f"{self.vit.config.patch}: pad or resize it"
            )
        grid = self.vit.grid(picture)
        source = self.vit(picture)[:, self.vit.prefix :]
        place = self.classes[None]
        x = place.expand(len(picture), -1, -1)
        for block in self.decoder.blocks:
            x = block(x, place, source)
        x = self.norm(x)
        patches = source.unflatten(1, grid)
        coarse = self.of_patches(x, patches.permute(0, 3, 1, 2))
        fine = self.of_pixels(x, self.pixels(patches, picture))
        spread = F.interpolate(coarse, size=picture.shape[2:], mode="bilinear")
        return Segmented(spread + fine, coarse)


class Products(nn.Module):
    """How well features match each class's token: q . k, as attention's scores before their softmax."""

    def __init__(self, width: int, features: int):
        super().__init__()
        self.query, self.key = nn.Linear(width, features), nn.Conv2d(features, features, 1)
        self.bias = nn.Linear(width, 1)

    def forward(
        self, tokens: Float[Tensor, "b classes d"], features: Float[Tensor, "b e y x"]
    ) -> Float[Tensor, "b classes y x"]:
        q, k = self.query(tokens) * features.shape[1] ** -0.5, self.key(features)
        scores = (q @ k.flatten(2)).float() + self.bias(tokens).float()
        return scores.unflatten(2, features.shape[2:])
