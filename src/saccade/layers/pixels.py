"""From patch tokens back to pixels: a U-Net style decoder with skip connections from the image."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from saccade.errors import SaccadeError

GROUPS = 8  # of channels in group normalization


class PixelDecoder(nn.Module):
    """Patch tokens -> features of every pixel.

    The grid is upsampled by a factor of 2 at each step, up to the size of the image. Each step adds features of the
    image at the same resolution, from strided convolutions (skip connections as in U-Net, Ronneberger et al. 2015, with
    a transformer between the two arms as in TransUNet, Chen et al. 2021). Tokens carry semantics, the skips edges.

    Args:
        width: of the tokens.
        patch: side of a patch in pixels; a power of two, 2 or more.
        features: output channels at full resolution; each coarser level has twice as many, up to four times.
        channels: of the image.

    Raises SaccadeError for a patch size that is not a power of two, and for channels that do not divide into groups.
    """

    def __init__(self, width: int, patch: int, features: int = 16, channels: int = 3):
        super().__init__()
        steps = int(math.log2(patch))
        if patch < 2 or 2**steps != patch:
            raise SaccadeError(f"patches of {patch} pixels cannot be doubled back to pixels: a power of two is needed")
        if features % GROUPS:
            raise SaccadeError(f"{features} channels do not divide into {GROUPS} groups")
        self.patch = patch
        widths = [features * min(4, 2**step) for step in range(steps)]  # finest level first
        inputs = [channels, *widths]
        self.down = nn.ModuleList(
            ConvBlock(inputs[step], widths[step], stride=1 if step == 0 else 2) for step in range(steps)
        )
        self.first = nn.Linear(width, widths[-1])
        up_inputs = [*widths[1:], widths[-1]]
        self.up = nn.ModuleList(UpBlock(up_inputs[step], widths[step]) for step in range(steps))
        self.join = nn.ModuleList(ConvBlock(each, each) for each in widths)

    def forward(
        self, patches: Float[Tensor, "b rows columns d"], images: Float[Tensor, "b c y x"]
    ) -> Float[Tensor, "b features y x"]:
        """The height and width of the images are those of the grid times the patch size."""
        skips = []
        x = images.contiguous(memory_format=torch.channels_last)  # convolutions of few channels are faster so
        for down in self.down:
            x = down(x)
            skips.append(x)
        x = self.first(patches).permute(0, 3, 1, 2)
        for up, join, skip in zip(reversed(self.up), reversed(self.join), reversed(skips), strict=True):
            x = up(x)
            x = x + join(x + skip)
        return x


class ConvBlock(nn.Module):
    """3 x 3 convolution, group norm (Wu & He 2018), GELU."""

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1):
        super().__init__()
        self.map = nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False)
        self.norm = nn.GroupNorm(GROUPS, out_channels)
        self.act = nn.GELU()

    def forward(self, x: Float[Tensor, "b c y x"]) -> Float[Tensor, "b e rows columns"]:
        x = self.norm(self.convolve(x))
        # channels in the last axis, as they lie in memory: only of a contiguous tensor is GELU vectorised
        return self.act(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)

    def convolve(self, x: Float[Tensor, "b c y x"]) -> Float[Tensor, "b e rows columns"]:
        return self.map(x)


class UpBlock(ConvBlock):
    """`ConvBlock` of the input upsampled by 2 (nearest neighbour), which is never made.

    Of the nine taps at each output pixel, those that fall on the same input pixel are added up. What remains is a
    transposed convolution with four taps an output pixel, equal up to rounding.
    """

    def convolve(self, x: Float[Tensor, "b c y x"]) -> Float[Tensor, "b e rows columns"]:
        kernel = _merged_taps(_merged_taps(self.map.weight.mT).mT)
        return F.conv_transpose2d(x, kernel.transpose(0, 1), stride=2, padding=1)


def _merged_taps(kernel: Float[Tensor, "e c y 3"]) -> Float[Tensor, "e c y 4"]:
    """Taps along the last axis for a transposed convolution of stride 2: even output pixels take the second and the
    last, odd ones the first and the third."""
    left, centre, right = kernel.unbind(-1)
    return torch.stack([right, centre + right, left + centre, left], dim=-1)
