"""Training augmentation for segmentation, on whole batches of pictures with their masks.

All random numbers come from one generator, so a seed gives the same pictures on any device.
"""

import math

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Generator, Tensor

from saccade.data.augment_ops import jitter_colors, mean_color, random_offset, resample, uniform
from saccade.data.segments import IGNORE_INDEX
from saccade.errors import DataError


class SegmentAugment:
    """Random zoom and crop, horizontal flip, then colour jitter.

    Pictures are resized with their aspect ratio and cropped at random to `size`. Along axes where they are smaller,
    they are placed at random on the mean colour of the batch, and the mask around them is IGNORE_INDEX.

    Args:
        size: (rows, columns) of the result.
        scale: minimum and maximum zoom, log-uniform for each picture; 1 keeps the resolution.
        hflip: flip horizontally with probability 0.5.
        color_jitter: strength 0..1: brightness, contrast and saturation are each multiplied by a random factor from
            1 - color_jitter to 1 + color_jitter.

    Raises:
        DataError: a number outside its range.
    """

    def __init__(
        self,
        size: tuple[int, int],
        scale: tuple[float, float] = (0.5, 2.0),
        hflip: bool = True,
        color_jitter: float = 0.3,
    ):
        if min(size) < 1:
            raise DataError(f"size={tuple(size)} was given; 1 pixel or more a side expected")
        if not 0 < scale[0] <= scale[1] < math.inf:
            raise DataError(f"scale={tuple(scale)} was given; 0 < least <= greatest expected")
        if not 0 <= color_jitter <= 1:
            raise DataError(f"color_jitter={color_jitter} was given; 0 to 1 expected")
        self.size, self.scale = (int(size[0]), int(size[1])), scale
        self.hflip, self.color_jitter = hflip, color_jitter

    def __call__(
        self, pictures: UInt8[Tensor, "b c y x"], masks: UInt8[Tensor, "b y x"], generator: Generator
    ) -> tuple[Float[Tensor, "b c rows columns"], UInt8[Tensor, "b rows columns"]]:
        """One augmented batch on the device of the pictures: float32 0..1, and masks resampled by nearest neighbour."""
        for what, given in (("pictures", pictures), ("masks", masks)):
            if given.dtype != torch.uint8:
                raise DataError(f"{what} of type {given.dtype} were given; uint8 (0..255) expected")
        b, (height, width) = len(pictures), pictures.shape[2:]
        if masks.shape != (b, height, width):
            raise DataError(
                f"{b} pictures of {width} x {height} pixels came with masks of shape {tuple(masks.shape)}; "
                f"{(b, height, width)} expected"
            )
        source, target = self._windows(b, height, width, generator)
        mirrored = (uniform((b,), generator) < 0.5) & self.hflip
        x = resample(pictures, source, self.size, target, mirrored, mean_color(pictures))
        if self.color_jitter:
            x = jitter_colors(x, self.color_jitter, generator)
        return x, resample_masks(masks, source, self.size, target, mirrored)

    def _windows(
        self, b: int, height: int, width: int, generator: Generator
    ) -> tuple[Int64[Tensor, "b 4"], Int64[Tensor, "b 4"]]:
        """For each picture the crop, and the box of the result that it fills: top, left, height, width in pixels."""
        low, high = math.log(self.scale[0]), math.log(self.scale[1])
        zoom = (uniform((b, 1), generator) * (high - low) + low).exp()
        at = uniform((b, 2), generator)
        whole, out = torch.tensor([height, width]), torch.tensor(self.size)
        # along each axis, a part of the picture fills the result, or the picture a part of the result
        taken = torch.minimum(out / zoom, whole).round().clamp(min=1).long()
        filled = torch.minimum(whole * zoom, out).round().clamp(min=1).long()
        return torch.cat([random_offset(at, whole, taken), taken], 1), torch.cat(
            [random_offset(at, out, filled), filled], 1
        )


def resample_masks(
    masks: UInt8[Tensor, "b y x"],
    source: Int64[Tensor, "b 4"],
    size: tuple[int, int],
    target: Int64[Tensor, "b 4"],
    mirrored: Tensor,
) -> UInt8[Tensor, "b rows columns"]:
    """`resample` for masks, by nearest neighbour; IGNORE_INDEX outside `target`. Arguments as in `resample`."""
    rows, inside_rows = _under(source[:, 0::2], target[:, 0::2], size[0])
    columns, inside_columns = _under(source[:, 1::2], target[:, 1::2], size[1])
    columns = torch.where(mirrored[:, None], columns.flip(1), columns)
    inside_columns = torch.where(mirrored[:, None], inside_columns.flip(1), inside_columns)
    device, b, width = masks.device, len(masks), masks.shape[2]
    # rows first: copying entire rows is fast, and leaves fewer columns to gather
    down = masks.gather(1, rows.to(device)[:, :, None].expand(b, size[0], width))
    out = down.gather(2, columns.to(device)[:, None, :].expand(b, *size))
    free = ~(inside_rows[:, :, None] & inside_columns[:, None, :])
    return out.masked_fill_(free.to(device), IGNORE_INDEX) if bool(free.any()) else out


def _under(source: Int64[Tensor, "b 2"], target: Int64[Tensor, "b 2"], out: int) -> tuple[Tensor, Tensor]:
    """Along one axis, for each of `out` pixels of each picture the source index under its centre, and whether there is
    one. source, target: start and length."""
    place = torch.arange(out) - target[:, :1]
    # floor((place + 1/2) * step) in integer arithmetic, free of rounding errors
    index = source[:, :1] + (2 * place + 1) * source[:, 1:] // (2 * target[:, 1:])
    inside = (place >= 0) & (place < target[:, 1:])
    return torch.minimum(torch.maximum(index, source[:, :1]), source.sum(1, keepdim=True) - 1), inside
