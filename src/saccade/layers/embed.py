"""From an image to tokens: linear patch embedding and position encodings."""

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from saccade.errors import SaccadeError
from saccade.ops import grid_of, interpolate, rotary_angles, sincos


class PatchEmbed(nn.Module):
    """Flatten every patch to a vector and map it to the width of the tokens (Dosovitskiy et al. 2021, eq. 1).

    Written as a convolution with stride = patch, which is the same map. `window` > patch gives
    overlapping patches, extended equally on every side, so the two must differ by an even number; the grid is still
    that of `grid_of`.
    """

    def __init__(self, channels: int, width: int, patch: int, window: int | None = None, bias: bool = True):
        super().__init__()
        window = patch if window is None else window
        if window < patch or (window - patch) % 2:
            raise SaccadeError(
                f"a window of {window} pixels does not reach equally far on every side of a patch of {patch}: it must "
                f"be {patch}, {patch + 2}, {patch + 4} or so on"
            )
        self.patch = patch
        self.project = nn.Conv2d(channels, width, window, stride=patch, padding=(window - patch) // 2, bias=bias)

    def forward(self, picture: Float[Tensor, "b c y x"]) -> Float[Tensor, "b n d"]:
        if picture.ndim != 4 or picture.shape[1] != self.project.in_channels:
            raise SaccadeError(
                f"pictures of shape {tuple(picture.shape)} were given: expected (b c y x) with "
                f"{self.project.in_channels} channels"
            )
        rows, columns = grid_of(picture.shape[2], picture.shape[3], self.patch)
        whole = picture[:, :, : rows * self.patch, : columns * self.patch]
        return rearrange(self.project(whole), "b d r s -> b (r s) d")


class LearnedPositions(nn.Module):
    """One learned vector per patch of a native grid, interpolated to any other grid.

    antialias, offset: as in `saccade.ops.interpolate`.
    """

    def __init__(self, grid: tuple[int, int], width: int, antialias: bool = True, offset: float = 0.0):
        super().__init__()
        self.grid, self.antialias, self.offset = grid, antialias, offset
        self.table = nn.Parameter(nn.init.normal_(torch.empty(grid[0] * grid[1], width), std=0.02))

    def forward(self, grid: tuple[int, int]) -> Float[Tensor, "n d"]:
        return interpolate(self.table, self.grid, grid, self.antialias, self.offset)


class SinCosPositions(nn.Module):
    """Fixed sine-cosine positions for any grid."""

    anchor: Tensor

    def __init__(self, width: int):
        super().__init__()
        self.width = width
        # The table has no weights; this buffer follows the device and the dtype of the model.
        self.register_buffer("anchor", torch.zeros(()), persistent=False)

    def forward(self, grid: tuple[int, int]) -> Float[Tensor, "n d"]:
        return sincos(grid, self.width).to(self.anchor)


class RotaryPositions(nn.Module):
    """Rotary angles for the queries and keys of every layer, for any grid; `prefix` tokens are not rotated.

    Positions are measured in units of the native grid, from edge to edge, so that they do not change with the
    resolution or aspect ratio. Angles stay in fp32 whatever the dtype of the model: rounding would shift positions.
    """

    anchor: Tensor

    def __init__(self, head_width: int, prefix: int, native: tuple[int, int]):
        super().__init__()
        self.head_width, self.prefix, self.native = head_width, prefix, native
        self.register_buffer("anchor", torch.zeros(()), persistent=False)

    def forward(self, grid: tuple[int, int]) -> Float[Tensor, "n half"]:
        return rotary_angles(grid, self.head_width, self.prefix, self.native).to(self.anchor.device)
