"""Conditioning on time: embedding of a number, and the scales, shifts and gates of a block (adaLN)."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

MODULATION_CHUNKS = 6  # shift, scale and gate of the self-attention, then of the MLP


class SinusoidalEmbedding(nn.Module):
    """A number from 0 to about 1 as sines and cosines (Vaswani et al. 2017, 3.5)."""

    frequencies: Tensor

    def __init__(self, waves: int = 64):
        super().__init__()
        # On the CPU also in a model without memory (device "meta"), where arithmetic takes a second for its imports.
        frequencies = 1000 * torch.exp(-math.log(10000.0) * torch.arange(waves, device="cpu") / waves)
        self.register_buffer("frequencies", frequencies, persistent=False)
        self.width = 2 * waves

    def forward(self, number: Float[Tensor, "*b"]) -> Float[Tensor, "*b w"]:
        angle = number.float()[..., None] * self.frequencies
        return torch.cat([angle.sin(), angle.cos()], dim=-1)


class TimestepEmbed(nn.Module):
    """A number from 0 to about 1 as a vector: sines and cosines, then a two-layer network (Peebles & Xie 2023, DiT)."""

    def __init__(self, width: int):
        super().__init__()
        self.waves = SinusoidalEmbedding()
        self.up = nn.Linear(self.waves.width, width)
        self.down = nn.Linear(width, width)

    def forward(self, number: Float[Tensor, "*b"]) -> Float[Tensor, "*b d"]:
        return self.down(nn.functional.silu(self.up(self.waves(number).to(self.up.weight.dtype))))


class ScalarEmbedding(nn.Module):
    """A number from 0 to about 1 as a vector to add to another: sines and cosines, then a linear map that starts at 0,
    where it changes nothing."""

    def __init__(self, width: int):
        super().__init__()
        self.waves = SinusoidalEmbedding()
        self.project = nn.Linear(self.waves.width, width)
        nn.init.zeros_(self.project.weight)
        nn.init.zeros_(self.project.bias)

    def forward(self, number: Float[Tensor, "*b"]) -> Float[Tensor, "*b d"]:
        return self.project(self.waves(number).to(self.project.weight.dtype))


class Modulation(nn.Module):
    """Shifts, scales and gates for all blocks from one vector a group of frames (adaLN-single, Chen et al. 2024,
    PixArt-α, 2.3: each block adds a table of its own). Starts at 0, where every block is the identity."""

    def __init__(self, width: int, branches: int = MODULATION_CHUNKS):
        super().__init__()
        self.project = nn.Linear(width, branches * width)
        nn.init.zeros_(self.project.weight)
        nn.init.zeros_(self.project.bias)

    def forward(self, condition: Float[Tensor, "b g d"]) -> Float[Tensor, "b g e"]:
        return self.project(nn.functional.silu(condition))


def repeat_over_tokens(modulation: Float[Tensor, "b g e"], n: int) -> Float[Tensor, "b m e"]:
    """The modulation of each of n tokens, n / g consecutive ones a group of frames; of one it is left to broadcast."""
    g = modulation.shape[1]
    return modulation if g == 1 else modulation.repeat_interleave(n // g, dim=1)


def modulate(
    x: Float[Tensor, "b n d"], shift: Float[Tensor, "b m d"], scale: Float[Tensor, "b m d"]
) -> Float[Tensor, "b n d"]:
    """x (1 + scale) + shift, for each channel."""
    return torch.addcmul(shift, x, 1 + scale)
