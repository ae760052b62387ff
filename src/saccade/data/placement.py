"""Where the pixels of a picture land in what a model sees of it."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor


@dataclass(frozen=True)
class Placement:
    """model = picture * scale + offset, along each axis, in continuous coordinates: pixel i covers i to i + 1.

    The two scales are those of the whole-pixel sizes that resizing really produced, so they may differ slightly
    where the proportions are kept.

    Attributes:
        scale_x, scale_y: pixels of the model's picture for each pixel of the original; above 0.
        offset_x, offset_y: where the original's left and top edge land; below 0 where they are cut off.
    """

    scale_x: float
    scale_y: float
    offset_x: float
    offset_y: float

    def to_model(self, boxes: Float[Tensor, "n 4"]) -> Float[Tensor, "n 4"]:
        """Boxes (left, top, right, bottom) in pixels of the picture -> in pixels of what the model sees. Those
        around something cut off reach outside it."""
        return boxes * self._scale(boxes) + self._offset(boxes)

    def to_picture(self, boxes: Float[Tensor, "n 4"]) -> Float[Tensor, "n 4"]:
        """The way back. What lies in the padding lands outside the picture."""
        return (boxes - self._offset(boxes)) / self._scale(boxes)

    def masks_to_model(self, masks: Bool[Tensor, "n y x"], size: tuple[int, int]) -> Bool[Tensor, "n rows columns"]:
        """MaskLayout over the picture -> over the `size` (rows, columns) that the model sees: each pixel takes the value
        under its centre, false in the padding."""
        return self._picked(masks, size, False)

    def classes_to_model(
        self, mask: UInt8[Tensor, "y x"], size: tuple[int, int], padding: int
    ) -> UInt8[Tensor, "rows columns"]:
        """As `masks_to_model`, of the class of every pixel. padding: the class of what lies outside the picture."""
        return self._picked(mask, size, padding)

    def _picked(self, values: Tensor, size: tuple[int, int], padding: int) -> Tensor:
        rows, inside_rows = _under(size[0], values.shape[-2], self.scale_y, self.offset_y)
        columns, inside_columns = _under(size[1], values.shape[-1], self.scale_x, self.offset_x)
        # numpy picks bytes out of rows several times faster than torch
        taken = values.numpy(force=True).take(rows.numpy(), axis=-2).take(columns.numpy(), axis=-1)
        taken[..., ~inside_rows.numpy(), :] = padding
        taken[..., ~inside_columns.numpy()] = padding
        return torch.from_numpy(taken).to(values.device)

    def _scale(self, boxes: Tensor) -> Tensor:
        return boxes.new_tensor([self.scale_x, self.scale_y] * 2)

    def _offset(self, boxes: Tensor) -> Tensor:
        return boxes.new_tensor([self.offset_x, self.offset_y] * 2)


def _under(out: int, n: int, scale: float, offset: float) -> tuple[Tensor, Tensor]:
    """For each of `out` pixels the one of `n` that lies under its centre, and whether there is one."""
    index = ((torch.arange(out, dtype=torch.float64) + 0.5 - offset) / scale).floor().long()
    return index.clamp(0, n - 1), (index >= 0) & (index < n)
