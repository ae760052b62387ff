"""Convolutions that correct a prediction of pixels."""

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from saccade.layers.norm import RMSNorm

CELL = 4  # pixels along each side of the coarser level; half as many of the finer one
RESIDUALS = 3  # convolutions of the coarser level


class PixelRefiner(nn.Module):
    """Correct predicted pictures by what the noised ones show within 20 pixels, across the borders of patches: linear
    maps of tokens predict each patch apart.

    A U-Net (Ronneberger et al. 2015) of two levels, whose places are cells of 2 x 2 and of 4 x 4 pixels; the tokens
    modulate the finer one. A level of pixels behind one of patches is that of PixelDiT (arXiv 2511.20645), here with
    convolutions. Starts at 0.

    hidden: channels of the finer level; the coarser one has twice as many. width: of the tokens.
    """

    def __init__(self, channels: int, hidden: int, width: int):
        super().__init__()
        pixels = 4 * channels  # of a cell of 2 x 2
        self.first = nn.Conv2d(2 * pixels, hidden, 3, padding=1)
        self.norm = RMSNorm(hidden)
        self.modulation = nn.Linear(width, 2 * hidden)
        self.down = nn.Conv2d(hidden, 2 * hidden, 2, stride=2)
        self.residuals = nn.ModuleList(ResidualConv(2 * hidden) for _ in range(RESIDUALS))
        self.up = nn.Conv2d(2 * hidden, 4 * hidden, 1)
        self.last = nn.Conv2d(hidden, hidden, 3, padding=1)
        self.out = nn.Conv2d(hidden, pixels, 3, padding=1)
        for parameter in (*self.modulation.parameters(), *self.out.parameters()):
            nn.init.zeros_(parameter)

    def forward(
        self, prediction: Float[Tensor, "n c y x"], z: Float[Tensor, "n c y x"], tokens: Float[Tensor, "n h w d"]
    ) -> Float[Tensor, "n c y x"]:
        """z: the noised pictures. tokens: of each patch, whose sides are multiples of `CELL`."""
        seen = F.pixel_unshuffle(torch.cat([prediction, z.to(prediction)], dim=1), 2)
        x = rearrange(self.first(seen.contiguous(memory_format=torch.channels_last)), "n c y x -> n y x c")
        shift, scale = _spread(self.modulation(tokens), x.shape[1:3]).chunk(2, dim=-1)
        x = rearrange(F.silu(torch.addcmul(shift, self.norm(x), 1 + scale)), "n y x c -> n c y x")
        coarse = self.down(x)
        for residual in self.residuals:
            coarse = residual(coarse)
        x = x + F.pixel_shuffle(self.up(coarse), 2)
        return prediction + F.pixel_shuffle(self.out(F.silu(self.last(x))), 2)


class ResidualConv(nn.Module):
    """A convolution of what is normalised and activated before it (He et al. 2016, figure 4 (e), with one layer)."""

    def __init__(self, width: int):
        super().__init__()
        self.norm = RMSNorm(width)
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Float[Tensor, "n c y x"]) -> Float[Tensor, "n c y x"]:
        places = F.silu(self.norm(rearrange(x, "n c y x -> n y x c")))
        return x + self.conv(rearrange(places, "n y x c -> n c y x"))


def _spread(patches: Float[Tensor, "n h w c"], size: torch.Size) -> Float[Tensor, "n y x c"]:
    """What is of a patch for each of its places."""
    (n, h, w, c), (y, x) = patches.shape, size
    return patches[:, :, None, :, None].expand(n, h, y // h, w, x // w, c).reshape(n, y, x, c)
