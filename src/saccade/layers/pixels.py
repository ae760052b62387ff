"""From patches back to pixels: what attention knows of a patch, with the picture's own edges put back in."""

import math

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import interpolate

from saccade.errors import SaccadeError

GROUPS = 8  # of channels, normalised together


class PixelDecoder(nn.Module):
    """Tokens of a grid of patches -> features of every pixel.

    The grid is doubled step by step to the size of the picture; at every step features of the picture itself, reduced
    to that size by strided convolutions, are added (the skips of Ronneberger et al. 2015, with a transformer between
    the two arms as in Chen et al. 2021, TransUNet). Tokens say what is there, the skips where it ends.

    Args:
        width: of the tokens.
        patch: pixels along each side of a patch; a power of two, 2 or more.
        fine: channels at the size of the picture; every coarser size has twice as many, up to four times.
        channels: of the picture.

    Raises SaccadeError for a patch that is no power of two, and channels that do not divide into groups.
    """

    def __init__(self, width: int, patch: int, fine: int = 16, channels: int = 3):
        super().__init__()
        steps = int(math.log2(patch))
        if patch < 2 or 2**steps != patch:
            raise SaccadeError(f"patches of {patch} pixels cannot be doubled back to pixels: a power of two is needed")
        if fine % GROUPS:
            raise SaccadeError(f"{fine} channels do not divide into {GROUPS} groups")
        self.patch = patch
        widths = [fine * min(4, 2**step) for step in range(steps)]  # from the finest to the coarsest
        before = [channels, *widths]
        self.down = nn.ModuleList(
            Convolution(before[step], widths[step], stride=1 if step == 0 else 2) for step in range(steps)
        )
        self.first = nn.Linear(width, widths[-1])
        after = [*widths[1:], widths[-1]]
        self.up = nn.ModuleList(Convolution(after[step], widths[step]) for step in range(steps))
        self.join = nn.ModuleList(Convolution(each, each) for each in widths)

    def forward(
        self, patches: Float[Tensor, "b rows columns d"], picture: Float[Tensor, "b c y x"]
    ) -> Float[Tensor, "b fine y x"]:
        """The sides of the picture are those of the grid times the patch."""
        skips = []
        x = picture
        for down in self.down:
            x = down(x)
            skips.append(x)
        x = self.first(patches).permute(0, 3, 1, 2)
        for up, join, skip in zip(reversed(self.up), reversed(self.join), reversed(skips), strict=True):
            x = up(interpolate(x, scale_factor=2.0, mode="nearest"))
            x = x + join(x + skip)
        return x


class Convolution(nn.Module):
    """3 x 3 pixels, group norm (Wu & He 2018), GELU."""

    def __init__(self, before: int, after: int, stride: int = 1):
        super().__init__()
        self.map = nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False)
        self.norm = nn.GroupNorm(GROUPS, after)
        self.act = nn.GELU()

    def forward(self, x: Float[Tensor, "b c y x"]) -> Float[Tensor, "b e rows columns"]:
        return self.act(self.norm(self.map(x)))
