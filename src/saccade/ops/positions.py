"""Position encodings: sine-cosine tables, rotary angles, and interpolation of learned tables.

A grid is the number of tokens along each axis in the order they are flattened: (m,) for text, (rows, columns)
for a picture, (frames, rows, columns) for a film. One function each serves 1, 2 and 3 dimensions.
"""

import math

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from saccade.errors import SaccadeError


def sincos(grid: tuple[int, ...], width: int, period: float = 10000.0) -> Float[Tensor, "n d"]:
    """Fixed sine-cosine position table (Vaswani et al. 2017, 3.5; for 2-D as in MAE, He et al. 2021).

    The width is divided equally between the axes, half sines and half cosines; `width` must be a multiple of
    twice the number of axes. Add the result to tokens.
    """
    coordinates = _coordinates(grid)
    if width % (2 * len(grid)):
        raise SaccadeError(
            f"a sine-cosine table over {len(grid)} axes needs a width that is a multiple of {2 * len(grid)}, "
            f"not {width}"
        )
    each = width // (2 * len(grid))  # pairs an axis
    frequency = period ** (-torch.arange(each) / each)
    angle = coordinates[:, :, None] * frequency  # (n axes each)
    return torch.cat([angle.sin(), angle.cos()], dim=-1).flatten(1)


def rotary_angles(
    grid: tuple[int, ...],
    width: int,
    prefix: int = 0,
    extent: tuple[int, ...] | None = None,
    period: float = 100.0,
    device: torch.device | None = None,
    times: Float[Tensor, "f"] | None = None,
) -> Float[Tensor, "n half"]:
    """Angles by which `rotate` rotates the pairs of each query and key (RoPE, Su et al. 2021; axial in 2-D and
    3-D as in Heo et al. 2024).

    width: of one head, even; half = width / 2. The pairs are divided equally between the axes; remaining pairs
    are not rotated. `prefix` tokens before the grid (cls, registers) have no position and are not rotated.
    extent: length of each axis from edge to edge, with tokens at the centers of equal intervals; default: one unit
    per token, the first at 0. With the extent of the grid a model was trained on, positions do not change when the
    same image is divided into a finer grid. device: of the result; default: the current one. times: coordinates along
    the first axis in place of 0, 1, 2 and so on.
    """
    coordinates = _coordinates(grid, device)
    if times is not None:
        coordinates[:, 0] = times.repeat_interleave(math.prod(grid[1:]))
    if width % 2:
        raise SaccadeError(f"rotary positions turn pairs: the head width must be even, not {width}")
    each = width // (2 * len(grid))  # pairs an axis
    frequency = period ** (-torch.arange(each, device=device) / max(each, 1))
    if extent is not None:
        coordinates = (coordinates + 0.5) * (torch.tensor(extent) / torch.tensor(grid)).to(coordinates)
    angle = (coordinates[:, :, None] * frequency).flatten(1)
    return F.pad(angle, (0, width // 2 - angle.shape[1], prefix, 0))


def rotary_sincos(
    grid: tuple[int, ...],
    width: int,
    extent: tuple[int, ...] | None = None,
    device: torch.device | None = None,
    times: Float[Tensor, "f"] | None = None,
) -> Float[Tensor, "n d"]:
    """Where each token is, as sines and cosines of its rotary angles to add to it: rotary positions know only how far
    tokens are apart. extent, device, times: as in `rotary_angles`."""
    angles = rotary_angles(grid, width, extent=extent, device=device, times=times)
    return torch.cat([angles.sin(), angles.cos()], dim=-1)


def rotate(x: Float[Tensor, "b h n k"], angles: Float[Tensor, "n half"]) -> Float[Tensor, "b h n k"]:
    """Rotate the pairs (i, i + k/2) of every vector by the angles of its token. Norms are preserved, and the product of
    a rotated query and key depends on their positions only through the difference."""
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    a, b = x.chunk(2, dim=-1)
    if torch.is_grad_enabled() or torch.compiler.is_compiling() or x.device.type != "cpu":
        return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1)
    # The same numbers by whole vectors, which passes over x less often.
    turned = torch.cat([b, a], dim=-1).mul_(torch.cat([-sin, sin], dim=-1))
    return (x * torch.cat([cos, cos], dim=-1)).add_(turned)


def interpolate(
    table: Float[Tensor, "n d"],
    grid: tuple[int, int],
    to: tuple[int, int],
    antialias: bool = False,
    offset: float = 0.0,
) -> Float[Tensor, "m d"]:
    """Resample a learned position table from one grid of patches to another, bicubic.

    antialias: smooth when the grid shrinks (timm, DINOv2 with registers; HF ViT does not).
    offset: added to the target size in the scale factor, 0.1 in the original DINOv2.
    """
    exporting = torch.compiler.is_exporting() and not offset  # an exported graph has no branches on its sizes
    if not exporting and grid == to:
        return table
    exact = table if table.dtype == torch.float64 else table.float()
    picture = rearrange(exact, "(y x) d -> 1 d y x", y=grid[0], x=grid[1])
    if offset:
        factors = [(n + offset) / g for n, g in zip(to, grid, strict=True)]
        picture = F.interpolate(picture, scale_factor=factors, mode="bicubic", antialias=antialias)
        if picture.shape[-2:] != to:
            raise SaccadeError(f"positions of grid {grid} came out as {tuple(picture.shape[-2:])}, not {to}")
    else:
        picture = F.interpolate(picture, size=to, mode="bicubic", antialias=antialias)
    return rearrange(picture, "1 d y x -> (y x) d").to(table.dtype)


def _coordinates(grid: tuple[int, ...], device: torch.device | None = None) -> Float[Tensor, "n axes"]:
    """The coordinates of every token, in the order in which they are flattened."""
    if not grid or math.prod(grid) < 1:
        raise SaccadeError(f"a grid of {grid} has no tokens")
    axes = torch.meshgrid(*(torch.arange(size, dtype=torch.float32, device=device) for size in grid), indexing="ij")
    return torch.stack([axis.flatten() for axis in axes], dim=-1)
