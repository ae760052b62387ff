"""Loss of masks, at random pixels in and around each object."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int16, Int64
from torch import Generator, Tensor

from saccade.data.objects import ObjectAnnotations
from saccade.models.masks import MaskFeatures
from saccade.ops.boxes import cxcywh_to_xyxy
from saccade.ops.instances import box_offsets, mask_logits

PIXELS, DICE = 2.0, 2.0  # weights of the terms
SIDE = 16  # of the grid of cells around an object; a random pixel of each is used
AROUND = 1.6  # side of the window around an object, in sides of its box
MARGIN = 2.0  # and pixels more on each side


class MaskTargets(NamedTuple):
    """Masks of the objects of a batch.

    planes: in each, the pixels of object i of the picture are i + 1 (`saccade.data.objects.planes`). points: where in
    the window around an object the loss is evaluated, 0 to 1.
    """

    planes: Int16[Tensor, "b k y x"]
    points: Float[Tensor, "b p 2"]

    def pad_planes(self, count: int) -> "MaskTargets":
        """Padded to `count` planes."""
        return self._replace(planes=F.pad(self.planes, (0, 0, 0, 0, 0, count - self.planes.shape[1])))


def make_mask_targets(objects: list[ObjectAnnotations], generator: Generator) -> MaskTargets:
    """Masks without crowds, and a random point in every cell of a grid."""
    planes = [o.planes.select(~o.crowd).planes for o in objects]  # type: ignore[union-attr, operator]
    most = max(len(each) for each in planes)
    stacked = torch.stack([F.pad(each, (0, 0, 0, 0, 0, most - len(each))) for each in planes])
    cells = torch.cartesian_prod(torch.arange(SIDE), torch.arange(SIDE))
    points = (cells + torch.rand(len(objects), SIDE**2, 2, generator=generator)) / SIDE
    return MaskTargets(stacked, points)


def mask_loss(
    masks: MaskFeatures,
    boxes: Float[Tensor, "b q 4"],
    targets: MaskTargets,
    true_boxes: Float[Tensor, "b t 4"],
    picture: Int64[Tensor, "k"],
    query: Int64[Tensor, "k"],
    object_: Int64[Tensor, "k"],
) -> Float[Tensor, ""]:
    """Cross-entropy and dice loss (MaskFormer, Cheng et al. 2021, 3.3) of matched queries at sampled pixels (PointRend,
    Kirillov et al. 2020), summed over the k pairs. boxes, true_boxes: centre x, centre y, width, height, relative to
    the picture. Objects of which no sampled pixel is left count nothing."""
    height, width = masks.pixels.shape[-2:]
    pixels = _window_pixels(true_boxes[picture, object_], targets.points[picture], (height, width))
    index = pixels[..., 1] * width + pixels[..., 0]
    numbers = targets.planes.flatten(2)[picture[:, None], :, index]
    truth = (numbers == object_[:, None, None] + 1).any(dim=-1).float()
    scaled = boxes[picture, query].detach() * boxes.new_tensor([width, height, width, height])
    offsets = box_offsets(pixels + 0.5, scaled)
    flat = masks.pixels.permute(0, 2, 3, 1).flatten(0, 2)
    features = flat.index_select(0, (picture[:, None] * (height * width) + index).flatten())
    logits = mask_logits(masks.queries[picture, query], features.unflatten(0, index.shape), offsets)
    there = truth.any(dim=1).float()
    return ((PIXELS * _cross_entropy(logits, truth) + DICE * _dice(logits, truth)) * there).sum()


def _window_pixels(
    boxes: Float[Tensor, "k 4"], points: Float[Tensor, "k p 2"], size: tuple[int, int]
) -> Int64[Tensor, "k p 2"]:
    """(x, y) of the pixels at `points` of the windows around boxes, clipped to the picture of `size`."""
    sides = boxes.new_tensor([size[1], size[0]])
    window = boxes * torch.cat([sides, sides])
    window = cxcywh_to_xyxy(torch.cat([window[:, :2], window[:, 2:] * AROUND + 2 * MARGIN], dim=1))
    first = window[:, None, :2].clamp(min=0)
    last = torch.minimum(window[:, None, 2:], sides)
    pixels = (first + points * (last - first)).floor().long()
    return torch.minimum(pixels.clamp(min=0), sides.long() - 1)


def _cross_entropy(logits: Float[Tensor, "k p"], truth: Float[Tensor, "k p"]) -> Float[Tensor, "k"]:
    return F.binary_cross_entropy_with_logits(logits, truth, reduction="none").mean(dim=1)


def _dice(logits: Float[Tensor, "k p"], truth: Float[Tensor, "k p"]) -> Float[Tensor, "k"]:
    """1 - Dice (Milletari et al. 2016, eq. 2, without the squares), smoothed by a pixel."""
    p = logits.sigmoid()
    return 1 - (2 * (p * truth).sum(dim=1) + 1) / (p.sum(dim=1) + truth.sum(dim=1) + 1)
