"""Objects of large pictures in tiles: each once and whole, wherever tiles meet."""

import pytest
import torch
from PIL import Image
from scipy.ndimage import label

from saccade.data.images import Picture, read_image
from saccade.data.objects.run_lengths import decode_rle
from saccade.tasks.detect.instances import MaskCandidate
from saccade.tasks.detect.result import Detections
from saccade.tasks.detect.tiled import detect_tiled

SIDE = 40


def find(pictures: list[Picture]) -> list[tuple[Detections, list[MaskCandidate]]]:
    """Every connected bright region is an object; the larger, the higher its score."""
    found = []
    for picture in pictures:
        pixels = torch.tensor(list(picture.image.convert("L").getdata())).view(picture.image.height, -1) > 99
        numbers, count = label(pixels)
        masks = torch.from_numpy(numbers) == torch.arange(1, count + 1)[:, None, None]
        scores = [float(mask.sum()) / 4000 for mask in masks]
        candidates = [MaskCandidate(i, scores[i], masks[i], 0, 0) for i in range(count)]
        found.append((Detections(torch.zeros(count, 4), torch.tensor(scores), torch.arange(count)), candidates))
    return found


def discs(size: tuple[int, int], radius: float, step: int) -> torch.Tensor:
    """Discs on a grid: (n y x)."""
    y, x = torch.meshgrid(*(torch.arange(side) + 0.5 for side in size), indexing="ij")
    return torch.stack([
        (y - cy) ** 2 + (x - cx) ** 2 < radius**2
        for cy in range(step // 2, size[0], step) for cx in range(step // 2, size[1], step)
    ])  # fmt: skip


def picture(masks: torch.Tensor) -> Picture:
    return read_image(Image.fromarray(masks.any(dim=0).numpy().astype("uint8") * 255))


@pytest.mark.parametrize("size", [(97, 131), (40, 90), (61, 40), (41, 39), (23, 31)])
def test_every_object_is_found_once_and_whole(size):
    masks = discs(size, 4.2, 11)
    (found,) = detect_tiled([picture(masks)], SIDE, find)
    assert found.masks is not None
    expected = {mask.numpy().tobytes() for mask in masks if mask.any()}
    assert {decode_rle(mask).numpy().tobytes() for mask in found.masks} == expected
    assert len(found) == len(expected)
    assert (found.scores.diff() <= 0).all()


def test_an_object_larger_than_the_overlap_is_not_lost():
    masks = discs((60, 60), 28.0, 60)
    (found,) = detect_tiled([picture(masks)], SIDE, find)
    assert found.masks is not None
    covered = torch.stack([decode_rle(mask) for mask in found.masks]).any(dim=0)
    assert (covered & masks[0]).sum() > 0.5 * masks[0].sum()


def test_pictures_of_different_sizes_come_in_order():
    several = [discs(size, 3.0, 9) for size in ((50, 70), (20, 30), (90, 41))]
    found = detect_tiled([picture(masks) for masks in several], SIDE, find)
    assert [decode_rle(one.masks[0]).shape for one in found] == [(50, 70), (20, 30), (90, 41)]
    assert [len(one) for one in found] == [int(masks.flatten(1).any(dim=1).sum()) for masks in several]


def test_nothing_is_nothing():
    (found,) = detect_tiled([read_image(Image.new("RGB", (90, 70)))], SIDE, find)
    assert (len(found), found.masks) == (0, ())
