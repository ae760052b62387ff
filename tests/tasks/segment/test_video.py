"""Frames of a film of segmentations: all of one size, each class's name in its place."""

import numpy as np
import pytest
import torch
from PIL import Image

from saccade.data.segments import IGNORE_INDEX
from saccade.tasks.segment.draw import MAX_LEGEND, draw_segmentation
from saccade.tasks.segment.video import SegmentationVideo

from .. import segment_masks


@pytest.mark.parametrize("classes", [1, 5, MAX_LEGEND, MAX_LEGEND + 1, 150])
@pytest.mark.parametrize("size", [(13, 17), (700, 31)])
def test_frames_of_one_size(classes, size):
    names = [f"class number {i} 말" for i in range(classes)]
    film = SegmentationVideo(names)
    picture = Image.new("RGB", size[::-1], (90, 120, 40))
    masks = [segment_masks.noise(max(1, classes // (4 - i)), i, size) for i in range(4)]
    drawn = [film.draw(picture, mask) for mask in masks]
    assert len({frame.size for frame in drawn}) == 1
    for frame, mask in zip(drawn, masks, strict=True):
        plain = draw_segmentation(picture, mask, names, legend=False)
        np.testing.assert_array_equal(np.asarray(frame)[: plain.height, : plain.width], np.asarray(plain))


def strip(frame, size=(640, 480)):
    return np.asarray(frame)[size[1] :]


def test_few_classes_are_named_from_the_start():
    film = SegmentationVideo(["background", "a", "b"])
    picture = Image.new("RGB", (640, 480))
    empty, full = torch.zeros(480, 640, dtype=torch.uint8), torch.full((480, 640), 2, dtype=torch.uint8)
    np.testing.assert_array_equal(strip(film.draw(picture, empty)), strip(film.draw(picture, full)))
    assert strip(film.draw(picture, empty)).min() < 60  # there are letters


def test_many_classes_are_named_as_they_come_and_stay():
    film = SegmentationVideo([str(i) for i in range(60)])
    picture = Image.new("RGB", (640, 480))
    mask = torch.full((480, 640), 40, dtype=torch.uint8)
    first = strip(film.draw(picture, mask)).copy()
    mask[:100], mask[100:110], mask[110:120] = 7, 50, IGNORE_INDEX
    second = strip(film.draw(picture, mask)).copy()
    third = strip(film.draw(picture, torch.zeros_like(mask) + 40))
    assert list(film._places) == [40, 7, 50]  # the larger first
    assert (first != second).any()
    np.testing.assert_array_equal(second, third)  # who came stays
    kept = (first != 255).any(axis=2)
    np.testing.assert_array_equal(first[kept], second[kept])
    for i in range(60):
        film.draw(picture, torch.full_like(mask, i))
    assert len(film._places) == MAX_LEGEND
