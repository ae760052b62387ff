"""An image as a segmenter sees it in one piece: on a canvas of whole patches."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from saccade.data.preprocess import Preprocess

_SHOWN = 1024  # longest side in pixels of the picture on the page
_SMOOTH = 512  # and at least of the classes of its pixels


@dataclass(frozen=True)
class PaddedImage:
    """An image, resized and normalized, in the upper left corner of a canvas that a network sees at once.

    pixels: of the image. padded: (height, width) of the canvas, whole patches. patch: its side in pixels. shown: the
    canvas on the page, at the resolution of the file.
    """

    pixels: Float[Tensor, "c y x"]
    padded: tuple[int, int]
    patch: int
    shown: Image.Image

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the image on it."""
        return self.pixels.shape[1], self.pixels.shape[2]

    @property
    def grid(self) -> tuple[int, int]:
        """(rows, columns) of patches."""
        return self.padded[0] // self.patch, self.padded[1] // self.patch

    @property
    def mask_sizes(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """(height, width) at which the page shows the classes of the canvas' pixels, and of those of the image
        alone: as fine as the file, and fine enough for smooth borders."""
        factor = max(self.shown.height / self.padded[0], _SMOOTH / max(self.padded))
        return _times(self.padded, factor), _times(self.size, factor)

    @property
    def inputs(self) -> Float[Tensor, "1 c y x"]:
        """Input of the network: 0, the mean colour, on padding."""
        (height, width), (rows, columns) = self.padded, self.size
        return F.pad(self.pixels, (0, width - columns, 0, height - rows))[None]


def resize_and_pad(
    preprocess: Preprocess, patch: int, picture: Image.Image, least: tuple[int, int] = (0, 0)
) -> PaddedImage:
    """The whole image at the size at which a segmenter sees it. least: minimum (height, width) of the canvas, whole
    patches."""
    image = preprocess.resize_shortest(picture)
    pixels = torch.from_numpy(np.array(image)).view(image.height, image.width, -1).permute(2, 0, 1)
    padded = (
        max(least[0], -(-image.height // patch) * patch),
        max(least[1], -(-image.width // patch) * patch),
    )
    factor = max(1.0, min(_SHOWN / max(padded), max(picture.size) / max(image.size)))
    mode = "L" if len(preprocess.mean) == 1 else "RGB"
    fill = tuple(min(255, max(0, round(255 * x))) for x in preprocess.mean)
    shown = Image.new(mode, _times(padded, factor)[::-1], fill if mode == "RGB" else fill[0])
    inner = _times((image.height, image.width), factor)
    shown.paste(picture.convert(mode).resize(inner[::-1], Image.Resampling.LANCZOS), (0, 0))
    return PaddedImage(preprocess.normalize(pixels), padded, patch, shown)


def _times(size: tuple[int, int], factor: float) -> tuple[int, int]:
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))
