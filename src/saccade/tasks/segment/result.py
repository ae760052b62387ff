"""Results of a segmenter."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import UInt8
from torch import Tensor

from saccade.data.files import escape


@dataclass(frozen=True)
class ClassAreas:
    """Areas of the classes of one picture.

    Attributes:
        name: of the picture.
        size: (height, width) of the picture in pixels.
        shares: fraction of the pixels, 0 to 1, of each class that occurs, the largest first.
        notes: what was assumed when the picture was read.
    """

    name: str
    size: tuple[int, int]
    shares: dict[str, float]
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        classes = "  ".join(f"{name} {share:.1%}" for name, share in self.shares.items())
        return escape(f"{self.name}: {classes}")

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "name": self.name,
            "width": self.size[1],
            "height": self.size[0],
            "classes": {name: round(share, 6) for name, share in self.shares.items()},
            "notes": list(self.notes),
        }


@dataclass(frozen=True)
class Segmentation:
    """The class of every pixel of one picture.

    Attributes:
        name: of the picture.
        mask: class index of each pixel, at the size of the picture.
        classes: class names.
        notes: what was assumed when the picture was read.
    """

    name: str
    mask: UInt8[Tensor, "y x"]
    classes: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def areas(self) -> ClassAreas:
        """The areas of the classes, without the mask."""
        counts = torch.bincount(self.mask.flatten(), minlength=len(self.classes))
        order = counts.argsort(descending=True, stable=True).tolist()
        shares = {self.classes[i]: counts[i].item() / self.mask.numel() for i in order if counts[i]}
        return ClassAreas(self.name, (self.mask.shape[0], self.mask.shape[1]), shares, self.notes)

    def __str__(self) -> str:
        return str(self.areas)

    def to_dict(self) -> dict[str, Any]:
        """For JSON: the class areas; the mask goes to a picture file."""
        return self.areas.to_dict()
