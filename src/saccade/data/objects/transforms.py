"""Geometric transforms of boxes, masks and relations.

Relations are recognized by name: those of left and right, above and below, and size change with the picture, others do
not.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from saccade.data.objects import ObjectAnnotations
from saccade.data.preprocess import Placement
from saccade.errors import DataError

FORWARD = {"left of": 0, "to the left of": 0, "above": 1, "over": 1}  # subject before object, along x (0) or y (1)
BACKWARD = {"right of": 0, "to the right of": 0, "below": 1, "under": 1, "beneath": 1}
SIZES = {"bigger than", "larger than", "smaller than"}
MIN_PIXELS = 1e-3  # a shorter side counts as empty


def select(objects: ObjectAnnotations, keep: Bool[Tensor, "n"]) -> ObjectAnnotations:
    """The objects marked in `keep`, and the relations between them."""
    if bool(keep.all()):
        return objects
    relations = objects.relations
    if relations is not None:
        relations = relations[keep[relations[:, 0]] & keep[relations[:, 2]]]
        place = keep.cumsum(0) - 1  # new index of each object
        relations = torch.stack([place[relations[:, 0]], relations[:, 1], place[relations[:, 2]]], dim=1)
    fields = {name: getattr(objects, name) for name in ("boxes", "labels", "crowd", "masks", "areas")}
    kept: dict[str, Any] = {name: None if value is None else value[keep] for name, value in fields.items()}
    planes = None if objects.planes is None else objects.planes.select(keep)
    return replace(objects, **kept, planes=planes, relations=relations)


def mirror(objects: ObjectAnnotations, names: Sequence[str] = ()) -> ObjectAnnotations:
    """Flip horizontally. names: of the relations; "left of" and similar swap subject and object."""
    return _flipped(objects, names, axis=0)


def vflip(objects: ObjectAnnotations, names: Sequence[str] = ()) -> ObjectAnnotations:
    """Flip vertically; "above" and similar swap subject and object."""
    return _flipped(objects, names, axis=1)


def _flipped(objects: ObjectAnnotations, names: Sequence[str], axis: Literal[0, 1]) -> ObjectAnnotations:
    """axis: 0 for x, 1 for y."""
    boxes, side = objects.boxes.clone(), objects.size[1 - axis]
    boxes[:, axis], boxes[:, axis + 2] = side - objects.boxes[:, axis + 2], side - objects.boxes[:, axis]
    dim: Literal[-1, -2] = -1 if axis == 0 else -2
    masks = None if objects.masks is None else objects.masks.flip(dim)
    planes = None if objects.planes is None else objects.planes.flip(dim)
    relations = objects.relations
    if relations is not None and len(relations):
        swap = _axes(relations, names) == axis
        relations = torch.where(swap[:, None], relations.flip(1), relations)
    return replace(objects, boxes=boxes, masks=masks, planes=planes, relations=relations)


def transpose(objects: ObjectAnnotations, names: Sequence[str] = ()) -> ObjectAnnotations:
    """Swap rows and columns: followed by a flip, a rotation by 90 degrees. Spatial relations are dropped, as "above" is
    ambiguous in a rotated picture."""
    relations = objects.relations
    if relations is not None and len(relations):
        relations = relations[_axes(relations, names) < 0]
    return replace(
        objects,
        boxes=objects.boxes[:, [1, 0, 3, 2]],
        size=(objects.size[1], objects.size[0]),
        masks=None if objects.masks is None else objects.masks.mT,
        planes=None if objects.planes is None else objects.planes.transpose(),
        relations=relations,
    )


def apply_placement(
    objects: ObjectAnnotations,
    placement: Placement,
    size: tuple[int, int],
    min_visible: float = 0.0,
    names: Sequence[str] = (),
) -> ObjectAnnotations:
    """Transform objects to a picture of `size` (rows, columns), by `placement`, and clip them to it.

    The box of a cropped object is the bounding box of the rest of its mask, or without a mask the clipped box. Objects
    of which less than `min_visible` (0..1 of the area of the mask or box) remains are removed, with their relations, as
    are relations of position and size that the clipped boxes contradict.
    """
    moved = placement.to_model(objects.boxes)
    boxes = torch.minimum(moved.clamp(min=0), moved.new_tensor([size[1], size[0]] * 2))
    cut = ((boxes - moved).abs() > MIN_PIXELS).any(dim=1)
    share = _area(boxes) / _area(moved)
    masks = None if objects.masks is None else placement.masks_to_model(objects.masks, size)
    planes = None if objects.planes is None else objects.planes.apply_placement(placement, size)
    if masks is not None or planes is not None:
        for i in cut.nonzero().flatten().tolist():
            boxes[i], share[i] = _rest(objects, i, placement, size)
    keep = ((boxes[:, 2:] - boxes[:, :2]) > MIN_PIXELS).all(dim=1) & (~cut | (share >= min_visible))
    relations = objects.relations
    if relations is not None and len(relations) and bool(cut.any()):
        relations = relations[~_contradicted(relations, names, objects.boxes, boxes)]
    # removed objects get a valid box until `select` drops them
    boxes = torch.where(keep[:, None], boxes, boxes.new_tensor([0, 0, size[1], size[0]]))
    areas = None if objects.areas is None else objects.areas * (placement.scale_x * placement.scale_y) * share
    shape = (size[0], size[1])
    placed = replace(objects, boxes=boxes, size=shape, masks=masks, planes=planes, relations=relations, areas=areas)
    return select(placed, keep)


def _rest(
    objects: ObjectAnnotations, i: int, placement: Placement, size: tuple[int, int]
) -> tuple[Float[Tensor, "4"], Tensor]:
    """Bounding box of the part of a mask inside a picture of `size`, and the fraction that remains."""
    if objects.planes is not None:
        mask = objects.planes.mask(i)
    else:
        assert objects.masks is not None
        mask = objects.masks[i]
    height, width = mask.shape
    window = placement.to_picture(torch.tensor([[0.0, 0.0, size[1], size[0]]], dtype=torch.float64))[0]
    left, top = (int(v) for v in (window[:2] + MIN_PIXELS).floor().clamp(min=0).tolist())
    right, bottom = (int(v) for v in (window[2:] - MIN_PIXELS).ceil().tolist())
    part = mask[top : min(bottom, height), left : min(right, width)]
    rows, columns = part.any(1).nonzero().flatten(), part.any(0).nonzero().flatten()
    if not len(rows):
        return objects.boxes.new_zeros(4), objects.boxes.new_zeros(())
    around = objects.boxes.new_tensor([left + columns[0], top + rows[0], left + columns[-1] + 1, top + rows[-1] + 1])
    low, high = torch.maximum(around[:2], objects.boxes[i, :2]), torch.minimum(around[2:], objects.boxes[i, 2:])
    box = placement.to_model(torch.cat([low, high])[None])[0].clamp(min=0)
    return torch.minimum(box, box.new_tensor([size[1], size[0]] * 2)), part.sum() / mask.sum()


def _area(boxes: Float[Tensor, "n 4"]) -> Float[Tensor, "n"]:
    return (boxes[:, 2:] - boxes[:, :2]).prod(dim=1)


def _axes(relations: Tensor, names: Sequence[str]) -> Tensor:
    """Axis of each relation: 0 for left and right, 1 for above and below, -1 for others."""
    if int(relations[:, 1].max()) >= len(names):
        raise DataError(f"relation {int(relations[:, 1].max())} was given and {len(names)} names; name every relation")
    known = FORWARD | BACKWARD
    return torch.tensor([known.get(name.lower(), -1) for name in names], dtype=torch.int64)[relations[:, 1]]


def _contradicted(
    relations: Tensor, names: Sequence[str], before: Float[Tensor, "n 4"], after: Float[Tensor, "n 4"]
) -> Bool[Tensor, "r"]:
    """Spatial relations whose boxes' centres changed order, and size relations whose areas did."""
    axis = _axes(relations, names)
    sized = torch.tensor([name.lower() in SIZES for name in names])[relations[:, 1]]
    first, second = relations[:, 0], relations[:, 2]
    ahead, larger = [], []
    for boxes in (before, after):
        centres = (boxes[:, :2] + boxes[:, 2:]) / 2
        ahead.append((centres[first] < centres[second]).gather(1, axis.clamp(min=0)[:, None])[:, 0])
        larger.append(_area(boxes)[first] > _area(boxes)[second])
    return ((axis >= 0) & (ahead[0] != ahead[1])) | (sized & (larger[0] != larger[1]))
