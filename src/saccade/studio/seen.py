"""The picture as a model saw it: its preprocessing undone, so that a grid of patches lies where it belongs."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from saccade.checkpoints.inputs import ModelInput, pixels_of
from saccade.errors import SaccadeError

SLACK = 0.25  # values that far outside 0..1 come from resizing with bicubic filters


def seen_picture(
    prepare: Callable[[Image.Image], ModelInput], image: Image.Image, pixels: Float[Tensor, "1 c y x"]
) -> Image.Image:
    """What `pixels` show. prepare: the preprocessing that made them from `image`.

    A black and a white picture of the same size are prepared too: they say what 0 and 1 become at every pixel, after
    any resizing, cropping and normalization. Where that says nothing (a preprocessing that is not linear, a tensor that
    was prepared elsewhere), values are shown from their minimum to their maximum.
    """
    pixels = pixels[0].detach().float().cpu()
    values = _undone(prepare, image, pixels)
    if values is None:
        least, most = pixels.min(), pixels.max()
        values = (pixels - least) / (most - least).clamp_min(1e-12)
    values = values.expand(3, -1, -1) if len(values) == 1 else values[:3]
    return Image.fromarray((values.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy())


def _undone(prepare: Callable[[Image.Image], ModelInput], image: Image.Image, pixels: Tensor) -> Tensor | None:
    """Values 0 to 1 (c y x); None if they cannot be found."""
    try:
        plain = [pixels_of(prepare(Image.new("RGB", image.size, colour)))[0] for colour in ("black", "white")]
    except SaccadeError:
        return None
    black, white = (each.detach().float().cpu() for each in plain)
    if black.shape != pixels.shape or white.shape != pixels.shape:
        return None
    spread = white - black
    known = spread.abs() > 1e-6 * spread.abs().max()
    values = torch.where(known, (pixels - black) / torch.where(known, spread, 1.0), 0.5)
    fits = known.any() and values.isfinite().all() and values.min() >= -SLACK and values.max() <= 1 + SLACK
    return values if fits else None
