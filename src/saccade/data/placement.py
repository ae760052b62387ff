"""Where the pixels of a picture are in the input of a model."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Shaped
from torch import Tensor


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
