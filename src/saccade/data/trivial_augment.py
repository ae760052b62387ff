"""TrivialAugment (Müller & Hutter, arXiv 2103.10158): one random operation of random strength for each picture.

The operations are Pillow's, with the ranges of RandAugment (search space RA of the paper), on float pictures 0..1.
Pictures with the same operation are computed together; the five geometric ones are a single affine map.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Generator, Tensor

# effect at strength 1; strengths m are in -1..1
MAX_STRENGTH = {"rotate": math.radians(30), "shear x": 0.3, "shear y": 0.3, "move x": 10 / 32, "move y": 10 / 32}
FACTOR = 0.9  # brightness, colour, contrast and sharpness are scaled by 1 - 0.9 to 1 + 0.9
GREY = (0.299, 0.587, 0.114)  # ITU-R 601, as Pillow's "L"
EMPTY = 0.5  # fill value outside the picture


def trivial_augment(x: Float[Tensor, "b 3 y x"], generator: Generator) -> Float[Tensor, "b 3 y x"]:
    """Apply one of fourteen operations, drawn uniformly, to each picture. Values stay in 0..1."""
    b, device = len(x), generator.device
    drawn = torch.randint(1 + len(MAX_STRENGTH) + len(COLOURS), (b,), generator=generator, device=device).cpu()
    strength = (torch.rand(b, generator=generator, device=device) * 2 - 1).to(x.device)
    x = x.clone()  # operation 0 is the identity
    moved = ((drawn >= 1) & (drawn <= len(MAX_STRENGTH))).nonzero().flatten()
    if len(moved):
        matrices = _affine((drawn[moved] - 1).to(x.device), strength[moved.to(x.device)], x.shape[3] / x.shape[2])
        moved = moved.to(x.device)
        x[moved] = _warp(x[moved], matrices)
    for i, operation in enumerate(COLOURS, start=1 + len(MAX_STRENGTH)):
        chosen = (drawn == i).nonzero().flatten().to(x.device)
        if len(chosen):
            x[chosen] = operation(x[chosen], strength[chosen].view(-1, 1, 1, 1))
    return x


def _affine(kind: Tensor, m: Tensor, aspect: float) -> Float[Tensor, "b 2 3"]:
    """Output coordinates -> input coordinates, -1..1 along both sides, for the operations of MAX_STRENGTH in order."""
    reach = m * torch.tensor(list(MAX_STRENGTH.values()), device=m.device)[kind]
    # 0, no effect, for operations not drawn
    turn, shear_x, shear_y, move_x, move_y = ((kind == i) * reach for i in range(len(MAX_STRENGTH)))
    cos, sin = turn.cos(), turn.sin()
    # `aspect` (width / height) preserves angles in rectangular pictures
    first = torch.stack([cos, (sin + shear_x) / aspect, 2 * move_x], dim=1)
    second = torch.stack([(shear_y - sin) * aspect, cos, 2 * move_y], dim=1)
    return torch.stack([first, second], dim=1)


def _warp(x: Tensor, matrices: Float[Tensor, "b 2 3"]) -> Tensor:
    grid = F.affine_grid(matrices, list(x.shape), align_corners=False)
    return F.grid_sample(x - EMPTY, grid, align_corners=False) + EMPTY


def _blend(base: Tensor, x: Tensor, m: Tensor) -> Tensor:
    return torch.lerp(base, x, 1 + FACTOR * m).clamp_(0, 1)


def _grey(x: Tensor) -> Float[Tensor, "b 1 y x"]:
    return (x * torch.tensor(GREY, device=x.device).view(1, 3, 1, 1)).sum(1, keepdim=True)


def brightness(x: Tensor, m: Tensor) -> Tensor:
    """Away from or towards black."""
    return _blend(torch.zeros_like(x), x, m)


def colour(x: Tensor, m: Tensor) -> Tensor:
    """Away from or towards its greyscale version."""
    return _blend(_grey(x).expand_as(x), x, m)


def contrast(x: Tensor, m: Tensor) -> Tensor:
    """Away from or towards its mean grey."""
    return _blend(_grey(x).mean((2, 3), keepdim=True).expand_as(x), x, m)


def sharpness(x: Tensor, m: Tensor) -> Tensor:
    """Away from or towards its smoothed version, (sum of 3 x 3 + 4 times the centre) / 13, except at the border."""
    base = x.clone()
    if min(x.shape[2:]) > 2:
        three = x[:, :, :-2] + x[:, :, 1:-1] + x[:, :, 2:]  # several times faster than pooling
        nine = three[..., :-2] + three[..., 1:-1] + three[..., 2:]
        base[:, :, 1:-1, 1:-1] = (nine + 4 * x[:, :, 1:-1, 1:-1]) / 13
    return _blend(base, x, m)


def posterize(x: Tensor, m: Tensor) -> Tensor:
    """The highest 8 to 4 bits of each value only."""
    step = 2.0 ** (4 * m.abs()).round()
    return (x * 255).round_().div_(step).floor_().mul_(step).div_(255)


def solarize(x: Tensor, m: Tensor) -> Tensor:
    """Values at or above a threshold are inverted."""
    return torch.where(x >= 1 - m.abs(), 1 - x, x)


def autocontrast(x: Tensor, m: Tensor) -> Tensor:
    """Each channel stretched to the full range; a flat one stays."""
    low, high = x.amin((2, 3), keepdim=True), x.amax((2, 3), keepdim=True)
    flat = high <= low
    return torch.where(flat, x, (x - low) / torch.where(flat, 1, high - low))


def equalize(x: Tensor, m: Tensor) -> Tensor:
    """Each channel mapped so that its 256 levels are about equally frequent, by Pillow's rule."""
    b, c, height, width = x.shape
    levels = (x * 255).round_().long().view(b * c, -1)
    counts = torch.zeros(b * c, 256, device=x.device).scatter_add_(1, levels, torch.ones_like(levels, dtype=x.dtype))
    last = counts.gather(1, levels.amax(1, keepdim=True))
    step = ((height * width - last) / 255).floor_()
    table = ((counts.cumsum(1) - counts + (step / 2).floor_()) / step.clamp(min=1)).floor_().clamp_(0, 255) / 255
    return torch.where(step.view(b, c, 1, 1) == 0, x, table.gather(1, levels).view_as(x))


COLOURS: tuple[Callable[[Tensor, Tensor], Tensor], ...] = (
    brightness,
    colour,
    contrast,
    sharpness,
    posterize,
    solarize,
    autocontrast,
    equalize,
)
