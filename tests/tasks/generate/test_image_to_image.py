"""Image to image: exact flows in float64, a tiny generator, and what is refused."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from saccade.errors import DataError, SaccadeError
from saccade.ops.flow_matching import noised
from saccade.tasks.generate.base import repeat_with_seeds
from saccade.tasks.generate.image_to_image import SourceImage, SourceImages
from saccade.tasks.generate.look import trace_generation
from saccade.tasks.generate.sample import Sampling, sample
from saccade.tasks.generate.sampling_start import InpaintingStart, PictureStart
from saccade.tasks.generate.settings import Settings

from . import generators
from .test_sample import MEAN, NOISE, STD, Constant, Gaussian, sources

PICTURE = torch.randn(1, 3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
PART = torch.rand(3, 5, generator=torch.Generator().manual_seed(2)) < 0.5
RED = "a red star"
STROKES = Image.new("RGBA", (56, 40), (255, 255, 255, 0))  # white strokes on a transparent layer
STROKES.paste((255, 255, 255, 255), (7, 5, 31, 19))


@pytest.fixture(scope="module")
def task():
    return generators.task()


@pytest.fixture(scope="module")
def photo():
    """Of the size of training."""
    return random_picture(56, 40)


def random_picture(width: int, height: int) -> Image.Image:
    """Not smooth, so that every pixel counts."""
    return Image.fromarray(np.random.default_rng(3).integers(0, 256, (height, width, 3), dtype=np.uint8))


def hole(width: int, height: int, box: tuple[int, int, int, int]) -> Image.Image:
    mask = Image.new("L", (width, height))
    mask.paste(255, box)
    return mask


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image).astype(int)


def paint(task, image, strength=None, prompt=RED, **others) -> Image.Image:
    options = {"seed": 5, "num_inference_steps": 3, "guidance_scale": 2.0, **others}
    return task.generate(prompt, image=image, strength=strength, **options)[0].image


# The sampler.


@pytest.mark.parametrize(("sampler", "order"), [("euler", 1), ("heun", 2)])
@pytest.mark.parametrize("strength", [0.01, 0.37, 1.0])
def test_the_flow_from_a_picture_is_followed(sampler, order, strength):
    """The flow of normal data keeps (z - t μ) / sqrt(t² σ² + (1 - t)²) as it is."""
    t = 1 - strength
    begun = noised(PICTURE.expand_as(NOISE), NOISE, torch.tensor(t, dtype=torch.float64))
    solution = MEAN + STD * (begun - t * MEAN) / math.hypot(t * STD, 1 - t)

    def error(steps: int) -> float:
        start = PictureStart(PICTURE, strength)
        found = sample(Gaussian(), NOISE, sources(), Sampling(steps, 1.0, sampler=sampler), start=start)
        return (found - solution).abs().max().item()

    assert error(200) < 0.02
    if strength > 0.1:  # times reach the model in float32
        assert math.log2(error(100) / error(200)) == pytest.approx(order, abs=0.15)


@pytest.mark.parametrize("strength", [0.001, 0.01, 0.4, 1.0])
@pytest.mark.parametrize(("sampler", "expected"), [("euler", 7), ("heun", 13)])
def test_all_steps_are_spent_between_the_start_and_the_end(strength, sampler, expected):
    model = Constant()
    found = sample(model, NOISE, sources(), Sampling(7, 1.0, sampler=sampler), start=PictureStart(PICTURE, strength))
    times = [t for t, _ in model.calls]
    assert len(times) == expected
    assert times[0] == pytest.approx(1 - strength, abs=1e-6)
    assert sorted(set(times)) == pytest.approx([1 - strength * (7 - i) / 7 for i in range(7)], abs=2e-6)
    torch.testing.assert_close(found, torch.full_like(NOISE, 2), rtol=0, atol=1e-12)


def test_a_thousand_steps_of_the_least_strength_are_finite():
    start = PictureStart(PICTURE.float(), 0.001)
    for sampler in ("euler", "heun"):
        found = sample(Gaussian(), NOISE.float(), sources(), Sampling(1000, 1.0, sampler=sampler), start=start)
        assert torch.isfinite(found).all()
        assert (found - PICTURE).abs().max() < 0.02


def test_a_strength_of_0_evaluates_nothing():
    model, reported = Constant(), []
    start = PictureStart(PICTURE, 0.0)
    found = sample(model, NOISE, sources(), Sampling(3), lambda *each: reported.append(each), start=start)
    assert torch.equal(found, PICTURE.expand_as(NOISE))
    assert model.calls == []
    assert reported == [(1, 3), (2, 3), (3, 3)]


def test_a_strength_of_1_is_noise():
    whole = sample(Gaussian(), NOISE, sources(), Sampling(5, 1.0))
    assert torch.equal(sample(Gaussian(), NOISE, sources(), Sampling(5, 1.0), start=PictureStart(PICTURE, 1.0)), whole)


@pytest.mark.parametrize("sampler", ["euler", "heun"])
def test_every_evaluation_sees_the_noised_picture_beside_the_painted_part(sampler):
    class Watched(Gaussian):
        def predict(self, z, t, sources, interval=None, guidance=None):
            seen.append((t[0, 0].double(), z))
            return super().predict(z, t, sources)

    seen = []
    start = InpaintingStart(PICTURE, 0.8, PART)
    found = sample(Watched(), NOISE, sources(), Sampling(6, 1.0, sampler=sampler), start=start)
    assert len(seen) == (6 if sampler == "euler" else 11)
    for t, z in seen:
        expected = noised(PICTURE.expand_as(NOISE), NOISE, t)
        torch.testing.assert_close(z[..., ~PART], expected[..., ~PART], rtol=0, atol=1e-6)
    for t, z in seen[1:]:
        assert (z - noised(PICTURE.expand_as(NOISE), NOISE, t))[..., PART].abs().min() > 1e-5
    assert torch.equal(found[..., ~PART], PICTURE.expand_as(found)[..., ~PART])


def test_a_mask_of_everything_changes_nothing():
    everything = InpaintingStart(PICTURE, 0.6, torch.ones_like(PART))
    one, other = (
        sample(Gaussian(), NOISE, sources(), Sampling(4, 1.0), start=start)
        for start in (everything, PictureStart(PICTURE, 0.6))
    )
    assert torch.equal(one, other)


# A tiny generator.


def test_a_strength_of_0_gives_the_picture_back(task, photo):
    assert np.array_equal(pixels(paint(task, photo, 0)), pixels(photo))
    large = random_picture(560, 400)
    resized = pixels(large.resize((56, 40), Image.Resampling.BILINEAR))
    assert np.array_equal(pixels(paint(task, large, 0)), resized)


def test_the_distance_grows_with_the_strength(monkeypatch, task, photo):
    """Of a generator that predicts exactly: one without training does not know a picture that is hardly noised."""

    def exactly(z, t, sources, interval=None, guidance=None):
        return Gaussian().predict(z, t, sources).float()

    monkeypatch.setattr(task.model, "predict", exactly)
    found = [pixels(paint(task, photo, strength, guidance_scale=1.0)) for strength in (0, 0.01, 0.02, 0.1, 0.3, 0.6, 1)]
    distances = [np.abs(each - found[0]).mean() for each in found]
    assert distances == sorted(set(distances)), "strictly"
    assert distances[-1] > 10 * distances[2]


def test_a_strength_of_1_does_not_see_the_picture(task, photo):
    [anew] = task.generate(RED, seed=5, num_inference_steps=3, guidance_scale=2.0)
    assert np.array_equal(pixels(paint(task, photo, 1)), pixels(anew.image))


@pytest.mark.parametrize("sampler", ["euler", "heun", "mean-flow"])
def test_outside_the_mask_every_pixel_is_kept(task, sampler):
    photo, box = random_picture(131, 97), (40, 30, 101, 59)
    found = paint(task, photo, mask_image=hole(131, 97, box), sampler=sampler)
    assert found.size == photo.size
    inside = pixels(hole(131, 97, box)) > 0
    assert np.array_equal(pixels(found)[~inside], pixels(photo)[~inside])
    assert np.abs(pixels(found)[inside] - pixels(photo)[inside]).mean() > 20


def test_what_is_under_the_mask_does_not_show(task):
    """By default a masked part starts from noise, and neighbours at the size of painting hold nothing of it."""
    photo, box = random_picture(131, 97), (40, 30, 101, 59)
    other = photo.copy()
    other.paste((255, 0, 0), box)
    one, two = (paint(task, each, mask_image=hole(131, 97, box)) for each in (photo, other))
    assert np.array_equal(pixels(one), pixels(two))


def test_a_mask_of_one_pixel_of_a_large_picture(task):
    photo = random_picture(701, 499)
    found = paint(task, photo, mask_image=hole(701, 499, (350, 250, 351, 251)))
    changed = (pixels(found) != pixels(photo)).any(axis=2)
    assert np.argwhere(changed).tolist() == [[250, 350]]


def test_a_picture_depends_on_its_seed_alone(task, photo):
    options = {"image": photo, "strength": 0.5, "num_inference_steps": 3}
    together = task.generate(RED, n=3, seed=4, **options)
    alone = task.generate(RED, seed=6, **options)[0]
    assert np.abs(pixels(alone.image) - pixels(together[2].image)).max() <= 1
    assert np.abs(pixels(alone.image) - pixels(together[1].image)).max() > 20


def test_settings_paint_it_again_with_the_picture_alone(task, photo):
    original = SourceImage.read(photo, hole(56, 40, (9, 9, 30, 30)))
    [first] = task.generate(RED, image=photo, mask_image=original.mask, seed=1, num_inference_steps=2)
    read = Settings.parse(str(first.settings))
    assert read == first.settings
    [again] = task.generate_all([read], originals=SourceImages(original))
    assert again.to_png() == first.to_png()
    for other, message in (
        (None, "the settings are of the picture picture"),
        (SourceImage.read(photo), "the mask has the digest \\(none\\)"),
        (SourceImage.read(random_picture(40, 56)), "the picture picture has the digest"),
    ):
        with pytest.raises(SaccadeError, match=message):
            list(task.generate_all([read], originals=SourceImages(other)))


def test_pictures_from_noise_and_from_a_picture_in_one_call(task, photo):
    original = SourceImage.read(photo)
    plain = task.settings(RED, seed=1, sampling=Sampling(2))
    settings = [plain, *(replace(plain, image=original.image_settings(strength)) for strength in (0.3, 0.7))]
    for each, picture in zip(settings, task.generate_all(settings, originals=SourceImages(original)), strict=True):
        [alone] = task.generate_all([each], originals=SourceImages(original))
        assert np.abs(pixels(alone.image) - pixels(picture.image)).max() <= 1


def test_attention_of_an_edit(task, photo):
    original = SourceImage.read(photo)
    settings = replace(task.settings(RED, seed=1, sampling=Sampling(2)), image=original.image_settings(0.5))
    generation = trace_generation(task, settings, originals=SourceImages(original))
    assert [each.t for each in generation.steps] == [0.5, 0.75]
    [picture] = task.generate_all([settings], originals=SourceImages(original))
    assert picture.to_png() == generation.picture.to_png()
    with pytest.raises(SaccadeError, match="paints nothing"):
        trace_generation(task, replace(settings, image=original.image_settings(0)), originals=SourceImages(original))


# Sizes, masks and files.


@pytest.mark.parametrize(
    ("size", "options", "expected"),
    [
        ((56, 40), {}, (40, 56)),
        ((560, 400), {}, (40, 56)),
        ((1000, 1000), {}, (48, 48)),
        ((300, 1200), {}, (96, 24)),
        ((9000, 10), {}, (8, 1416)),
        ((1000, 500), {"height": 32}, (32, 64)),
        ((1000, 500), {"width": 32}, (16, 32)),
        ((1000, 500), {"height": 24, "width": 24}, (24, 24)),
    ],
)
def test_the_aspect_is_kept(size, options, expected):
    assert SourceImage.read(Image.new("RGB", size)).fit_size((40, 56), 8, **options) == expected


def test_masks_are_cut_at_half():
    grey = np.tile(np.array([0, 1, 127, 128, 254, 255], dtype=np.uint8), (2, 1))
    read = SourceImage.read(Image.new("RGB", (6, 2)), Image.fromarray(grey))
    assert np.asarray(read.mask).tolist() == [[False, False, False, True, True, True]] * 2
    assert "greys from 50 % on are white" in read.notes[0]
    assert SourceImage.read(Image.new("RGB", (6, 2)), hole(6, 2, (0, 0, 1, 1))).notes == ()


def test_a_turned_photo_and_its_mask_fit(tmp_path):
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.new("RGB", (7, 5)).save(tmp_path / "turned.jpg", exif=turned)
    read = SourceImage.read(tmp_path / "turned.jpg", hole(5, 7, (0, 0, 2, 2)))
    assert read.image.size == read.mask.size == (5, 7)
    assert "turned upright" in read.notes[0]


def test_digests_are_of_pixels_and_sizes():
    one, other = Image.new("RGB", (4, 6)), Image.new("RGB", (6, 4))
    assert SourceImage.read(one).digest != SourceImage.read(other).digest
    assert SourceImage.read(one).digest == SourceImage.read(np.zeros((6, 4, 3), dtype=np.uint8)).digest
    assert len(SourceImage.read(one).digest) == 10
    assert SourceImage.read(one).mask_digest == ""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strength": 1.5}, "a strength of 1.5"),
        ({"strength": -0.1}, "a strength of -0.1"),
        ({"strength": 0.0001}, "0.001 to 1, or 0"),
        ({"strength": math.nan}, "a strength of nan"),
        ({"mask_image": Image.new("L", (40, 56), 255)}, "has 40 x 56 pixels and picture has 56 x 40 pixels"),
        ({"mask_image": Image.new("L", (56, 40), 127)}, "has nothing to paint"),
        ({"mask_image": STROKES}, "is white all over, as its transparency is laid on white"),
        ({"mask_image": b""}, "is empty"),
        ({"height": 12}, "multiples of 8"),
        ({"image": None, "strength": 0.5}, "goes with an image"),
        ({"image": None, "mask_image": Image.new("L", (56, 40), 255)}, "goes with an image"),
        ({"image": Image.new("RGB", (9000, 3)), "height": 64}, "more than 4096 patches"),
    ],
)
def test_what_is_refused(task, photo, options, message):
    with pytest.raises(SaccadeError, match=message):
        task.generate(RED, **{"image": photo, "num_inference_steps": 1, **options})


def test_errors_of_data_are_of_their_class(photo):
    with pytest.raises(DataError):
        SourceImage.read(photo, Image.new("L", (5, 5), 255))
    with pytest.raises(DataError):
        SourceImage.read(photo, Image.new("L", photo.size))


def test_several_keep_the_picture(task, photo):
    settings = replace(task.settings(RED, seed=1), image=SourceImage.read(photo).image_settings())
    assert settings.image.strength == 0.6
    assert {each.image for each in repeat_with_seeds(settings, 3)} == {settings.image}
    assert SourceImage.read(photo, Image.new("L", photo.size, 255)).image_settings().strength == 1
