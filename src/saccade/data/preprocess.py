"""From a PIL image to the input of a model, as its authors preprocess it; and where its pixels are there."""

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Shaped, UInt8
from PIL import Image
from torch import Tensor

from saccade.errors import DataError, SaccadeError

Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"]

# A picture with a higher aspect ratio is first cropped to its centre: resized to a given short side it would be
# arbitrarily large, and the centre crop uses its centre only.
MAX_ASPECT = 16
MAX_SIDE = 16384  # pixels, several times the input size of any model


@dataclass(frozen=True)
class Placement:
    """Mapping from a picture to the model's input: input = picture * scale + offset along each axis, in continuous
    coordinates (pixel i covers i to i + 1).

    The scales are those of the integer sizes after resizing, so they may differ slightly although the aspect ratio is
    kept.

    Attributes:
        scale_x, scale_y: pixels of the input for each pixel of the picture; above 0.
        offset_x, offset_y: position of the left and top edge of the picture; below 0 where they are cropped.
    """

    scale_x: float
    scale_y: float
    offset_x: float
    offset_y: float

    def to_model(self, boxes: Float[Tensor, "n 4"]) -> Float[Tensor, "n 4"]:
        """Boxes (left, top, right, bottom) in pixels of the picture -> in pixels of the input. Boxes of cropped objects
        extend beyond it."""
        return boxes * self._scale(boxes) + self._offset(boxes)

    def to_picture(self, boxes: Float[Tensor, "n 4"]) -> Float[Tensor, "n 4"]:
        """The inverse. Boxes in the padding are outside the picture."""
        return (boxes - self._offset(boxes)) / self._scale(boxes)

    def masks_to_model(
        self, masks: Shaped[Tensor, "*n y x"], size: tuple[int, int], padding: int = 0
    ) -> Shaped[Tensor, "*n rows columns"]:
        """Masks, numbers of objects or class indices at the pixels of the picture -> at those of the input of `size`
        (rows, columns), by nearest neighbour. padding: the value outside the picture."""
        rows, inside_rows = _source_index(size[0], masks.shape[-2], self.scale_y, self.offset_y)
        columns, inside_columns = _source_index(size[1], masks.shape[-1], self.scale_x, self.offset_x)
        # numpy indexes bytes several times faster than torch
        taken = masks.numpy(force=True).take(rows.numpy(), axis=-2).take(columns.numpy(), axis=-1)
        taken[..., ~inside_rows.numpy(), :] = padding
        taken[..., ~inside_columns.numpy()] = padding
        return torch.from_numpy(taken).to(masks.device)

    def _scale(self, boxes: Tensor) -> Tensor:
        return boxes.new_tensor([self.scale_x, self.scale_y] * 2)

    def _offset(self, boxes: Tensor) -> Tensor:
        return boxes.new_tensor([self.offset_x, self.offset_y] * 2)


def _source_index(out: int, n: int, scale: float, offset: float) -> tuple[Tensor, Tensor]:
    """For each of `out` pixels the index 0..n - 1 under its centre, and whether there is one."""
    index = ((torch.arange(out, dtype=torch.float64) + 0.5 - offset) / scale).floor().long()
    return index.clamp(0, n - 1), (index >= 0) & (index < n)


