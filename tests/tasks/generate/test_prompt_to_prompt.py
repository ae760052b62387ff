"""Prompt-to-prompt against the same change of readable maps."""

from dataclasses import replace

import numpy as np
import pytest

from saccade.errors import DataError, SaccadeError
from saccade.tasks.generate.image_to_image import to_images
from saccade.tasks.generate.prompt_to_prompt import align_words, paint, paint_with_layout, replace_prompt
from saccade.tasks.generate.sample import Sampling
from saccade.tasks.generate.settings import Layout, Settings

from . import generators, readable

PATCHES = 35
PROMPT = "a red star left of a ring"


@pytest.fixture(scope="module")
def task():
    return generators.task()


def pixels(picture):
    return np.asarray(picture.image).astype(int)


def settings(task, prompt=PROMPT, sampling=None):
    return task.settings(prompt, "green", 5, sampling or Sampling(4))


def by_readable_maps(task, first, other, tokens, words, patches):
    """The second picture, with maps of the first in so many calls of each kind."""

    def change(kind, i, weights, q, k, v):
        if kind == "self" and i < patches:
            weights[1] = weights[0]
        if kind == "cross" and i < words:
            if tokens is None:
                weights[1] = weights[0]
            else:
                for j, source in tokens.items():
                    weights[1, ..., j] = weights[0, ..., source]
                weights[1] /= weights[1].sum(dim=-1, keepdim=True)
        return weights @ v

    pair = [replace(first, layout=None), replace(other, layout=None)]
    return np.asarray(to_images(readable.paint_readably(task, pair, PATCHES, change)[:, 0])[1]).astype(int)


@pytest.mark.parametrize(
    ("prompt", "tokens"),
    [
        ("a blue star left of a ring", None),
        ("a big Red star left of a blue ring", {0: 0, 2: 1, 3: 2, 4: 3, 5: 4, 6: 5, 8: 6}),
        ("a star left", {0: 0, 1: 2, 2: 3}),
    ],
    ids=["replace", "refine", "remove"],
)
@pytest.mark.parametrize("keep_layout", [True, False])
def test_maps_of_the_first_prompt(task, prompt, tokens, keep_layout):
    first = settings(task)
    other = replace_prompt(first, prompt, keep_layout)
    source, changed = paint_with_layout(task, other)
    [alone] = task.generate_all([first])
    assert (pixels(source) == pixels(alone)).mean() > 0.99
    assert np.abs(pixels(source) - pixels(alone)).max() <= 1
    # 80 % of 4 steps are 3, of two blocks each; 40 % are 2
    reference = by_readable_maps(task, first, other, tokens, 6, 4 if keep_layout else 0)
    assert np.abs(pixels(changed) - reference).max() <= 1
    [anew] = task.generate_all([replace(other, layout=None)])
    assert np.abs(pixels(changed) - pixels(anew)).mean() > 2
    assert changed.settings == other


@pytest.mark.parametrize(
    "sampling", [Sampling(3), Sampling(3, 1.0), Sampling(3, sampler="heun"), Sampling(3, sampler="mean-flow")]
)
def test_the_same_prompt_paints_the_same_picture(task, sampling):
    first = task.settings(PROMPT, "", 5, sampling)
    source, changed = paint_with_layout(task, replace_prompt(first, PROMPT, True))
    assert np.abs(pixels(source) - pixels(changed)).max() <= 1


def test_words_that_share_nothing_and_shares_of_zero(task):
    [anew] = task.generate_all([settings(task, "xyz")])
    _, changed = paint_with_layout(task, replace_prompt(settings(task), "xyz", False))
    assert np.abs(pixels(changed) - pixels(anew)).max() <= 1
    nothing = replace(settings(task, "xyz"), layout=Layout(PROMPT, words=0.0))
    assert np.abs(pixels(paint_with_layout(task, nothing)[1]) - pixels(anew)).max() <= 1


def test_align():
    assert align_words(["a", "red", "star"], ["a", "blue", "star"]) is None
    assert align_words(["a", "red", "star"], ["a", "very", "RED", "star"]) == {0: 0, 2: 1, 3: 2}
    assert align_words(["a"], ["ring", "star"]) == {}


def test_painting_several(task):
    first = settings(task)
    wanted = [replace_prompt(replace(first, seed=seed), "a blue star left of a ring", True) for seed in (5, 6)]
    steps = []
    painted = list(paint(task, [*wanted, first], lambda done, total: steps.append((done, total))))
    assert steps == [(i + 1, 12) for i in range(12)]
    assert [each.settings for each in painted] == [*wanted, first]
    assert (pixels(painted[0]) == pixels(paint_with_layout(task, wanted[0])[1])).all()
    [alone] = paint(task, [first])
    assert np.abs(pixels(painted[2]) - pixels(alone)).max() <= 1


def test_settings_are_read_back(task):
    one = replace_prompt(settings(task, '(red:1.2) "star", left: of a\\\\b'), "a blue star", True)
    assert Settings.parse(str(one)) == one
    assert Settings.parse(str(replace(one, layout=None))).layout is None


@pytest.mark.parametrize("shares", [(1.1, 0.0), (0.5, -0.1), (float("nan"), 0.0)])
def test_shares_out_of_range(shares):
    with pytest.raises(SaccadeError, match="0 to 1 expected"):
        Layout("a", *shares)


def test_a_layout_without_words(task):
    with pytest.raises(DataError, match="is empty"):
        paint_with_layout(task, replace(settings(task), layout=Layout(" ")))
