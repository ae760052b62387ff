"""Frames of films as tokens and back. The first frame is alone, as a picture is; later ones come in tubes of two."""

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from saccade.errors import SaccadeError
from saccade.ops import patchify, unpatchify
from saccade.ops.frames import TUBE


class FrameEmbed(nn.Module):
    """A token for each patch of a group of frames (`saccade.ops.frames`). A tube's token is the mean of two linear
    maps, one for each of its frames (tubelet embedding, Arnab et al. 2021, ViViT, 3.2); the first is that of pictures.

    bottleneck: width to which patches are reduced first (Li & He 2025, JiT, 4.4); 0 for none. films: whether there are
    weights for tubes.
    """

    def __init__(self, pixels: int, patch: int, width: int, bottleneck: int = 0, films: bool = False):
        super().__init__()
        self.patch = patch
        self.first = _embed(pixels, width, bottleneck)
        self.second = _embed(pixels, width, bottleneck) if films else None

    def forward(self, z: Float[Tensor, "b f c y x"]) -> Float[Tensor, "b n d"]:
        """Raises SaccadeError for a film without weights for it."""
        frames = z.shape[1]
        patches = rearrange(
            patchify(rearrange(z, "b f c y x -> (b f) c y x"), self.patch), "(b f) n p -> b f n p", f=frames
        )
        lone = frames % TUBE
        if frames == lone:
            return self.first(patches[:, 0])
        second = _with_films(self.second)(patches[:, lone + 1 :: TUBE])
        tubes = (self.first(patches[:, lone::TUBE]) + second) / TUBE
        groups = torch.cat([self.first(patches[:, :lone]), tubes], dim=1) if lone else tubes
        return rearrange(groups, "b g n d -> b (g n) d")


class FrameOutput(nn.Module):
    """The frames of a group from its tokens: `FrameEmbed` in reverse. Starts at 0."""

    def __init__(self, pixels: int, patch: int, width: int, films: bool = False):
        super().__init__()
        self.patch = patch
        self.first = _zero(width, pixels)
        self.second = _zero(width, pixels) if films else None

    def forward(self, x: Float[Tensor, "b n d"], frames: int, grid: tuple[int, int]) -> Float[Tensor, "b f c y x"]:
        """grid: (rows, columns) of the patches of a frame."""
        groups = rearrange(x, "b (g n) d -> b g n d", n=grid[0] * grid[1])
        patches = self.first(groups)
        if frames > 1:
            lone = frames % TUBE
            tubes = torch.stack([patches[:, lone:], _with_films(self.second)(groups[:, lone:])], dim=2)
            patches = torch.cat([patches[:, :lone], rearrange(tubes, "b g f n p -> b (g f) n p")], dim=1)
        pictures = unpatchify(rearrange(patches, "b f n p -> (b f) n p"), grid, self.patch)
        return rearrange(pictures, "(b f) c y x -> b f c y x", f=frames)


def _embed(pixels: int, width: int, bottleneck: int) -> nn.Module:
    if not bottleneck:
        return nn.Linear(pixels, width)
    return nn.Sequential(nn.Linear(pixels, bottleneck, bias=False), nn.Linear(bottleneck, width))


def _zero(width: int, pixels: int) -> nn.Linear:
    linear = nn.Linear(width, pixels)
    nn.init.zeros_(linear.weight)
    nn.init.zeros_(linear.bias)
    return linear


def _with_films(module: nn.Module | None) -> nn.Module:
    if module is None:
        raise SaccadeError("the generator paints pictures, not films: use one that was trained on films")
    return module