@dataclass(frozen=True)
class Preprocess:
    """Resize, centre crop or pad, scale to 0..1, and normalize each channel.

    size: (height, width) of the result in pixels.
    resize: "stretch" ignores the aspect ratio; "crop" keeps it, resizes the shorter side to `shortest`, then crops the
        centre, padding with black where the picture is smaller than `size`; "letterbox" keeps it and fits the whole
        picture into `size`, centred, padding with the mean colour.
    shortest: shorter side in pixels after resizing. Default: that of `size`. Not with "letterbox".
    mean, std: for each channel, of values in 0..1. One value for greyscale models, three for RGB.
    detail: shorter side in pixels to which pictures are downscaled first, for models trained on upscaled small
        pictures.

    Raises SaccadeError for sides that are not integers from 1 to 16384, for other than one or three means and standard
    deviations, and for values that are not finite or standard deviations that are not positive.
    """

    size: tuple[int, int]
    resize: Literal["stretch", "crop", "letterbox"] = "stretch"
    shortest: int | None = None
    interpolation: Interpolation = "bilinear"
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.5, 0.5, 0.5)
    detail: int | None = None

    def __post_init__(self) -> None:
        if len(self.size) != 2:
            raise SaccadeError(f"size is {self.size}; expected (height, width)")
        sides = [("size", side) for side in self.size]
        sides += [(name, getattr(self, name)) for name in ("shortest", "detail") if getattr(self, name) is not None]
        for name, side in sides:
            if not isinstance(side, int) or isinstance(side, bool) or not 1 <= side <= MAX_SIDE:
                raise SaccadeError(f"{name} holds {side!r}; expected whole numbers of pixels from 1 to {MAX_SIDE}")
        if self.resize == "letterbox" and self.shortest is not None:
            raise SaccadeError(f"shortest is {self.shortest}; a letterboxed picture is as large as fits: leave it out")
        if len(self.mean) != len(self.std) or len(self.mean) not in (1, 3):
            raise SaccadeError(
                f"mean has {len(self.mean)} and std {len(self.std)} values; expected one (grey) or three (RGB) each"
            )
        for name, values in (("mean", self.mean), ("std", self.std)):
            if not all(math.isfinite(value) for value in values) or (name == "std" and min(values) <= 0):
                raise SaccadeError(f"{name} is {values}; expected finite numbers{' above 0' * (name == 'std')}")

    def __call__(self, picture: Image.Image) -> Float[Tensor, "c y x"]:
        """The input of the model. Raises DataError for a picture without pixels."""
        pixels = np.array(self.resize_and_crop(picture)).reshape(*self.size, len(self.mean))
        return self.normalize(torch.from_numpy(pixels).permute(2, 0, 1)).contiguous()

    def normalize(self, pixels: UInt8[Tensor, "*b c y x"]) -> Float[Tensor, "*b c y x"]:
        """(pixels / 255 - mean) / std, for each channel."""
        return self.standardize(pixels.float() / 255)

    def standardize(self, pixels: Float[Tensor, "*b c y x"]) -> Float[Tensor, "*b c y x"]:
        """(pixels - mean) / std, for each channel, of pixels in 0..1."""
        mean, std = (torch.tensor(values, device=pixels.device)[:, None, None] for values in (self.mean, self.std))
        return (pixels - mean) / std

    def resize_shortest(self, picture: Image.Image) -> Image.Image:
        """The whole picture resized to the shorter side `shortest` (or that of `size`), the longer side at most
        MAX_ASPECT times that: for models that run on tiles."""
        picture = self._converted(picture)
        shortest = self.shortest or min(self.size)
        factor = min(shortest / min(picture.size), MAX_ASPECT * shortest / max(picture.size))
        width, height = (max(1, round(side * factor)) for side in picture.size)
        return picture.resize((width, height), Image.Resampling[self.interpolation.upper()])

    def resize_and_crop(self, picture: Image.Image) -> Image.Image:
        """The part of the picture that the model uses, at the input size."""
        picture = self._converted(picture)
        method = Image.Resampling[self.interpolation.upper()]
        part, reduced, resized = self._steps(picture.size)
        if part != (0, 0, *picture.size):
            picture = picture.crop(part)
        if reduced is not None:
            picture = picture.resize(reduced, method)
        picture = picture.resize(resized, method)
        (height, width), (left, top) = self.size, self._corner(resized)
        if self.resize != "letterbox":
            return picture.crop((-left, -top, width - left, height - top))
        fill = tuple(min(255, max(0, round(value * 255))) for value in self.mean)
        canvas = Image.new(picture.mode, (width, height), fill if len(fill) == 3 else fill[0])
        canvas.paste(picture, (left, top))
        return canvas

    def _converted(self, picture: Image.Image) -> Image.Image:
        if 0 in picture.size:
            raise DataError(f"a picture of {picture.width} x {picture.height} pixels has nothing to see")
        return picture.convert("L" if len(self.mean) == 1 else "RGB")

    def placement(self, height: int, width: int) -> Placement:
        """Mapping from the pixels of a picture of height x width to the result of `resize_and_crop`."""
        (left, top, right, bottom), _, resized = self._steps((width, height))
        scale_x, scale_y = resized[0] / (right - left), resized[1] / (bottom - top)
        x, y = self._corner(resized)
        return Placement(scale_x, scale_y, x - left * scale_x, y - top * scale_y)

    def _steps(
        self, size: tuple[int, int]
    ) -> tuple[tuple[int, int, int, int], tuple[int, int] | None, tuple[int, int]]:
        """For a picture of (width, height): the part that is used, the size to which it is downscaled first, if any,
        and the size to which it is then resized."""
        part = _middle(*size) if self.resize == "crop" else (0, 0, *size)
        width, height = part[2] - part[0], part[3] - part[1]
        reduced = None
        if self.detail is not None and min(width, height) > self.detail:
            factor = self.detail / min(width, height)
            reduced = (max(1, round(width * factor)), max(1, round(height * factor)))
        # in a letterbox, of the part itself: rounding `reduced` would change the aspect ratio
        return (
            part,
            reduced,
            self._resized((width, height) if self.resize == "letterbox" else reduced or (width, height)),
        )

    def _corner(self, resized: tuple[int, int]) -> tuple[int, int]:
        """Position of the left and top edge of the resized picture in the result."""
        height, width = self.size
        return -((resized[0] - width) // 2), -((resized[1] - height) // 2)

    def with_size(self, side: int) -> "Preprocess":
        """The same for square inputs of another size, with the same fraction cropped."""
        factor = side / min(self.size)
        shortest = None if self.shortest is None else round(self.shortest * factor)
        return replace(self, size=(side, side), shortest=shortest)

    def _resized(self, size: tuple[int, int]) -> tuple[int, int]:
        """(width, height) before cropping."""
        if self.resize == "stretch":
            height, width = self.size if self.shortest is None else (self.shortest, self.shortest)
            return width, height
        width, height = size
        if self.resize == "letterbox":
            factor = min(self.size[0] / height, self.size[1] / width)
            return max(1, round(width * factor)), max(1, round(height * factor))
        short = self.shortest or min(self.size)
        if width <= height:
            return short, int(short * height / width)
        return int(short * width / height), short


def _middle(width: int, height: int) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of the centre of a picture, with an aspect ratio of at most MAX_ASPECT."""
    most = min(width, height) * MAX_ASPECT
    left, top = max(0, (width - most) // 2), max(0, (height - most) // 2)
    return left, top, left + min(width, most), top + min(height, most)
