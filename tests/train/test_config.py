"""Options of a run."""

import json

import pytest
from pydantic import BaseModel, ValidationError

from saccade.errors import SaccadeError
from saccade.options import PictureRecipe
from saccade.train import TrainConfig, resume_options
from saccade.train.config import SHARDS, check_same_options, write_options


@pytest.mark.parametrize(
    ("samples", "batch", "epochs"),
    [
        (8, 8, 1000),  # the smallest there is: a batch an epoch
        (63, 8, 143),  # ceil(1000 / 7)
        (1000, 120, 125),
        (2048, 256, 125),
        (50_000, 256, 30),
        (10**6, 256, 30),
    ],
)
def test_fitted(samples, batch, epochs):
    fitted = TrainConfig().with_auto_defaults(samples)
    assert (fitted.batch, fitted.epochs) == (batch, epochs)
    assert fitted.batch % SHARDS == 0


def test_fitted_keeps_what_was_given():
    fitted = TrainConfig(batch=16, epochs=3, lr=0.5).with_auto_defaults(10_000)
    assert (fitted.batch, fitted.epochs, fitted.lr) == (16, 3, 0.5)
    assert TrainConfig(batch=16).with_auto_defaults(1600).epochs == 30
    assert TrainConfig(epochs=7).with_auto_defaults(80).batch == 8


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epochs", 0),
        ("batch", -8),
        ("lr", 0),
        ("adam_lr", -1.0),
        ("weight_decay", -0.1),
        ("warmup", 1.0),
        ("ema", 1.0),
        ("ema", float("nan")),
        ("device", "tpu"),
        ("precision", "fp16"),
        ("compile", True),
        ("seed", "one"),
        ("seed", -1),
        ("seed", 2**63),
        ("lr", float("inf")),
        ("learning_rate", 0.1),  # no such field
    ],
)
def test_invalid_options_are_refused(field, value):
    with pytest.raises(ValidationError, match=field):
        TrainConfig(**{field: value})


class Shape(BaseModel, extra="forbid"):
    size: int = 64
    crop: str | None = "pad"


def test_unset_options_are_those_of_the_run(tmp_path):
    (tmp_path / "state").mkdir()
    before = {**TrainConfig(lr=0.5, epochs=3).model_dump(), "data": "x", "recipe": {"size": 32, "crop": "none"}}
    (tmp_path / "config.json").write_text(json.dumps(before))
    config = resume_options(tmp_path, TrainConfig(epochs=9, seed=0))
    assert (config.lr, config.epochs, config.seed) == (0.5, 9, 0)
    assert resume_options(tmp_path, Shape(), "recipe") == Shape(size=32, crop="none")
    # Given, even if it is the default: then it is what counts.
    assert resume_options(tmp_path, Shape(size=64, crop=None), "recipe") == Shape(size=64, crop=None)
    assert resume_options(tmp_path, Shape(), "source") == Shape()  # a run that does not say
    with pytest.raises(SaccadeError, match="a length of 3 epochs: resume it without --budget, or with a larger --epo"):
        resume_options(tmp_path, TrainConfig(budget="1h"))


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        ('{"recipe": {"size": "big"}}', "config.json of the run to resume: size"),
        ('{"recipe": {"colour": 1}}', "has the option colour, which is unknown here: resume it with the task"),
        ('{"recipe": 7}', "config.json of the run to resume cannot be read"),
        ("[]", "config.json of the run to resume cannot be read"),
        ("{", "config.json of the run to resume cannot be read"),
    ],
)
def test_invalid_options_of_a_run(tmp_path, contents, message):
    with pytest.raises(SaccadeError, match="no complete state to resume"):
        resume_options(tmp_path, Shape(), "recipe")
    (tmp_path / "state").mkdir()
    (tmp_path / "config.json").write_text(contents)
    with pytest.raises(SaccadeError, match=message):
        resume_options(tmp_path, Shape(), "recipe")


def test_memory_for_pictures_is_a_size_and_may_change_between_the_parts_of_a_run(tmp_path):
    assert PictureRecipe(cache="500MB").cache == 500_000_000
    assert PictureRecipe(cache="2.5gb").cache == 2_500_000_000
    assert PictureRecipe(cache=7).cache == 7
    for text in ("4", "GB", "4 TB", "-1GB", "nanGB", ""):
        with pytest.raises(ValueError, match=r"such as 500MB or 2\.5GB"):
            PictureRecipe(cache=text)
    write_options(tmp_path, {"recipe": PictureRecipe(cache="1GB").model_dump()})
    (tmp_path / "state" / "step-1").mkdir(parents=True)
    check_same_options(tmp_path, {"recipe": PictureRecipe(cache="2GB").model_dump()})
    with pytest.raises(SaccadeError, match="started with hflip True"):
        check_same_options(tmp_path, {"recipe": PictureRecipe(hflip=False).model_dump()})
