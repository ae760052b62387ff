"""Operations that augmentations share: random windows, random numbers, colour, and resampling of boxes."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64, UInt8
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


def resample(
    x: UInt8[Tensor, "b c y x"],
    source: Int64[Tensor, "b 4"],
    size: tuple[int, int],
    target: Int64[Tensor, "b 4"] | None = None,
    mirrored: Bool[Tensor, "b"] | None = None,
    fill: Sequence[float] = (0.0,),
) -> Float[Tensor, "b c rows columns"]:
    """-> float 0..1 of `size` (rows, columns): the box `source` of each picture, resized to the box `target` (bilinear,
    antialiased).

    source, target: top, left, height, width in pixels, on the CPU. Default of `target`: the whole result.
    mirrored: pictures to flip horizontally, together with the fill.
    fill: colour 0..1 outside `target`, one value or one for each channel.
    """
    if target is None:
        target = torch.tensor([[0, 0, *size]]).expand(len(x), 4)
    if mirrored is None:
        mirrored = torch.zeros(len(x), dtype=torch.bool)
    one_by_one = x.device.type == "cpu"
    return (resample_loop if one_by_one else resample_batched)(x, source, size, target, mirrored, fill)


def resample_loop(
    x: Tensor, source: Tensor, size: tuple[int, int], target: Tensor, mirrored: Tensor, fill: Sequence[float]
) -> Tensor:
    """On a CPU: one picture after another, on bytes, which is the fastest."""
    out = x.new_empty(len(x), x.shape[1], *size)
    colour = (torch.tensor(fill) * 255).round().to(torch.uint8)[:, None, None]
    for i, (one, other, turn) in enumerate(zip(source.tolist(), target.tolist(), mirrored.tolist(), strict=True)):
        (top, left, h, w), (row, column, rows, columns) = one, other
        part = F.interpolate(
            x[i : i + 1, :, top : top + h, left : left + w], (rows, columns), mode="bilinear", antialias=True
        )[0]
        if (rows, columns) == tuple(size):
            out[i] = part.flip(-1) if turn else part
            continue
        out[i] = colour
        if turn:
            part, column = part.flip(-1), size[1] - column - columns
        out[i, :, row : row + rows, column : column + columns] = part
    return out.float().div_(255)


def resample_batched(
    x: Tensor, source: Tensor, size: tuple[int, int], target: Tensor, mirrored: Tensor, fill: Sequence[float]
) -> Tensor:
    """On a GPU: separable resampling of the batch as two matrix products. Equal to `resample_loop` up to its rounding
    to bytes."""
    (b, c, height, width), (y, z) = x.shape, size
    (top, left, h, w), (row, column, rows, columns) = (boxes.to(x.device).unbind(1) for boxes in (source, target))
    down, across = _weights(top, h, height, row, rows, y), _weights(left, w, width, column, columns, z)
    across = torch.where(mirrored.to(x.device)[:, None, None], across.flip(1), across)
    x = x.permute(0, 2, 1, 3).float().div_(255).reshape(b, height, c * width)
    x = torch.bmm(down, x).view(b, y * c, width)
    x = torch.bmm(x, across.mT).view(b, y, c, z).permute(0, 2, 1, 3)
    taken = torch.bmm(down.sum(-1, keepdim=True), across.sum(-1)[:, None])[:, None]
    colour = torch.tensor(fill, device=x.device).view(1, -1, 1, 1)
    return torch.where(taken > 0.5, x, colour).contiguous()


def _weights(start: Tensor, length: Tensor, n: int, first: Tensor, count: Tensor, out: int) -> Float[Tensor, "b out n"]:
    """Interpolation weights of n pixels for each of `out`: triangles for the `count` pixels from `first` on, spaced
    evenly over [start, start + length) and widened for antialiasing when downscaling. These rows sum to 1, others to
    0."""
    step = (length / count)[:, None, None]
    pixels, places = torch.arange(n, device=start.device), torch.arange(out, device=start.device)
    centre = start[:, None, None] + (places[:, None] - first[:, None, None] + 0.5) * step
    weight = (1 - (pixels + 0.5 - centre).abs() / step.clamp(min=1)).clamp(min=0)
    inside = (pixels >= start[:, None]) & (pixels < (start + length)[:, None])
    taken = (places >= first[:, None]) & (places < (first + count)[:, None])
    weight = weight * inside[:, None] * taken[:, :, None]
    return weight / weight.sum(-1, keepdim=True).clamp(min=1e-9)
