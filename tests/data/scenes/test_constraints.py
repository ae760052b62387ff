"""Worlds of other numbers of objects, and of objects apart; their descriptions; worlds as text."""

import time

import numpy as np
import pytest
import torch
from scipy.ndimage import binary_dilation

from saccade.data.scenes import Description, Scenes, parse_spec
from saccade.errors import DataError


@pytest.mark.parametrize("objects", [(1, 1), (1, 5), (8, 8)])
@pytest.mark.parametrize("size", [64, 32, (41, 127)])
def test_numbers_of_objects(objects, size):
    for apart in (False, True):
        scenes = Scenes(30, size, seed=1, objects=objects, apart=apart)
        counts = {len(scenes.objects(i)) for i in range(30)}
        assert min(counts) >= objects[0]
        assert max(counts) <= objects[1]
        assert len(counts) == objects[1] - objects[0] + 1


@pytest.mark.parametrize("size", [64, (53, 97)])
def test_objects_apart_touch_neither_each_other_nor_the_border(size):
    scenes = Scenes(60, size, seed=2, objects=(1, 8), apart=True)
    height, width = scenes.size
    for i in range(60):
        objects = scenes.objects(i)
        left, top, right, bottom = objects.boxes.T
        assert left.min() >= 1
        assert top.min() >= 1
        assert right.max() <= width - 1
        assert bottom.max() <= height - 1
        grown = np.stack([binary_dilation(mask) for mask in objects.masks.numpy()])
        assert grown.sum(axis=0).max() <= 2  # next to each other at most
        names = {scenes.relations[r] for r in objects.relations[:, 1].tolist()}
        assert not names & {"inside", "in front of"}


def test_a_scene_is_drawn_the_same_again_and_in_a_batch():
    arguments = {"objects": (1, 3), "apart": True, "combinations": "seen"}
    first, again = (Scenes(9, 61, seed=3, **arguments) for _ in range(2))
    assert np.array_equal(first.scene(7).pixels, again.scene(7).pixels)
    assert first.scene(7).description == again.scene(7).description
    pixels, scenes = first.batch(3, (48, 37), torch.Generator().manual_seed(1))
    assert pixels.shape == (3, 3, 48, 37)
    for scene in scenes:
        assert np.array_equal(first.fresh((48, 37), scene.key[0]).pixels, scene.pixels)
        assert 1 <= len(scene.objects) <= 3


def test_a_description_is_that_of_the_objects():
    scenes = Scenes(20, 61, seed=7)
    names = set()
    for i in range(20):
        scene = scenes.scene(i)
        description = scene.description
        shapes = [scenes.classes[label] for label in scene.objects.labels]
        assert list(description.objects) == list(zip(shapes, scene.colours, strict=True))
        expected = [(a, scenes.relations[r], b) for a, r, b in scene.objects.relations.tolist()]
        assert list(description.relations) == expected
        assert Description.from_json(description.as_json()) == description
        names.add(description.background)
    assert len(names) >= 4


def test_backgrounds_are_as_bright_as_they_are_called():
    scenes = Scenes(150, 61, seed=8, objects=(1, 1), apart=True)
    brightness = {"light": [], "dark": []}
    for i in range(150):
        scene = scenes.scene(i)
        if scene.description.background in brightness:
            brightness[scene.description.background].append(scene.pixels[scene.semantic == 0].mean())
    assert len(brightness["light"]) > 10
    assert len(brightness["dark"]) > 10
    assert np.quantile(brightness["light"], 0.05) > np.quantile(brightness["dark"], 0.95)


def test_small_apart_scenes_cost_no_more_than_twice_the_usual():
    def seconds(**arguments) -> float:
        scenes = Scenes(40, 64, seed=1, **arguments)
        start = time.process_time()
        for i in range(40):
            scenes.scene(i)
        return time.process_time() - start

    seconds()
    pairs = [(seconds(objects=(1, 3), apart=True, combinations="seen"), seconds()) for _ in range(3)]
    assert min(new / usual for new, usual in pairs) < 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"objects": (0, 3)}, "objects=0-3 was given; a number from 1 to 8, or the fewest and the most, expected"),
        ({"objects": (4, 3)}, "objects=4-3 was given"),
        ({"objects": (1, 9)}, "objects=1-9 was given"),
        ({"combinations": "unseen"}, "combinations='unseen' was given; one of all, seen, held-out expected"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(DataError, match=message):
        Scenes(1, **arguments)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("photos", None),
        ("scenesque:3", None),
        ("scenes", {}),
        ("scenes:1000", {"n": 1000}),
        (
            "scenes:50,objects=1-3,apart,combinations=held-out",
            {"n": 50, "objects": (1, 3), "apart": True, "combinations": "held-out"},
        ),
        ("scenes:apart,objects=2", {"apart": True, "objects": (2, 2)}),
        ("scenes:7,size=320x240,seed=5", {"n": 7, "size": (240, 320), "seed": 5}),
    ],
)
def test_worlds_as_text(text, expected):
    assert parse_spec(text) == expected
    if expected:
        Scenes(**{"n": 1, **expected})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("scenes:", "'scenes:': '' was found; a whole number from 1, or one of objects=1-3, apart"),
        ("scenes:0", "'0' was found; a whole number from 1"),
        ("scenes:-5", "'-5' was found"),
        ("scenes:10,appart", "'appart' was found; one of objects=1-3, apart"),
        ("scenes:10,20", "'20' was found"),
        ("scenes:10,apart,apart", "apart is given twice"),
        ("scenes:10,objects=1-9", "objects=1-9 was given"),
        ("scenes:10,objects=few", "'objects=few' was found"),
        ("scenes:10,combinations=new", "combinations='new' was given"),
    ],
)
def test_bad_text(text, message):
    with pytest.raises(DataError, match=message):
        parse_spec(text)
