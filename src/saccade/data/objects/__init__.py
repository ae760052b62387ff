"""Objects of a picture, in one typed form for all annotation formats."""

from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from saccade.data.dataset import PictureSet
from saccade.data.objects.planes import MaskPlanes
from saccade.errors import DataError


@dataclass(frozen=True)
class ObjectAnnotations:
    """The annotated objects of one picture.

    Attributes:
        boxes: left, top, right, bottom in pixels of the picture. Coordinates are continuous: the first pixel of a
            row covers 0 to 1, so a box around the whole picture is (0, 0, width, height).
        labels: index of each object's class.
        size: (height, width) of the picture in pixels.
        crowd: objects that count as neither right nor wrong when detected (COCO's iscrowd, VOC's difficult). Default:
        none.
        masks: the visible pixels of each object.
        planes: the same in little memory, for training.
        relations: (subject, relation, object): indices of two objects and of the relation between them.
        areas: of each object in pixels, as its annotation states it (COCO's `area`, which for an object with an outline
            is that of its mask); small, medium and large are by it. Default: unknown, and the box's is meant.

    Raises DataError, naming the object, for boxes that are not finite, inverted, empty or outside the picture,
    negative labels, relations with invalid indices, and fields of different lengths.
    """

    boxes: Float[Tensor, "n 4"]
    labels: Int64[Tensor, "n"]
    size: tuple[int, int]
    crowd: Bool[Tensor, "n"] | None = None
    masks: Bool[Tensor, "n y x"] | None = None
    relations: Int64[Tensor, "r 3"] | None = None
    areas: Float[Tensor, "n"] | None = None
    planes: MaskPlanes | None = None

    def __post_init__(self) -> None:
        n, (height, width) = len(self.boxes), self.size
        if self.crowd is None:
            object.__setattr__(self, "crowd", torch.zeros(n, dtype=torch.bool))
        assert self.crowd is not None
        others = (self.labels, self.crowd, self.masks, self.areas, self.planes)
        if any(each is not None and len(each) != n for each in others):
            raise DataError(f"there are {n} boxes and {len(self.labels)} labels; one of each an object expected")
        if self.masks is not None and tuple(self.masks.shape[1:]) != self.size:
            found = " x ".join(map(str, reversed(self.masks.shape[1:])))
            raise DataError(f"the masks are of {found} pixels and the picture of {width} x {height}")
        edges = torch.tensor([width, height, width, height])
        sound = (self.boxes.isfinite() & (self.boxes >= 0) & (self.boxes <= edges)).all(dim=1)
        sound &= (self.boxes[:, 2:] > self.boxes[:, :2]).all(dim=1) & (self.labels >= 0)
        if not sound.all():
            i = int((~sound).nonzero()[0])
            raise DataError(
                f"object {i} has the box {self.boxes[i].tolist()} and the class {int(self.labels[i])}; expected left < "
                f"right and top < bottom inside the picture of {width} x {height} pixels, and a class from 0"
            )
        if self.relations is not None and len(self.relations):
            ends, kinds = self.relations[:, [0, 2]], self.relations[:, 1]
            wrong = ends[(ends < 0) | (ends >= n)]
            if len(wrong):
                raise DataError(f"a relation names object {int(wrong[0])}; there are {n}, counted from 0")
            if int(kinds.min()) < 0:
                raise DataError(f"a relation is of the kind {int(kinds.min())}; kinds are counted from 0")

    def __len__(self) -> int:
        return len(self.boxes)


class ObjectSet(PictureSet, Protocol):
    """Pictures with their objects, for training and evaluation of detectors.

    Attributes:
        relations: names that the middle column of `ObjectAnnotations.relations` indexes; empty without relations.
    """

    relations: list[str]

    def objects(self, index: int, masks: bool | Literal["planes"] = True) -> ObjectAnnotations:
        """The objects in pixels of `picture(index)`. masks: False omits masks, and does not draw them; "planes" asks
        for `planes` in their place, which a set may give.

        Raises DataError if the annotation cannot be used."""
