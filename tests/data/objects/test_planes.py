"""Masks of many objects in little memory: the same masks, wherever the picture is moved."""

import pytest
import torch

from saccade.data.objects import ObjectAnnotations
from saccade.data.objects.planes import MaskPlanes
from saccade.data.objects.run_lengths import area, decode_rle, encode_instance_map, encode_rle
from saccade.data.objects.transforms import apply_placement, mirror, select, transpose, vflip
from saccade.data.preprocess import Placement
from saccade.errors import DataError

SIZE = (19, 23)


def annotations(seed: int = 0, n: int = 7) -> ObjectAnnotations:
    """Rectangles, most of which overlap others."""
    generator = torch.Generator().manual_seed(seed)
    first = torch.stack([torch.randint(0, side - 6, (n,), generator=generator) for side in SIZE[::-1]], dim=1)
    boxes = torch.cat([first, first + torch.randint(2, 6, (n, 2), generator=generator)], dim=1)
    masks = torch.zeros(n, *SIZE, dtype=torch.bool)
    for mask, (left, top, right, bottom) in zip(masks, boxes.tolist(), strict=True):
        mask[top:bottom, left:right] = True
    return ObjectAnnotations(boxes.float(), torch.arange(n) % 3, SIZE, masks=masks)


def compact(objects: ObjectAnnotations) -> ObjectAnnotations:
    assert objects.masks is not None
    return ObjectAnnotations(
        objects.boxes, objects.labels, objects.size, objects.crowd, planes=MaskPlanes.of(objects.masks, SIZE)
    )


@pytest.mark.parametrize("seed", range(5))
def test_planes_hold_every_mask(seed):
    masks = annotations(seed).masks
    planes = MaskPlanes.of(masks, SIZE)
    assert torch.equal(planes.masks(), masks)
    assert all(torch.equal(planes.mask(i), mask) for i, mask in enumerate(masks))
    assert len(planes.planes) <= int(masks.sum(dim=0).max()) + 2


def test_objects_that_do_not_overlap_take_one_plane():
    numbers = torch.arange(5 * 7, dtype=torch.int16).view(5, 7) + 1
    masks = numbers[None] == torch.arange(1, 36)[:, None, None]
    assert MaskPlanes.of(masks, (5, 7)).planes.shape == (1, 5, 7)


def test_no_objects_are_planes_too():
    planes = MaskPlanes.of([], SIZE)
    assert (len(planes), planes.run_lengths(), planes.masks().shape) == (0, [], (0, *SIZE))
    assert torch.equal(MaskPlanes.of(torch.zeros(0, *SIZE, dtype=torch.bool), SIZE).planes, planes.planes)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    "move",
    [
        mirror,
        vflip,
        transpose,
        lambda o: select(o, torch.tensor([True, False, True, True, False, False, True])),
        lambda o: apply_placement(o, Placement(1.7, 1.3, -5.0, 2.0), (29, 17), min_visible=0.3),
        lambda o: apply_placement(o, Placement(0.5, 0.5, 3.0, -4.0), (11, 13)),
    ],
)
def test_planes_move_as_masks_do(seed, move):
    masked, planed = move(annotations(seed)), move(compact(annotations(seed)))
    assert torch.equal(planed.planes.masks(), masked.masks)
    assert torch.equal(planed.boxes, masked.boxes)
    assert torch.equal(planed.labels, masked.labels)


def test_run_lengths_are_those_of_every_mask():
    masks = annotations().masks
    assert MaskPlanes.of(masks, SIZE).run_lengths() == [encode_rle(mask) for mask in masks]


def test_numbers_are_encoded_in_one_pass_as_each_alone():
    numbers = torch.randint(0, 5, SIZE, generator=torch.Generator().manual_seed(1)).short()
    numbers[numbers == 3] = 0  # an object without pixels
    numbers[0, 0], numbers[-1, -1] = 1, 2  # runs at both ends
    found = encode_instance_map(numbers, 6)
    assert found == [encode_rle(numbers == i) for i in range(1, 7)]
    assert torch.equal(decode_rle(found[3]), numbers == 4)
    assert [area(each) for each in found] == [int((numbers == i).sum()) for i in range(1, 7)]


def test_one_mask_an_object_is_expected():
    objects = annotations()
    with pytest.raises(DataError, match="one of each an object"):
        ObjectAnnotations(objects.boxes[:-1], objects.labels[:-1], SIZE, planes=MaskPlanes.of(objects.masks, SIZE))
