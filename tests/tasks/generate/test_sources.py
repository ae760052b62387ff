"""Pictures, masks and styles as sources: what is evaluated, exactly, and what settings say of it."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from saccade.errors import DataError, SaccadeError
from saccade.models.source_encoders import PICTURE_SOURCES, PictureInput, masked_pixels
from saccade.ops.flow_matching import euler_step
from saccade.studio.views.generated_picture_trace import generation_page_data
from saccade.tasks.generate.image_to_image import SourceImage, SourceImages
from saccade.tasks.generate.look import trace_generation
from saccade.tasks.generate.sample import GuidanceTerm, Sampling
from saccade.tasks.generate.settings import Settings

from . import generators
from .test_image_to_image import hole, pixels, random_picture

RED = "a red star"
STYLE = random_picture(24, 40)


@pytest.fixture(scope="module")
def task():
    return generators.task(("picture", "masked", "style"))


@pytest.fixture(scope="module")
def photo():
    return random_picture(56, 40)


@pytest.mark.parametrize(
    ("sampling", "pictures", "expected"),
    [
        ((3.0,), (), [(3, True, ()), (-2, False, ())]),
        ((3.0,), ("picture",), [(3, True, ("picture",)), (-2, False, ("picture",))]),
        ((1.0,), ("picture",), [(1, True, ("picture",))]),
        ((0.0,), (), [(0, True, ()), (1, False, ())]),
        ((3.0, 1.5), ("picture",), [(3, True, ("picture",)), (-1.5, False, ("picture",)), (-0.5, False, ())]),
        ((2.0, 2.0), ("masked",), [(2, True, ("masked",)), (-1, False, ())]),
        (
            (5.0, 3.0, 2.0),
            ("picture", "style"),
            [
                (5, True, ("picture", "style")),
                (-3, False, ("picture", "style")),
                (1, False, ("picture",)),
                (-2, False, ()),
            ],
        ),
        ((5.0, 7.0, 2.0), ("style",), [(5, True, ("style",)), (-3, False, ("style",)), (-1, False, ())]),
    ],
)
def test_what_is_evaluated_in_a_guided_step(sampling, pictures, expected):
    guidance, *more = sampling
    terms = Sampling(2, guidance, (0.0, 1.0), "euler", *more).guidance_terms(pictures)
    assert terms == [GuidanceTerm(*each) for each in expected]
    assert sum(term.factor for term in terms) == pytest.approx(1)


def test_a_guided_step_is_the_sum_of_its_terms(task, photo):
    """One step, against evaluations of one term at a time, written out."""
    model, sampling = task.model, Sampling(1, 4.0, (0.0, 1.0), "euler", 2.5, 1.5)
    originals = SourceImages(SourceImage.read(photo), SourceImage.read(STYLE))
    settings = task.settings(RED, "blue", 5, sampling, originals=originals)
    pictures = task.pictures(settings, originals)
    assert list(pictures) == ["picture", "style"]
    assert pictures["style"].shape == (1, 3, 64, 40)  # about the area of training, in its own aspect
    noise = torch.randn(1, 1, 3, 40, 56, generator=torch.Generator().manual_seed(5))
    yes = torch.tensor([True])

    def predict(text, names):
        given = {name: PictureInput(pictures[name], yes) for name in names}
        sources = model.encode(model.tokenize([text]), yes, given)
        return model.predict(noise, torch.zeros(1, 1), sources)

    with torch.no_grad():
        nothing, image = predict("blue", ()), predict("blue", ("picture",))
        style, full = predict("blue", ("picture", "style")), predict(RED, ("picture", "style"))
    expected = nothing + 2.5 * (image - nothing) + 1.5 * (style - image) + 4 * (full - style)
    expected = euler_step(expected, noise, torch.tensor(0.0), torch.tensor(1.0))
    [found] = task.generate_all([settings], originals=originals)
    whole = ((expected[0, 0].clamp(-1, 1) + 1) * 127.5).permute(1, 2, 0).numpy()
    assert np.abs(pixels(found.image) - whole).max() <= 0.51


def test_an_absent_picture_is_one_token_whatever_its_pixels_are(task):
    model, words = task.model, task.model.tokenize([RED, "blue"])
    present, both = torch.tensor([True, False]), torch.tensor([True, True])
    for name, source in PICTURE_SOURCES.items():
        one, other = (
            torch.randn(2, source.channels, 16, 24, generator=torch.Generator().manual_seed(i)) for i in (1, 2)
        )
        other[0] = one[0]
        z, t = torch.randn(2, 1, 3, 16, 24, generator=torch.Generator().manual_seed(3)), torch.full((2, 1), 0.3)
        with torch.no_grad():
            found = [
                model.predict(z, t, model.encode(words, both, {name: PictureInput(p, present)})) for p in (one, other)
            ]
            without = model.predict(z, t, model.encode(words, both))
            given = model.predict(z, t, model.encode(words, both, {name: PictureInput(one, both)}))
        assert torch.equal(found[0], found[1])
        torch.testing.assert_close(found[0][1], without[1])
        torch.testing.assert_close(found[0][0], given[0])
        assert (given[1] - without[1]).abs().max() > 1e-3


def test_masked_pixels():
    picture, known = torch.tensor([[[[0.5, -1.0]]] * 3]).reshape(1, 3, 1, 2), torch.tensor([[[[True, False]]]])
    assert masked_pixels(picture, known)[0, :, 0].tolist() == [[0.5, 0], [0.5, 0], [0.5, 0], [1, -1]]


def test_a_mask_keeps_what_is_known_and_its_hole_does_not_matter(task, photo):
    box = (16, 8, 40, 32)
    mask, changed = hole(56, 40, box), photo.copy()
    changed.paste((1, 2, 3), box)
    options = {"seed": 1, "num_inference_steps": 2}
    [one], [other] = (task.generate(RED, image=each, mask_image=mask, **options) for each in (photo, changed))
    assert np.array_equal(pixels(one.image), pixels(other.image))
    outside = ~np.asarray(mask).astype(bool)
    assert np.array_equal(pixels(one.image)[outside], pixels(photo)[outside])
    assert one.settings.image is not None
    assert (one.settings.image.use, one.settings.image.strength) == ("source", 1.0)


def test_the_strength_of_a_style_scales_the_attention_to_it(task, photo):
    originals = SourceImages(style=SourceImage.read(STYLE))
    shares = []
    for strength in (1.0, 3.0):
        settings = task.settings(RED, seed=1, sampling=Sampling(1, 1.0), originals=originals, style_strength=strength)
        generation = trace_generation(task, settings, originals=originals)
        shares.append(generation.patch_places(0, 0, 4, "style").sum(-1))
    torch.testing.assert_close(shares[1], 3 * shares[0] / (1 + 2 * shares[0]))
    options = {"seed": 1, "num_inference_steps": 2}
    [hidden] = task.generate(RED, style_image=STYLE, style_strength=0, **options)
    [other] = task.generate(RED, style_image=random_picture(24, 40).rotate(180), style_strength=0, **options)
    assert np.array_equal(pixels(hidden.image), pixels(other.image))


def test_a_page_has_the_other_sources_beside_the_words(task, photo):
    originals = SourceImages(SourceImage.read(photo), SourceImage.read(STYLE))
    settings = task.settings("a (red:1.5) star", "blue sky", 1, Sampling(2, 2.0), originals=originals, style_strength=2)
    generation = trace_generation(task, settings, originals=originals)
    shown = generation_page_data(generation, 0)
    assert shown.words == ["a", "red", "star", "(picture)", "(no masked picture)", "(style)"]
    layer = shown.layers[1]
    assert layer.tokens == 3 + 35 + 1 + 40
    weights = layer.weights[1]
    torch.testing.assert_close(weights[:, :3], generation.word_maps(1, 1).flatten(2))
    for row, name in ((3, "picture"), (5, "style")):
        torch.testing.assert_close(weights[:, row, 11], generation.patch_places(1, 1, 11, name).sum(-1))
    with pytest.raises(SaccadeError, match="no source 'masked' beside the prompt; there is picture, style"):
        generation.patch_places(0, 0, 0, "masked")


def test_settings_with_pictures_are_read_back_and_paint_again(task, photo):
    options = {"seed": 7, "num_inference_steps": 2, "image_guidance_scale": 1.5, "style_guidance_scale": 2}
    [first] = task.generate("", image=photo, style_image=STYLE, style_strength=0.5, **options)
    read = Settings.parse(str(first.settings))
    assert read == first.settings
    assert read.image is not None
    assert read.image.use == "source"
    originals = SourceImages(SourceImage.read(photo), SourceImage.read(STYLE))
    [again] = task.generate_all([read], originals=originals)
    assert again.to_png() == first.to_png()
    with pytest.raises(SaccadeError, match="the settings are of the style picture"):
        list(task.generate_all([read], originals=SourceImages(originals.image)))
    with pytest.raises(SaccadeError, match="the style picture has the digest"):
        list(task.generate_all([read], originals=SourceImages(originals.image, originals.image)))


def test_a_strength_starts_at_the_picture_also_where_it_could_be_a_source(task, photo):
    settings = [
        task.settings(RED, originals=SourceImages(SourceImage.read(photo)), strength=s).image for s in (None, 0.4)
    ]
    assert [(each.use, each.strength) for each in settings] == [("source", 1.0), ("start", 0.4)]
    plain = generators.task().settings(RED, originals=SourceImages(SourceImage.read(photo))).image
    assert plain is not None
    assert (plain.use, plain.strength) == ("start", 0.6)


def test_mistakes(task, photo):
    with pytest.raises(DataError, match="the prompt is empty"):
        task.generate(" ")
    with pytest.raises(DataError, match="the prompt is empty"):
        task.generate(" ", image=photo, strength=0.5)
    with pytest.raises(SaccadeError, match="give the image a strength, to start from it"):
        generators.task(("picture",)).generate(RED, image=photo, style_image=STYLE)
    for strength in (-1, 101, float("nan")):
        with pytest.raises(SaccadeError, match=r"a style strength of .* 0 to 100 expected"):
            task.generate(RED, style_image=STYLE, style_strength=strength)
    with pytest.raises(SaccadeError, match="a guidance of -1 was requested"):
        task.generate(RED, image=photo, image_guidance_scale=-1)
    with pytest.raises(SaccadeError, match="takes no guidance of images and styles"):
        task.generate(RED, image=photo, image_guidance_scale=2, sampler="mean-flow")
    for given in ({}, {"image": photo, "strength": 0.5}, {"style_image": STYLE}):
        with pytest.raises(SaccadeError, match="an image guidance of 2 has no effect here"):
            task.generate(RED, image_guidance_scale=2, **given)
    for given in ({}, {"image": photo}):
        with pytest.raises(SaccadeError, match="a style guidance of 3 has no effect here"):
            task.generate(RED, style_guidance_scale=3, **given)


def test_a_batch_paints_what_each_settings_paint_alone(task, photo):
    originals = SourceImages(SourceImage.read(photo), SourceImage.read(STYLE))
    plain = task.settings(RED, seed=1, sampling=Sampling(2))
    with_both = task.settings(RED, seed=1, sampling=Sampling(2), originals=originals)
    settings = [plain, with_both, replace(with_both, seed=2), replace(with_both, style=None)]
    for each, picture in zip(settings, task.generate_all(settings, originals=originals), strict=True):
        [alone] = task.generate_all([each], originals=originals)
        assert np.abs(pixels(alone.image) - pixels(picture.image)).max() <= 1


def test_images_are_any_pillow_can_hold(task):
    grey = Image.new("LA", (30, 30), (9, 0))
    assert task.generate(RED, image=grey, seed=1, num_inference_steps=1)[0].image.size == (48, 48)
