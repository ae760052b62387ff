"""Masks of the objects of a picture in little memory."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal, Self

import torch
from jaxtyping import Bool, Int16
from torch import Tensor

from saccade.data.objects.run_lengths import RunLengths, encode_instance_map
from saccade.data.preprocess import Placement


@dataclass(frozen=True)
class MaskPlanes:
    """The masks of `count` objects as numbers: of object i the pixels i + 1, 0 where there is none.

    Objects that overlap lie in different planes. So masks take the memory of a picture or a few, however many objects
    there are, and are moved with it.
    """

    planes: Int16[Tensor, "k y x"]
    count: int

    @classmethod
    def of(cls, masks: Iterable[Bool[Tensor, "y x"]], size: tuple[int, int]) -> Self:
        """Each object goes to the first plane where it overlaps none. size: (height, width)."""
        planes, count = [torch.zeros(size, dtype=torch.int16)], 0
        for count, mask in enumerate(masks, start=1):
            free = next((plane for plane in planes if not plane[mask].any()), None)
            if free is None:
                free = torch.zeros_like(planes[0])
                planes.append(free)
            free[mask] = count
        return cls(torch.stack(planes), count)

    def __len__(self) -> int:
        return self.count

    def mask(self, i: int) -> Bool[Tensor, "y x"]:
        """Of one object."""
        return (self.planes == i + 1).any(dim=0)

    def masks(self) -> Bool[Tensor, "n y x"]:
        """Of all objects, a byte for every pixel of each."""
        numbers = torch.arange(1, self.count + 1, dtype=torch.int16)
        return (self.planes == numbers[:, None, None, None]).any(dim=1)

    def run_lengths(self) -> list[RunLengths]:
        """Of all objects, as COCO's files hold them."""
        found = [encode_instance_map(plane, self.count) for plane in self.planes]
        inside = torch.stack([torch.bincount(p.flatten().long(), minlength=self.count + 1) for p in self.planes])
        return [found[plane][i] for i, plane in enumerate(inside[:, 1:].argmax(dim=0).tolist())]

    def select(self, keep: Bool[Tensor, "n"]) -> "MaskPlanes":
        """The objects marked in `keep`, with new numbers."""
        numbers = torch.where(keep, keep.cumsum(0), 0)
        table = torch.cat([numbers.new_zeros(1), numbers]).to(torch.int16)
        return MaskPlanes(table[self.planes.long()], int(keep.sum()))

    def flip(self, axis: Literal[-1, -2]) -> "MaskPlanes":
        """Mirrored along x (-1) or y (-2)."""
        return replace(self, planes=self.planes.flip(axis))

    def transpose(self) -> "MaskPlanes":
        """Rows and columns swapped."""
        return replace(self, planes=self.planes.mT)

    def apply_placement(self, placement: Placement, size: tuple[int, int]) -> "MaskPlanes":
        """In the input of a model, by nearest neighbour; none in the padding."""
        return replace(self, planes=placement.masks_to_model(self.planes, size))
