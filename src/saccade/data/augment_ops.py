"""Operations shared by the augmentations of objects and masks: random windows, random numbers, colour."""

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Generator, Tensor

from saccade.data.trivial_augment import GREY


def random_window(
    at: Float[Tensor, "b 2"], whole: Int64[Tensor, "2"], share: Float[Tensor, "b"]
) -> Int64[Tensor, "b 4"]:
    """Boxes (top, left, height, width) with `share` of the sides of `whole`, at the relative position `at` (0..1)."""
    sides = (whole * share[:, None]).round().clamp(min=1).long()
    return torch.cat([random_offset(at, whole, sides), sides], dim=1)


def random_offset(
    at: Float[Tensor, "b 2"], whole: Int64[Tensor, "#b 2"] | Int64[Tensor, "2"], sides: Int64[Tensor, "b 2"]
) -> Int64[Tensor, "b 2"]:
    """Top and left of boxes with `sides` inside `whole`; uniform over all positions if `at` is uniform in 0..1."""
    free = whole - sides
    return torch.minimum((at * (free + 1)).long(), free)


def uniform(shape: tuple[int, ...], generator: Generator) -> Tensor:
    """Uniform in 0..1, on the CPU, for a generator on any device."""
    return torch.rand(shape, generator=generator, device=generator.device).cpu()


def mean_color(pictures: UInt8[Tensor, "b c y x"]) -> list[float]:
    """Mean of each channel over the batch, 0..1."""
    few = pictures[:, :, ::4, ::4]  # a sample suffices
    return (few.float().mean((0, 2, 3)) / 255).tolist()


def jitter_colors(x: Float[Tensor, "b c y x"], strength: float, generator: Generator) -> Float[Tensor, "b c y x"]:
    """Multiply saturation, brightness and contrast by random factors from 1 - strength to 1 + strength, as one matrix
    over the channels."""
    b, c, height, width = x.shape
    factors = 1 + (2 * uniform((b, 3), generator).to(x.device) - 1) * strength
    saturation, brightness, contrast = factors[:, :, None, None].unbind(1)
    weights = x.new_tensor(GREY) if c == 3 else x.new_full((c,), 1 / c)
    matrix = saturation * torch.eye(c, device=x.device) + (1 - saturation) * weights.expand(c, c)
    mean = (x.mean((2, 3)) @ weights).view(b, 1, 1)
    shift = ((1 - contrast) * brightness * mean).expand(b, c, 1)
    x = torch.baddbmm(shift, contrast * brightness * matrix, x.flatten(2))
    return x.clamp_(0, 1).view(b, c, height, width)
