"""Inverted pictures: against the closed form for Gaussian data, and painted again by a tiny generator."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from PIL import Image

from saccade.errors import SaccadeError
from saccade.models.generator import SourceKeysValues
from saccade.tasks.generate.image_to_image import SourceImage, SourceImages
from saccade.tasks.generate.inversion import invert
from saccade.tasks.generate.prompt_to_prompt import paint, paint_with_layout, replace_prompt
from saccade.tasks.generate.sample import Sampling, sample
from saccade.tasks.generate.settings import ImageSettings, Layout, Settings

from . import generators

MEAN, DEVIATION = 0.3, 0.5
NOTHING = SourceKeysValues((), torch.ones(1, 1, 1, 1, dtype=torch.bool), {})
CAPTION = "a red star"


class Gaussian:
    """The exact prediction, E[x | z], of independent normal values; its flow takes ε to MEAN + DEVIATION ε."""

    def predict(self, z, t, sources):
        t, variance = t[:, :1, None, None, None].to(z), DEVIATION**2
        return MEAN + t * variance / (t**2 * variance + (1 - t) ** 2) * (z - t * MEAN)


@pytest.fixture(scope="module")
def task():
    return generators.task()


@pytest.fixture(scope="module")
def photo():
    pixels = np.random.default_rng(5).integers(0, 256, (40, 56, 3), np.uint8)
    return SourceImages(SourceImage.read(Image.fromarray(pixels)))


def errors(steps, time=0.0):
    """Largest errors of the noise, and of the pictures painted from it."""
    generator = torch.Generator().manual_seed(7)
    noise = torch.randn(2, 3, 3, 5, 7, dtype=torch.float64, generator=generator)
    pictures = MEAN + DEVIATION * noise
    spread = (time**2 * DEVIATION**2 + (1 - time) ** 2) ** 0.5
    found = invert(Gaussian(), pictures, NOTHING, steps, time)
    start = type("Start", (), {"time": time, "begin": lambda _, z: z, "restore_known": lambda _, z, *others: z})()
    again = sample(Gaussian(), found, NOTHING, Sampling(steps, 1.0), start=start)
    return (found - time * MEAN - spread * noise).abs().max().item(), (again - pictures).abs().max().item()


@pytest.mark.parametrize("time", [0.0, 0.3])
def test_errors_fall_with_the_steps(time):
    noise, pictures = zip(*(errors(steps, time) for steps in (16, 32, 64, 128)), strict=True)
    for coarse, fine in pairwise(noise):
        assert 0.4 < fine / coarse < 0.6  # of first order, as the sampler
    for coarse, fine in pairwise(pictures):
        assert fine / coarse < 0.6
    assert pictures[-1] < 5e-4


def test_a_generator_paints_its_own_pictures_again(task):
    sources = task.encode([task.settings(CAPTION, "", 5, Sampling(1, 1.0))])
    noise = torch.randn(1, 1, 3, 40, 56, generator=torch.Generator().manual_seed(3))
    found = []
    for steps in (4, 16, 64):
        picture = sample(task.model, noise, sources, Sampling(steps, 1.0))
        again = sample(task.model, invert(task.model, picture, sources, steps), sources, Sampling(steps, 1.0))
        found.append((again - picture).abs().mean().item())
    assert found[0] > 1.5 * found[1] > 1.8 * found[2]
    assert found[2] < 0.06  # a tenth of the standard deviation of the pictures


def inverted(task, photo, prompt=CAPTION, **options):
    sampling = Sampling(5, 3.0)
    return task.settings(prompt, CAPTION, 5, sampling, originals=photo, source_prompt=CAPTION, **options)


def test_with_its_own_caption_guidance_has_no_effect(task, photo):
    settings = inverted(task, photo)
    [guided] = task.generate_all([settings], originals=photo)
    plain = replace(settings, negative="", sampling=Sampling(5, 1.0), seed=11)
    [unguided] = task.generate_all([plain], originals=photo)  # the seed has none either
    difference = np.asarray(guided.image).astype(int) - np.asarray(unguided.image)
    assert abs(difference).max() <= 1


def test_other_words_change_the_picture_beside_that_of_the_caption(task, photo):
    [own] = task.generate_all([inverted(task, photo)], originals=photo)
    settings = replace_prompt(inverted(task, photo), "a blue star", keep_layout=True)
    source, changed = paint_with_layout(task, settings, originals=photo)
    difference = np.asarray(source.image).astype(int) - np.asarray(own.image)
    assert abs(difference).max() <= 1
    assert (np.asarray(changed.image) != np.asarray(source.image)).any()
    [again] = paint(task, [settings], originals=photo)
    assert again.to_png() == changed.to_png()


def test_in_one_call(task, photo):
    steps = []
    options = {"num_inference_steps": 5, "guidance_scale": 3.0, "seed": 5, "image": photo.image.image}
    [picture] = task.generate("a blue star", source_prompt=CAPTION, callback=lambda *at: steps.append(at), **options)
    assert steps == [(i + 1, 10) for i in range(10)]
    assert picture.settings.negative == CAPTION
    assert picture.settings.layout == Layout(CAPTION)
    [again] = paint(task, [picture.settings], originals=SourceImages(SourceImage.read(photo.image.image)))
    assert again.to_png() == picture.to_png()
    assert picture.settings.image == ImageSettings(1.0, "picture", photo.image.digest, "", "inversion", CAPTION)
    assert picture.to_dict()["source_prompt"] == CAPTION
    assert Settings.parse(str(picture.settings)) == replace(picture.settings, model="tiny")


def test_a_strength_of_0_gives_the_picture(task, photo):
    [picture] = task.generate_all([inverted(task, photo, "a blue star", strength=0.0)], originals=photo)
    assert np.array_equal(np.asarray(picture.image), np.asarray(photo.image.image))


def test_what_is_not_inverted(task, photo):
    with pytest.raises(SaccadeError, match="goes with an image"):
        task.generate("a blue star", source_prompt=CAPTION)
    with pytest.raises(SaccadeError, match="caption, which is empty"):
        task.generate("a blue star", source_prompt=" ", image=photo.image.image)
    mask = Image.new("L", (56, 40), 255)
    with pytest.raises(SaccadeError, match="leave the mask out"):
        task.generate("a blue star", source_prompt=CAPTION, image=photo.image.image, mask_image=mask)
    with pytest.raises(SaccadeError, match="for the sampler euler"):
        task.generate("a blue star", source_prompt=CAPTION, image=photo.image.image, sampler="heun")
    with pytest.raises(SaccadeError, match="keeps its own style"):
        task.generate("blue", source_prompt=CAPTION, image=photo.image.image, style_image=photo.image.image)
