"""Guides agree with the annotations of the scene that they are made of."""

import numpy as np
import pytest

from saccade.data.scenes import Scenes, sample_conditioning_image
from saccade.data.scenes.colours import palette_picture
from saccade.data.scenes.conditioning import GUIDE, grey, label_map, low_resolution, sketch
from saccade.data.scenes.random_stream import RandomStream
from saccade.errors import DataError

SIZES = [(32, 32), (61, 61), (37, 53), (131, 97)]
KINDS = ("sketch", "label map", "grey", "low resolution")


@pytest.mark.parametrize("size", SIZES)
def test_all_kinds_are_drawn_at_any_size(size):
    scenes = Scenes(1, size, seed=5)
    stream = RandomStream(0, GUIDE)
    guides = [sample_conditioning_image(scenes.scene(0), stream) for _ in range(40)]
    assert {guide.kind for guide in guides} == set(KINDS)
    assert all(guide.pixels.shape == (*size, 3) and guide.pixels.dtype == np.uint8 for guide in guides)
    again = sample_conditioning_image(scenes.scene(0), RandomStream(0, GUIDE))
    assert again.kind == guides[0].kind
    assert np.array_equal(again.pixels, guides[0].pixels)


@pytest.mark.parametrize("thickness", [1, 2])
def test_a_sketch_has_a_line_wherever_objects_meet(thickness):
    instances = Scenes(1, (61, 67), seed=8).scene(0).instances.astype(int)
    scene = Scenes(1, (61, 67), seed=8).scene(0)
    line = sketch(scene, thickness, ink=7)[:, :, 0] == 7
    expected = np.zeros_like(line)
    for y in range(61):
        for x in range(67):
            near = [(y + 1, x), (y, x + 1), *([(y - 1, x), (y, x - 1)] if thickness == 2 else [])]
            expected[y, x] = any(0 <= b < 61 and 0 <= a < 67 and instances[b, a] != instances[y, x] for b, a in near)
    assert np.array_equal(line, expected)
    assert (sketch(scene, thickness, ink=7)[~line] == 255).all()


def test_a_label_map_has_the_colours_of_index_masks():
    scene = Scenes(1, 61, seed=8).scene(0)
    assert np.array_equal(label_map(scene), np.array(palette_picture(scene.semantic).convert("RGB")))
    assert (label_map(scene)[scene.semantic == 0] == 0).all()
    assert (label_map(scene)[scene.semantic > 0] > 0).any(axis=-1).all()


def test_grey_is_luma():
    scene = Scenes(1, 61, seed=8).scene(0)
    luma = scene.pixels @ np.array([0.299, 0.587, 0.114])
    assert np.abs(grey(scene) - luma[:, :, None]).max() <= 1.5


@pytest.mark.parametrize("factor", [2, 3, 8])
def test_low_resolution_holds_means_of_squares(factor):
    scene = Scenes(1, (61, 67), seed=8).scene(0)
    small = low_resolution(scene, factor, enlarged=0)  # nearest
    top, left = 3 * factor, 2 * factor
    square = scene.pixels[top : top + factor, left : left + factor]
    assert np.abs(small[top : top + factor, left : left + factor] - square.mean(axis=(0, 1))).max() <= 0.51
    assert small.shape == scene.pixels.shape


def test_an_unknown_kind_is_refused():
    with pytest.raises(DataError, match="kind='depth' was given"):
        sample_conditioning_image(Scenes(1, 61).scene(0), RandomStream(0), "depth")
