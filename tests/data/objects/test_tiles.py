"""Tiles of large pictures: they cover every pixel, overlap, and have the objects that lie in them."""

import itertools

import numpy as np
import pytest
import torch
from PIL import Image

from saccade.data.images import read_image
from saccade.data.objects import ObjectAnnotations
from saccade.data.objects.arrays import to_object_arrays
from saccade.data.objects.tiles import OVERLAP, TiledObjects, tiles_of
from saccade.data.preprocess import Preprocess
from saccade.errors import DataError


@pytest.mark.parametrize("size", [(97, 131), (40, 41), (40, 40), (17, 300), (1000, 3)])
def test_tiles_cover_the_picture_and_overlap(size):
    side, covered = 40, np.zeros(size, int)
    tiles = tiles_of(size, side)
    for tile in tiles:
        assert (tile.height, tile.width) == (min(side, size[0]), min(side, size[1]))
        covered[tile.top : tile.top + tile.height, tile.left : tile.left + tile.width] += 1
    assert covered.min() == 1
    for starts in (sorted({tile.left for tile in tiles}), sorted({tile.top for tile in tiles})):
        assert all(b - a <= side - OVERLAP * side for a, b in itertools.pairwise(starts))
    assert sum(tile.width * tile.height for tile in tiles) == covered.sum()


class Two:
    """A large picture and a small one, with squares; and one that cannot be read."""

    title, classes, relations, on_error = "two", ["square"], list[str](), "skip"
    names = ("large.png", "broken.png", "small.png")
    sizes = ((70, 90), (0, 0), (31, 37))

    def __init__(self):
        self.skipped, self.notes = dict[str, str](), list[str]()

    def __len__(self):
        return 3

    def picture(self, index):
        height, width = self.sizes[index]
        pixels = np.arange(height * width, dtype=np.uint32).reshape(height, width) % 251
        return read_image(Image.fromarray(pixels.astype(np.uint8)))

    def objects(self, index, masks=True):
        if index == 1:
            raise DataError("broken.png is broken")
        size = self.sizes[index]
        places = [(y, x) for y in range(2, size[0] - 8, 11) for x in range(3, size[1] - 8, 13)]
        drawn = torch.zeros(len(places), *size, dtype=torch.bool)
        for mask, (y, x) in zip(drawn, places, strict=True):
            mask[y : y + 7, x : x + 5] = True
        boxes = torch.tensor([[x, y, x + 5, y + 7] for y, x in places], dtype=torch.float32)
        labels = torch.zeros(len(places), dtype=torch.long)
        return ObjectAnnotations(boxes, labels, size, masks=drawn if masks else None)


def test_a_tile_has_the_pixels_and_objects_of_its_part():
    whole, tiled = Two(), TiledObjects(Two(), 40)
    tiles = tiles_of((70, 90), 40)
    assert len(tiled) == len(tiles) + 2
    assert tiled.names[0] == "large.png, tile 0 0"
    assert tiled.names[-2:] == ["broken.png", "small.png"]
    pixels, masks = np.asarray(whole.picture(0).image), whole.objects(0).masks
    for i, tile in enumerate(tiles):
        part = slice(tile.top, tile.top + tile.height), slice(tile.left, tile.left + tile.width)
        assert (np.asarray(tiled.picture(i).image) == pixels[part]).all()
        objects = tiled.objects(i)
        inside = masks[:, part[0], part[1]]
        kept = inside[inside.flatten(1).sum(dim=1) >= 0.3 * 35]
        assert objects.planes is not None
        assert torch.equal(objects.planes.masks(), kept)
        assert len(tiled.objects(i, masks=False)) >= len(kept)
    assert torch.equal(tiled.objects(len(tiled) - 1).planes.masks(), whole.objects(2).masks)


def test_a_picture_that_cannot_be_read_is_reported_once():
    tiled = TiledObjects(Two(), 40)
    pictures, objects = to_object_arrays(tiled, Preprocess((40, 40), "letterbox"), masks=False, planes=True)
    assert len(pictures) == len(objects) == len(tiled) - 1
    assert list(tiled.skipped) == ["broken.png"]
