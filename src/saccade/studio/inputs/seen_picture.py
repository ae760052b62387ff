"""The picture as a model saw it: its preprocessing undone, so that a grid of patches lies where it belongs."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from saccade.checkpoints.inputs import ModelInput, pixels_of
from saccade.errors import SaccadeError

SLACK = 0.25  # values that far outside 0..1 come from resizing with bicubic filters
SHOWN = 1024  # longest side in pixels of a picture on a page
CLOSE = 0.03  # mean difference, of 1, of the same part of a picture resized in two ways
ROUNDED = 2  # steps of 8 bits by which the same pixels may differ in the precision of a model
STEP = 2 / 255  # by which a straight ramp of 8 bits may be off

Prepare = Callable[[Image.Image], ModelInput]


@dataclass(frozen=True)
class _Undo:
    """What black and white become at every pixel, after any resizing, cropping and normalization."""

    black: Float[Tensor, "c y x"]
    white: Float[Tensor, "c y x"]

    @classmethod
    def of(cls, prepare: Prepare, size: tuple[int, int]) -> "_Undo | None":
        """For pictures of a size (width, height); None if one of them cannot be prepared."""
        try:
            black, white = (_first(prepare(Image.new("RGB", size, colour))) for colour in ("black", "white"))
        except SaccadeError:
            return None
        return cls(black, white) if black.shape == white.shape else None

    def __call__(self, pixels: Float[Tensor, "c y x"]) -> Float[Tensor, "c y x"] | None:
        """Values 0 to 1; None where the preprocessing is not linear, or made these pixels of something else."""
        if pixels.shape != self.black.shape:
            return None
        spread = self.white - self.black
        known = spread.abs() > 1e-6 * spread.abs().max()
        values = torch.where(known, (pixels - self.black) / torch.where(known, spread, 1.0), 0.5)
        fits = known.any() and values.isfinite().all() and values.min() >= -SLACK and values.max() <= 1 + SLACK
        return values if fits else None


def seen_picture(prepare: Prepare, image: Image.Image, pixels: Float[Tensor, "1 c y x"]) -> Image.Image:
    """The part of `image` that `pixels` show, at its own resolution where that part is a rectangle.

    prepare: the preprocessing that made them. Pictures in black, in white and with ramps are prepared too, to undo it.
    Where that is not possible (it is not linear, or a tensor was prepared elsewhere), values are shown from their
    minimum to their maximum.
    """
    seen = pixels[0].detach().float().cpu()
    undo = _Undo.of(prepare, image.size)
    values = None if undo is None else undo(seen)
    if undo is None or values is None:
        least, most = seen.min(), seen.max()
        return _image((seen - least) / (most - least).clamp_min(1e-12))
    small = _image(values)
    return _sharp(prepare, undo, image, small) or small


def _first(given: ModelInput) -> Float[Tensor, "c y x"]:
    return pixels_of(given)[0].detach().float().cpu()


def _image(values: Float[Tensor, "c y x"]) -> Image.Image:
    values = values.expand(3, -1, -1) if len(values) == 1 else values[:3]
    return Image.fromarray((values.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy())


def _sharp(prepare: Prepare, undo: _Undo, image: Image.Image, small: Image.Image) -> Image.Image | None:
    """The rectangle of the image that became `small`, cut from the image itself; None if there is none, or if the
    preprocessing is random."""
    repeated = undo(_first(prepare(image)))
    if repeated is None or np.abs(np.asarray(_image(repeated), float) - np.asarray(small, float)).max() > ROUNDED:
        return None
    values = undo(_first(prepare(_ramps(image.size))))
    if values is None or len(values) < 3:
        return None
    across, down = _span(values[0]), _span(values[1].T)
    if across is None or down is None:
        return None
    (left, right), (top, bottom) = across, down
    box = (left * image.width, top * image.height, right * image.width, bottom * image.height)
    factor = min(max(1.0, (right - left) * image.width / small.width), max(1.0, SHOWN / max(small.size)))
    size = round(small.width * factor), round(small.height * factor)
    sharp = image.convert("RGB").resize(size, Image.Resampling.BICUBIC, box=box)
    again = np.asarray(sharp.resize(small.size, Image.Resampling.BOX), float)
    return sharp if np.abs(again - np.asarray(small, float)).mean() <= 255 * CLOSE else None


def _ramps(size: tuple[int, int]) -> Image.Image:
    """Red grows from left to right, green from top to bottom."""
    width, height = size
    x, y = (((np.arange(n) + 0.5) / n * 255).round().astype(np.uint8) for n in (width, height))
    red, green = np.broadcast_to(x, (height, width)), np.broadcast_to(y[:, None], (height, width))
    return Image.fromarray(np.stack([red, green, np.zeros_like(red)], axis=-1))


def _span(ramp: Float[Tensor, "y x"]) -> tuple[float, float] | None:
    """Where the rows of a ramp begin and end, in 0..1 of the whole; None if they are not straight and all alike."""
    row = ramp.double().mean(0)
    centres = torch.arange(len(row), dtype=torch.float64) + 0.5
    if len(row) < 2 or float((ramp.double() - row).abs().max()) > STEP:
        return None
    slope = ((centres - centres.mean()) @ (row - row.mean())) / (centres - centres.mean()).square().sum()
    start = float(row.mean() - slope * centres.mean())
    end = start + float(slope) * len(row)
    straight = float((row - (start + slope * centres)).abs().max()) <= STEP
    return (max(0.0, start), min(1.0, end)) if straight and -STEP <= start < end <= 1 + STEP else None
