"""Semantic segmentation: class tokens are the targets, the encoded image is the source.

One learned token per class attends to the image; each pixel is classified by the dot product of its features with the
class tokens (Segmenter, Strudel et al. 2021, 3.2; MaskFormer, Cheng et al. 2021). With one token per class, no matching
is needed.
"""

from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from pydantic import AliasChoices, BaseModel, ConfigDict, Field
from torch import Tensor, nn

from saccade.errors import SaccadeError
from saccade.layers import NORMS, Decoder, PixelDecoder
from saccade.models.renamed_keys import rename_old_keys
from saccade.models.vit import ViT, ViTConfig


class SegmenterConfig(BaseModel):
    """An encoder, a decoder of `depth` blocks like the encoder's, and `pixel_channels` features per pixel."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    vit: ViTConfig
    classes: int = Field(gt=0, le=255)
    depth: int = Field(2, gt=0, le=100)
    pixel_channels: int = Field(
        16, gt=0, le=1024, multiple_of=8, validation_alias=AliasChoices("pixel_channels", "fine")
    )


class SegmenterOutput(NamedTuple):
    """Class logits of every pixel, or of the chosen ones (b classes p), and of every patch."""

    logits: Float[Tensor, "b classes *pixels"]
    patch_logits: Float[Tensor, "b classes rows columns"]


class Segmenter(nn.Module):
    """Images in, class logits of every pixel out."""

    old_keys: ClassVar[dict[str, str]] = {
        r"classes$": "class_tokens",
        r"of_patches\.": "patch_head.",
        r"of_pixels\.": "pixel_head.",
        r"pixels\.": "pixel_decoder.",
    }

    def __init__(self, config: SegmenterConfig):
        super().__init__()
        self.config = config
        block, width = config.vit.block, config.vit.block.width
        self.vit = ViT(config.vit)
        self.class_tokens = nn.Parameter(nn.init.normal_(torch.empty(config.classes, width), std=0.02))
        self.decoder = Decoder(block, config.depth)
        self.norm = NORMS[block.norm](width, eps=block.eps)
        self.patch_head = DotProductHead(width, width)
        self.pixel_head = DotProductHead(width, config.pixel_channels)
        self.pixel_decoder = PixelDecoder(width, config.vit.patch, config.pixel_channels, config.vit.channels)
        self.register_load_state_dict_pre_hook(rename_old_keys)

    def forward(self, images: Float[Tensor, "b c y x"], pixels: Int64[Tensor, "b p"] | None = None) -> SegmenterOutput:
        """Height and width are multiples of the patch size. Raises SaccadeError otherwise.

        pixels: compute logits at these pixels of each image alone, y * width + x, as a loss needs them; the memory that
        all of them take grows with the number of classes.
        """
        if images.shape[2] % self.vit.config.patch or images.shape[3] % self.vit.config.patch:
            raise SaccadeError(
                f"a picture of {images.shape[3]} x {images.shape[2]} pixels does not divide into patches of "
                f"{self.vit.config.patch}: pad or resize it"
            )
        grid = self.vit.grid(images)
        source = self.vit(images)[:, self.vit.prefix :]
        position = self.class_tokens[None]
        x = position.expand(images.shape[0], -1, -1)
        for block in self.decoder.blocks:
            x = block(x, position, source)
        x = self.norm(x)
        patches = source.unflatten(1, grid)
        patch_logits = self.patch_head(x, patches.permute(0, 3, 1, 2))
        features = self.pixel_decoder(patches, images)
        if pixels is None:
            coarse = F.interpolate(patch_logits, size=images.shape[2:], mode="bilinear")
        else:
            coarse, features = _interpolated_at(pixels, patch_logits, images.shape[3]), _features_at(pixels, features)
        return SegmenterOutput(coarse + self.pixel_head(x, features), patch_logits)


class DotProductHead(nn.Module):
    """Class logits as scaled dot products q . k of class tokens and features, as attention scores before softmax."""

    def __init__(self, width: int, features: int):
        super().__init__()
        self.query, self.key = nn.Linear(width, features), nn.Conv2d(features, features, 1)
        self.bias = nn.Linear(width, 1)

    def forward(
        self, tokens: Float[Tensor, "b classes d"], features: Float[Tensor, "b e *pixels"]
    ) -> Float[Tensor, "b classes *pixels"]:
        # q . (K f + b) = (q K) . f + q . b: the map is applied to the few queries, not to all features
        q = self.query(tokens) * features.shape[1] ** -0.5
        weight, shift = self.key.weight[:, :, 0, 0], self.key.bias
        assert shift is not None
        bias = q @ shift[:, None] + self.bias(tokens)
        scores = (q @ weight @ features.flatten(2)).float() + bias.float()
        return scores.unflatten(2, features.shape[2:])


def _features_at(pixels: Int64[Tensor, "b p"], features: Float[Tensor, "b e y x"]) -> Float[Tensor, "b e p"]:
    rows = features.permute(0, 2, 3, 1).flatten(0, 2)
    start = torch.arange(len(pixels), device=pixels.device)[:, None] * (features.shape[2] * features.shape[3])
    return rows.index_select(0, (start + pixels).flatten()).unflatten(0, pixels.shape).mT


def _interpolated_at(
    pixels: Int64[Tensor, "b p"], patch_logits: Float[Tensor, "b classes rows columns"], width: int
) -> Float[Tensor, "b classes p"]:
    """What bilinear interpolation to the size of the image has at these pixels. width: of the image."""
    side = width // patch_logits.shape[3]  # of a patch
    x, y = (pixels % width + 0.5) / side, (pixels // width + 0.5) / side  # in patches
    size = patch_logits.new_tensor([patch_logits.shape[3], patch_logits.shape[2]])
    grid = torch.stack([x, y], dim=-1) * 2 / size - 1
    at = F.grid_sample(patch_logits, grid[:, None], padding_mode="border", align_corners=False)
    return at[:, :, 0]
