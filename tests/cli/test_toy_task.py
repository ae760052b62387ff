"""A new task is a folder and a line: a toy task is driven through the commands."""

import json
from pathlib import Path

import pytest

from saccade.tasks import load, registry

from ..tasks import tiny

FOLDER = Path(__file__).parents[1] / "tasks" / "toy"


@pytest.fixture
def toy(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER.parent))
    monkeypatch.setitem(registry.TASKS, "brightness", "toy.commands")


def test_it_is_small():
    (file,) = FOLDER.glob("*.py")
    code = [line for line in file.read_text().splitlines() if line.strip()]
    assert len(code) <= 60


def test_train_val_predict_help_and_load(toy, saccade, tmp_path):
    tiny.folder(tmp_path / "photos", each=8)
    assert "saccade train brightness" in saccade("train", "brightness", "--help").out
    assert "brightness" in saccade("train", "--help").out
    quick = ["--epochs", "20", "--batch", "8", "--precision", "fp32", "--compile", "no", "--device", "cpu"]
    trained = saccade("train", "brightness", "--data", "photos", "--ema", "0.5", *quick)
    assert trained.code == 0, trained.err
    scores = json.loads(saccade("val", "photos", "--model", "runs/brightness", "--json").out)
    assert scores["pictures"] == 24
    assert scores["error"] < 0.1
    predicted = saccade("predict", "photos/red/0.png", "--model", "runs/brightness", "--json")
    (result,) = json.loads(predicted.out)
    assert result["brightness"] == pytest.approx(
        next(load(tmp_path / "runs" / "brightness").predict_all(["photos/red/0.png"])).brightness
    )
    assert "brightness" in saccade("predict", "photos/red/0.png", "--model", "runs/brightness").out
    refused = saccade("predict", "photos/red/0.png", "--model", "runs/brightness", "--top", "2")
    assert refused.code == 2
    assert "--top is an option of classify" in refused.line
