"""The classifier: what it pools, and that it learns."""

import math

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError

from saccade.models import Classifier, ClassifierConfig

VIT = {"block": {"width": 12, "heads": 2, "hidden": 24}, "depth": 2, "patch": 4, "grid": (2, 3), "registers": 2}


def classifier(**changes) -> Classifier:
    model = Classifier(ClassifierConfig.model_validate({"vit": VIT, "classes": 5} | changes)).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return model


@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("head_bias", [False, True])
@pytest.mark.parametrize("pool", ["cls", "mean", "cls+mean"])
def test_logits_are_the_head_of_what_is_pooled(pool, head_bias, norm):
    model, picture = classifier(pool=pool, pool_norm=norm, head_bias=head_bias), torch.randn(2, 3, 9, 13)
    tokens = model.vit(picture)
    cls, mean = tokens[:, 0], tokens[:, 3:].mean(dim=1)  # after cls and two registers
    pooled = {"cls": cls, "mean": mean, "cls+mean": torch.cat([cls, mean], dim=-1)}[pool]
    torch.testing.assert_close(model.pooled(tokens), pooled)
    if norm:
        pooled = F.rms_norm(pooled, pooled.shape[-1:], model.pool_norm.weight, 1e-6)
    expected = pooled @ model.head.weight.T + (model.head.bias if head_bias else 0)
    torch.testing.assert_close(model(picture), expected)


def test_the_mean_of_a_vit_without_prefix():
    model, picture = classifier(pool="mean", vit={**VIT, "cls": False, "registers": 0}), torch.randn(2, 3, 9, 13)
    torch.testing.assert_close(model(picture), model.head(model.vit(picture).mean(dim=1)))


def test_distilled_is_the_mean_of_two_heads():
    model, picture = classifier(pool="distilled", vit={**VIT, "registers": 1}), torch.randn(2, 3, 9, 13)
    tokens = model.vit(picture)
    expected = (model.head(tokens[:, 0]) + model.distilled_head(tokens[:, 1])) / 2
    torch.testing.assert_close(model(picture), expected)


@pytest.mark.parametrize("pool", ["cls", "mean", "cls+mean", "distilled"])
def test_a_new_classifier_knows_nothing(pool):
    model = Classifier(ClassifierConfig.model_validate({"vit": VIT, "classes": 5, "pool": pool}))
    logits = model(torch.randn(3, 3, 9, 13))
    torch.testing.assert_close(logits, logits[:1].expand(3, 5))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pool": "cls", "vit": {**VIT, "cls": False}}, "reads the class token, and the vit has none"),
        ({"pool": "cls+mean", "vit": {**VIT, "cls": False}}, "reads the class token, and the vit has none"),
        ({"pool": "distilled", "vit": {**VIT, "registers": 0}}, "reads a second token"),
        ({"pool": "distilled", "pool_norm": True}, "does not normalise"),
        ({"pool": "max"}, "pool"),
        ({"classes": 0}, "classes"),
        ({"dropout": 0.1}, "dropout"),
    ],
)
def test_configs_that_cannot_work(changes, message):
    with pytest.raises(ValidationError, match=message):
        ClassifierConfig.model_validate({"vit": VIT, "classes": 5} | changes)


def test_config_round_trip():
    config = classifier(pool="cls+mean").config
    assert ClassifierConfig.model_validate_json(config.model_dump_json()) == config


@pytest.mark.usefixtures("unchecked")  # many small steps
@pytest.mark.parametrize(("pool", "precision"), [("cls", "float32"), ("mean", "bfloat16")])
def test_it_learns_a_few_pictures_by_heart(pool, precision):
    config = ClassifierConfig.model_validate({"vit": {**VIT, "depth": 1}, "classes": 5, "pool": pool})
    model = Classifier(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.03)
    pictures, labels = torch.randn(10, 3, 8, 12), torch.arange(10) % 5
    losses = []
    for _ in range(20):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bfloat16"):
            loss = F.cross_entropy(model(pictures).float(), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(math.log(5), abs=0.3)  # as good as guessing
    assert losses[-1] < 0.3
