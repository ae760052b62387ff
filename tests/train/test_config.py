"""What a run can be told."""

import pytest
from pydantic import ValidationError

from saccade.train import TrainConfig
from saccade.train.config import SHARDS


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
    fitted = TrainConfig().fitted(samples)
    assert (fitted.batch, fitted.epochs) == (batch, epochs)
    assert fitted.batch % SHARDS == 0


def test_fitted_keeps_what_was_given():
    fitted = TrainConfig(batch=16, epochs=3, lr=0.5).fitted(10_000)
    assert (fitted.batch, fitted.epochs, fitted.lr) == (16, 3, 0.5)
    assert TrainConfig(batch=16).fitted(1600).epochs == 30
    assert TrainConfig(epochs=7).fitted(80).batch == 8


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
def test_what_makes_no_sense_is_refused(field, value):
    with pytest.raises(ValidationError, match=field):
        TrainConfig(**{field: value})
