"""Pictures of prompts: seeds, sizes, weights, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from saccade.errors import CheckpointError, DataError, SaccadeError
from saccade.tasks import load
from saccade.tasks.generate.base import MAX_SEED, repeat_with_seeds
from saccade.tasks.generate.sample import Sampling
from saccade.tasks.generate.settings import Settings
from saccade.tasks.generate.task import GenerateTask, to_images
from saccade.tasks.public_loading import load_generator
from saccade.tasks.trained_models import is_generator

from .. import tiny
from . import generators

FAST = {"num_inference_steps": 3, "guidance_scale": 2.0}


@pytest.fixture(scope="module")
def task():
    return generators.task()


def pixels(picture) -> np.ndarray:
    return np.asarray(picture.image).astype(int)


def distance(one, other) -> int:
    """The largest difference of two pictures, in 1/255."""
    return np.abs(pixels(one) - pixels(other)).max()


@pytest.mark.parametrize("sampler", ["euler", "heun", "mean-flow"])
def test_a_picture_depends_on_its_seed_alone(task, sampler):
    together = task.generate("a red star", n=4, seed=11, sampler=sampler, **FAST)
    assert [picture.seed for picture in together] == [11, 12, 13, 14]
    alone = task.generate("a red star", seed=13, sampler=sampler, **FAST)[0]
    assert distance(alone, together[2]) <= 1
    assert distance(alone, together[1]) > 20


def test_a_picture_is_the_same_in_every_batch(task):
    settings = repeat_with_seeds(task.settings("a red star", seed=3, sampling=Sampling(3)), 5)
    for one, other in zip(task.generate_all(settings), task.generate_all(settings, batch=2), strict=True):
        assert distance(one, other) <= 1
        assert one.settings == other.settings


def test_the_same_settings_give_the_same_bytes(task):
    first = task.generate("a (red:1.5) star", negative_prompt="blue", seed=5, guidance_interval=(0.2, 0.8), **FAST)[0]
    read = Settings.parse(str(first.settings))
    (again,) = task.generate_all([read])
    assert again.to_png() == first.to_png()


def test_seeds_are_drawn_and_kept(task):
    one, other = task.generate("a red star", **FAST), task.generate("a red star", **FAST)
    assert one[0].seed != other[0].seed
    assert 0 <= one[0].seed < 2**32


def test_the_last_seed_is_followed_by_the_first(task):
    settings = repeat_with_seeds(task.settings("a red star", seed=MAX_SEED), 2)
    assert [each.seed for each in settings] == [MAX_SEED, 0]


def test_different_settings_in_one_call(task):
    base = task.settings("a red star", seed=1, sampling=Sampling(2))
    settings = [
        base,
        replace(base, prompt="a long blue ring above it", negative="(red:2)"),
        replace(base, size=(16, 8)),
        replace(base, sampling=Sampling(3, 1.0)),
    ]
    reported = []
    together = list(task.generate_all(settings, lambda *each: reported.append(each)))
    for each, picture in zip(settings, together, strict=True):
        (alone,) = task.generate_all([each])
        assert distance(alone, picture) <= 1
        assert picture.settings == each
        assert picture.image.size == each.size[::-1]
    assert reported == [(i, 7) for i in range(1, 8)]


def test_large_pictures_are_painted_in_smaller_batches(task, monkeypatch):
    batches = []
    monkeypatch.setattr("saccade.tasks.generate.sizes.MAX_BATCH_TOKENS", 2 * 35 + 1)
    encode = GenerateTask.encode
    monkeypatch.setattr(
        GenerateTask, "encode", lambda self, s, *given: batches.append(len(s)) or encode(self, s, *given)
    )
    assert len(task.generate("a red star", n=5, seed=0, **FAST)) == 5
    assert batches == [2, 2, 1]


def test_pictures_come_as_they_are_done(task):
    reported = []
    painting = task.generate_all(
        repeat_with_seeds(task.settings("a red star", seed=0, sampling=Sampling(2)), 3),
        lambda *e: reported.append(e),
        batch=1,
    )
    next(painting)
    assert reported == [(1, 6), (2, 6)]


def test_weights_act(task):
    plain = task.generate("a red star", seed=0, **FAST)[0]
    one = task.generate("a (red:1) star", seed=0, **FAST)[0]
    assert np.array_equal(pixels(plain), pixels(one)), "a weight of 1 changes no bit"
    by_default = task.generate(r"a (red) star", seed=0, **FAST)[0]
    assert np.array_equal(pixels(by_default), pixels(task.generate("a (red:1.1) star", seed=0, **FAST)[0]))
    for weight in ("0", "0.2", "5"):
        assert distance(plain, task.generate(f"a (red:{weight}) star", seed=0, **FAST)[0]) > 2


def test_negative_prompts_act_where_there_is_guidance(task):
    def painted(negative: str, scale: float):
        return task.generate(
            "a red star", negative_prompt=negative, seed=0, guidance_scale=scale, num_inference_steps=3
        )[0]

    assert distance(painted("", 3), painted("blue ring", 3)) > 2
    assert distance(painted("blue ring", 3), painted("(blue:9) ring", 3)) > 0
    assert np.array_equal(pixels(painted("", 1)), pixels(painted("blue ring", 1)))
    assert np.array_equal(pixels(painted("", 3)), pixels(painted("  ( ) ", 3)))


@pytest.mark.parametrize("size", [(8, 8), (24, 40), (72, 16)])
def test_any_size_of_whole_patches(task, size):
    (picture,) = task.generate("a red star", seed=0, height=size[0], width=size[1], **FAST)
    assert picture.image.size == size[::-1]


def test_the_default_size_is_that_of_training(task):
    (picture,) = task.generate("a red star", seed=0, **FAST)
    assert picture.image.size == (56, 40)
    (wide,) = task.generate("a red star", seed=0, width=80, **FAST)
    assert wide.image.size == (80, 40)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prompt": ""}, "the prompt is empty"),
        ({"prompt": " \n"}, "the prompt is empty"),
        ({"prompt": "( )"}, "the prompt has no words"),
        ({"prompt": "\u200b"}, "is blank"),
        ({"prompt": "word " * 32}, "has 32 words, more than 31: shorten it"),
        ({"prompt": "a\x07"}, "control character"),
        ({"prompt": "a\ud800"}, "surrogate"),
        ({"prompt": "(red:1.5"}, "without its partner"),
        ({"prompt": "(red:0)"}, "have the weight 0"),
        ({"prompt": "(red:-1)"}, "a number from 0 to 100"),
        ({"prompt": "(red:1e9)"}, "a number from 0 to 100"),
        ({"prompt": "(red:nan)"}, "a number from 0 to 100"),
        ({"negative_prompt": "(blue"}, "without its partner"),
        ({"negative_prompt": "word " * 32}, "more than 31"),
        ({"num_inference_steps": 0}, "0 steps"),
        ({"guidance_scale": float("nan")}, "guidance of nan"),
        ({"sampler": "ddim"}, "no sampler"),
        ({"sampler": "mean-flow", "guidance_scale": 9.0}, "contains 1 to 8"),
        ({"seed": -1}, "the seed -1 is out of range"),
        ({"seed": 2**63}, "is out of range"),
        ({"n": 0}, "0 pictures"),
        ({"height": 20}, "a size of 56 x 20 pixels: multiples of 8"),
        ({"width": 0}, "a size of 0 x 40 pixels"),
        ({"width": -8}, "a size of -8 x 40 pixels"),
        ({"height": 8000, "width": 8000}, "more than 4096 patches"),
        ({"fps": 8.0}, "fps is of a film: give num_frames"),
    ],
)
def test_what_is_refused(task, options, message):
    with pytest.raises(SaccadeError, match=message) as caught:
        task.generate(**{"prompt": "a red star", **options})
    assert len(str(caught.value).splitlines()) == 1
    assert str(caught.value).isprintable()


def test_an_output_that_is_not_finite_is_said():
    broken = generators.task()
    torch.nn.init.constant_(broken.model.out.first.bias, torch.nan)
    with pytest.raises(SaccadeError, match="not a number"):
        broken.generate("a red star", seed=0, **FAST)


def test_words_that_training_did_not_have(task):
    known = replace(task, card={"words": ["a", "red", "star", "빨간"]})
    assert known.unknown_words("A (red:2) zebra, 빨간 별 zebra") == ["zebra", ",", "별"]
    assert task.unknown_words("zebra") == [], "not recorded"


def test_pixels_become_pictures():
    ramp = torch.tensor([-2, -1, -0.5, 0, 0.5, 1, 2]).expand(1, 3, 1, 7)
    (picture,) = to_images(ramp)
    assert np.asarray(picture)[0, :, 0].tolist() == [0, 0, 64, 128, 191, 255, 255]


def test_saved_and_opened(task, tmp_path):
    task.save(tmp_path / "toy")
    opened = load(tmp_path / "toy")
    assert isinstance(opened, GenerateTask)
    assert opened.digest == task.digest
    assert is_generator(tmp_path / "toy")
    settings = task.settings("a red star", seed=4, sampling=Sampling(2))
    (one,), (other,) = task.generate_all([settings]), load_generator(tmp_path / "toy").generate_all([settings])
    assert one.to_png() == other.to_png()


def test_the_hash_is_that_of_the_weights():
    one, other = generators.task(), generators.task()
    assert one.digest == other.digest
    with torch.no_grad():
        other.model.out.first.bias[0] += 1e-3
    assert generators.task().digest == one.digest != GenerateTask(other.model, other.preprocess).digest


def test_other_models_paint_nothing(tmp_path):
    tiny.task().save(tmp_path / "tiny")
    assert not is_generator(tmp_path / "tiny")
    with pytest.raises(CheckpointError, match="paints no pictures: it is a classify model"):
        load_generator(tmp_path / "tiny")
    with pytest.raises(CheckpointError, match="there is no model 'nosuch'"):
        load_generator("nosuch")


def test_a_generator_reads_no_pictures(task):
    with pytest.raises(SaccadeError, match="tiny paints pictures and reads none: use saccade generate"):
        task.predict("photo.jpg")
    with pytest.raises(SaccadeError, match="reads none"):
        task.predict_all(["photo.jpg"])


def test_bad_prompts_are_data_errors(task):
    with pytest.raises(DataError):
        task.settings("(red")


def test_the_card_sets_the_guidance():
    one = generators.task()
    assert one.generate("red", seed=1, num_inference_steps=1)[0].settings.sampling.guidance == 3
    one.card["guidance"] = 5
    assert one.generate("red", seed=1, num_inference_steps=1)[0].settings.sampling.guidance == 5
    assert one.settings("red").sampling.guidance == 5
    one.card["guidance"] = "much"
    with pytest.raises(SaccadeError, match="the guidance 'much'; a number expected"):
        one.settings("red")
