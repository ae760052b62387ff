"""A watched generation with pictures beside the words: what a patch attends to in each, and which patches attend to it,
with the prompt and with the negative prompt."""

import pytest
import torch

import saccade
from saccade.errors import SaccadeError
from saccade.tasks.generate.image_to_image import SourceImage, SourceImages
from saccade.tasks.generate.look import trace_generation
from saccade.tasks.generate.sample import Sampling

from . import generators
from .test_image_to_image import random_picture

GRID = (1, 5, 7)  # of the result and of the picture, which has its size
STYLE_GRID = (8, 5)


@pytest.fixture(scope="module")
def task():
    return generators.task(("picture", "masked", "style"))


@pytest.fixture(scope="module")
def originals():
    return SourceImages(SourceImage.read(random_picture(56, 40)), SourceImage.read(random_picture(24, 40)))


def traced(task, originals, negative="blue (sky:2)", **scales):
    sampling = Sampling(2, 3.0, **scales)
    settings = task.settings("a (red:1.5) star", negative, 5, sampling, originals=originals, style_strength=2)
    return trace_generation(task, settings, originals=originals)


def weights(call):
    return saccade.attention_weights(call.q, call.k, mask=call.mask)


@pytest.mark.parametrize(("text", "row"), [("prompt", 0), ("negative", 1)])
def test_rows_and_columns_are_those_of_the_weights(task, originals, text, row):
    generation = traced(task, originals)
    assert generation.batch_row(text) == row
    assert generation.given_sources(text) == ["picture", "style"]
    assert (generation.source_grid("picture"), generation.source_grid("style")) == (GRID[1:], STYLE_GRID)
    exact = weights(generation.call(1, 1))[row]
    for name in ("picture", "style"):
        span = generation.spans[name]
        torch.testing.assert_close(generation.patch_places(1, 1, 11, name, text), exact[:, 11, span])
        column = generation.place_patches(1, 1, name, 9, text)
        torch.testing.assert_close(column, exact[:, :, span.start + 9].unflatten(-1, GRID))
    shares = generation.shares(1, 1, 11, text)
    assert list(shares) == ["caption", "picture", "masked", "style"]
    torch.testing.assert_close(sum(shares.values()), torch.ones(3))
    torch.testing.assert_close(shares["caption"], generation.patch_words(1, 1, 11, text).sum(-1))
    torch.testing.assert_close(shares["style"], exact[:, 11, generation.spans["style"]].sum(-1))
    assert float(shares["masked"].min()) > 0


def test_weights_of_the_negative_prompt(task, originals):
    generation = traced(task, originals)
    assert generation.weights == pytest.approx([1, 1.5, 1])
    assert generation.negative_words == ["blue", "sky"]
    assert generation.negative_weights == pytest.approx([1, 2])
    assert traced(task, originals, "").negative_words == [""]


def test_the_negative_prompt_is_found_in_every_batch(task, originals):
    """Image and style may be guided apart; the first negative evaluation has the most pictures that there are."""
    every = traced(task, originals, image_guidance=2.0, style_guidance=1.5)
    assert [term.pictures for term in every.terms] == [("picture", "style"), ("picture", "style"), ("picture",), ()]
    assert every.call(0, 0).shape[0] == 4
    assert all(step.guided for step in every.steps)
    exact = weights(every.call(0, 0))
    torch.testing.assert_close(every.word_maps(0, 0, "negative").flatten(2), exact[1, :, :, :2].transpose(1, 2))
    fewer = traced(task, originals, style_guidance=3.0)  # the term with the style has the factor 0
    assert fewer.given_sources("negative") == ["picture"]
    fewer.patch_places(0, 0, 0, "picture", "negative")
    with pytest.raises(SaccadeError, match="no source 'style' beside the negative; there is picture"):
        fewer.patch_places(0, 0, 0, "style", "negative")


def test_what_there_is_not(task, originals):
    generation = traced(task, originals)
    with pytest.raises(SaccadeError, match="patch 35 of the picture: it has 35, 0 to 34"):
        generation.place_patches(0, 0, "picture", 35)
    with pytest.raises(SaccadeError, match="no source 'masked' beside the prompt; there is picture, style"):
        generation.place_patches(0, 0, "masked", 0)
    alone = trace_generation(task, task.settings("a star", "", 5, Sampling(1, 1.0)))
    assert alone.batch_row("prompt") == 0
    with pytest.raises(SaccadeError, match="step 0 is not guided"):
        alone.word_maps(0, 0, "negative")


def test_a_prompt_may_be_absent(task, originals):
    settings = task.settings("", "", 5, Sampling(1), originals=originals)
    generation = trace_generation(task, settings, originals=originals)
    assert generation.words == [""]
    shares = generation.shares(0, 0, 3)
    torch.testing.assert_close(sum(shares.values()), torch.ones(3))
