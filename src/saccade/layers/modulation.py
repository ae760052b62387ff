"""Conditioning on time: embedding of a number, and the scales, shifts and gates of a block (adaLN)."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

BRANCHES = 6  # shift, scale and gate of the self-attention, then of the MLP


class NumberEmbed(nn.Module):
    """A number from 0 to about 1 as a vector: sines and cosines, then a two-layer network (Peebles & Xie 2023, DiT).

    zero: start with the last layer at 0, so that adding the vector changes nothing before it is trained.
    """

    frequencies: Tensor

    def __init__(self, width: int, waves: int = 64, zero: bool = False):
        super().__init__()
        frequencies = 1000 * torch.exp(-math.log(10000.0) * torch.arange(waves) / waves)
        self.register_buffer("frequencies", frequencies, persistent=False)
        self.up = nn.Linear(2 * waves, width)
        self.down = nn.Linear(width, width)
        if zero:
            nn.init.zeros_(self.down.weight)
            nn.init.zeros_(self.down.bias)

    def forward(self, number: Float[Tensor, "*b"]) -> Float[Tensor, "*b d"]:
        angle = number.float()[..., None] * self.frequencies
        waves = torch.cat([angle.sin(), angle.cos()], dim=-1).to(self.up.weight.dtype)
        return self.down(nn.functional.silu(self.up(waves)))


class Modulation(nn.Module):
    """Shifts, scales and gates for all blocks from one vector a frame (adaLN-single, Chen et al. 2024, PixArt-α, 2.3:
    each block adds a table of its own). Starts at 0, where every block is the identity."""

    def __init__(self, width: int, branches: int = BRANCHES):
        super().__init__()
        self.project = nn.Linear(width, branches * width)
        nn.init.zeros_(self.project.weight)
        nn.init.zeros_(self.project.bias)

    def forward(self, condition: Float[Tensor, "b f d"]) -> Float[Tensor, "b f e"]:
        return self.project(nn.functional.silu(condition))


def over_tokens(modulation: Float[Tensor, "b f e"], n: int) -> Float[Tensor, "b m e"]:
    """The modulation of each of n tokens, n / f consecutive ones a frame; of one frame it is left to broadcast."""
    f = modulation.shape[1]
    return modulation if f == 1 else modulation.repeat_interleave(n // f, dim=1)


def modulate(
    x: Float[Tensor, "b n d"], shift: Float[Tensor, "b m d"], scale: Float[Tensor, "b m d"]
) -> Float[Tensor, "b n d"]:
    """x (1 + scale) + shift, for each channel."""
    return torch.addcmul(shift, x, 1 + scale)
