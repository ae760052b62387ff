"""The mask of every object that a detector finds, from its query and the features of pixels."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from saccade.layers import NORMS, PixelDecoder
from saccade.ops.instances import GEOMETRY

ROUND = 4.0  # of the initial mask: its logit at the centre of the box; at the edges it is 0


class MaskFeatures(NamedTuple):
    """What `saccade.ops.instances.mask_logits` takes: coefficients of every query, features of every pixel.

    The logits of all pixels for all queries are never made: training takes a few pixels around each object, prediction
    those around each box, so memory is linear in the queries."""

    queries: Float[Tensor, "b q c"]
    pixels: Float[Tensor, "b e y x"]


class MaskHead(nn.Module):
    """Coefficients of queries, and features of pixels at full resolution.

    The mask of a query is a dot product with the features of pixels, as an attention score (MaskFormer, Cheng et al.
    2021, 3.2), relative to the query's box. It starts as the ellipse that fills the box.
    """

    def __init__(self, width: int, patch: int, channels: int, image_channels: int):
        """width, patch: of the encoder. channels: features of a pixel, a multiple of 8. Raises SaccadeError for patches
        that `PixelDecoder` cannot double back to pixels."""
        super().__init__()
        self.norm = NORMS["rms"](width)
        self.query = nn.Linear(width, 3 * channels + GEOMETRY)
        self.pixel_decoder = PixelDecoder(width, patch, channels, image_channels)
        self.key = nn.Conv2d(channels, channels, 1)
        nn.init.normal_(self.query.weight, std=0.02)
        nn.init.zeros_(self.query.bias)
        with torch.no_grad():
            self.query.bias[-GEOMETRY:] = torch.tensor([ROUND, 0, 0, -ROUND, -ROUND, 0])

    def forward(
        self,
        x: Float[Tensor, "b q d"],
        patches: Float[Tensor, "b rows columns d"],
        images: Float[Tensor, "b c y x"],
    ) -> MaskFeatures:
        """images: the height and width are those of the grid times the patch size."""
        pixels = self.key(self.pixel_decoder(patches, images))
        return MaskFeatures(self.query(self.norm(x)).float(), pixels.float())
