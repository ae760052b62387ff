"""Scores of a generator on scenes."""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from saccade.data.preprocess import Preprocess
from saccade.device import init_device
from saccade.errors import UsageError
from saccade.models.generator import Generator, GeneratorConfig
from saccade.tasks.generate import distribution, report
from saccade.tasks.generate.sample import Sampling
from saccade.tasks.generate.task import GenerateTask

CONFIG = {
    "block": {"width": 24, "heads": 2, "hidden": 14, "activation": "swiglu"},
    "depth": 2,
    "patch": 8,
    "bottleneck": 7,
    "text": {"block": {"width": 12, "heads": 3, "hidden": 7}, "depth": 1, "max_words": 128},
    "late": 1,
}


def tiny_generator(seed: int = 0) -> GenerateTask:
    torch.manual_seed(seed)
    model = Generator(GeneratorConfig.model_validate(CONFIG))
    torch.nn.init.normal_(model.out.first.weight, std=0.3)
    return GenerateTask(model, Preprocess((64, 64), "letterbox"), "tiny", card={"objects": (1, 3), "apart": True})


@pytest.fixture(autouse=True)
def _two_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "Sampling", lambda: Sampling(2))
    monkeypatch.setattr(distribution, "REFERENCES", 13)


def evaluate(data: str, out: Path, split: str | None = None):
    return report.evaluate(tiny_generator(), Path(data), split, "fail", init_device("cpu", "fp32"), out)


def test_pictures_stand_beside_real_scenes_and_shuffled_captions(tmp_path):
    result = evaluate("scenes:4", tmp_path)
    scores, details = result.scores, result.scores["details"]
    assert scores["pictures"] == 4
    assert scores["objects"] == "1 to 3"
    assert scores["apart"] is True
    for name in ("painted", "real", "Korean painted", "Korean real"):
        assert details[name]["total"]["pictures"]["n"] == 4
    assert scores["atoms, real scenes"] > 0.9 > 0.5 > scores["atoms"]  # random weights paint no scene
    assert scores["atoms, real scenes"] > details["real, shuffled"]["total"]["atoms"]["value"] + 0.2
    low, high = details["painted"]["total"]["atoms"]["interval"]
    assert low - 1e-9 <= details["painted"]["total"]["atoms"]["value"] <= high < 0.6
    by_objects = {k: each["pictures"]["n"] for k, each in details["painted"]["by_objects"].items()}
    assert sum(by_objects.values()) == 4
    assert {f"{k} object{'s' * (k != '1')}" for k in by_objects} <= set(scores)
    near = "nearest training-like / held-out distance"
    assert 0.7 < scores[f"{near}, real scenes"] < 1.4
    assert scores[near] == scores["distribution"]["neighbours"]["painted"]["median"][0]
    assert scores["precision"] == scores["recall"] == 0  # random weights paint no scene
    assert scores["distribution"]["manifolds"]["real scenes"]["recall"]["n"] == 4
    json.dumps(scores, allow_nan=False)
    assert {"count", "shape", "colour", "Korean shape"} <= set(result.bars)
    with Image.open(tmp_path / "sheet.png") as sheet, Image.open(tmp_path / "scores.png") as chart:
        assert sheet.width > 4 * 192
        assert chart.height > 400


def test_one_scene_again(tmp_path):
    first, again = evaluate("scenes:1,objects=1", tmp_path), evaluate("scenes:1,objects=1", tmp_path)
    assert first.scores == again.scores
    assert first.scores["objects"] == "1 to 1"
    assert set(first.scores["details"]) == {"painted", "real", "Korean painted", "Korean real"}  # one has no control
    assert "precision" not in first.scores


def test_what_it_refuses(tmp_path):
    with pytest.raises(UsageError, match="--split val: scenes have no splits"):
        evaluate("scenes:3", tmp_path, split="val")
    with pytest.raises(UsageError, match="a generator is scored on scenes"):
        evaluate(str(tmp_path), tmp_path)
