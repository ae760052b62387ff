"""Masks drawn by words."""

import numpy as np
import pytest

from saccade.data.scenes import Scenes
from saccade.errors import DataError, SaccadeError
from saccade.tasks.generate.mask_words import find_named_classes, mask_of
from saccade.tasks.loading import load

SHAPES = ["background", "disc", "star", "crescent", "ring"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("the star", ["star"]),
        ("Star", ["star"]),
        ("the circle and the moon", ["disc", "crescent"]),
        ("별을", ["star"]),
        ("동그라미와 고리", ["disc", "ring"]),
        ("the background", ["background"]),
    ],
)
def test_classes_that_words_name(words, expected):
    assert find_named_classes(words, SHAPES) == expected


@pytest.mark.parametrize("words", ["", "the dog", "starlight", "원숭이"])
def test_words_that_name_none(words):
    with pytest.raises(SaccadeError, match="names no class of the segmenter; it knows background, disc"):
        find_named_classes(words, SHAPES)


def test_the_mask_covers_what_is_named_and_little_else():
    segmenter = load("shapes")
    world = Scenes(200, 101, 3, objects=(2, 2), apart=True)
    index = next(i for i in range(200) if {o[0] for o in world.scene(i).description.objects} == {"star", "disc"})
    scene = world.scene(index)
    mask = np.asarray(mask_of("the star", scene.pixels, segmenter)) > 0
    star, disc = (scene.semantic == segmenter.labels.index(name) for name in ("star", "disc"))
    assert mask[star].mean() > 0.98
    assert mask[disc].mean() < 0.1
    assert mask.sum() < 2.5 * star.sum() + 100
    with pytest.raises(DataError, match="shapes finds no heart in array"):
        mask_of("a heart", scene.pixels, segmenter)
