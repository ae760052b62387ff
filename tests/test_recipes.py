"""The scripts of `recipes/` run."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from saccade.tasks import load
from tests.tasks import tiny

ROOT = Path(__file__).parents[1]


@pytest.fixture
def embed():
    spec = importlib.util.spec_from_file_location("embed", ROOT / "recipes" / "embed.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pictures(folder: Path, n: int) -> Path:
    """n pictures of noise of each class."""
    noise = np.random.default_rng(n)
    for label in tiny.task().labels:
        (folder / label).mkdir(parents=True)
        for i in range(n):
            Image.fromarray(noise.integers(0, 256, (24, 24, 3), dtype=np.uint8)).save(folder / label / f"{i}.png")
    return folder


def test_a_trained_classifier_becomes_a_bundled_one(embed, tmp_path, monkeypatch):
    tiny.task().save(tmp_path / "runs" / "small" / "model")
    train, test = pictures(tmp_path / "train", 61), pictures(tmp_path / "test", 7)
    arguments = [tmp_path / "runs" / "small", "--held-out", train, "--hold-out", 0.3, "--test", test]
    monkeypatch.setattr(sys, "argv", ["embed.py", *map(str, arguments), "--out", str(tmp_path / "weights")])
    embed.main()
    card = load(tmp_path / "weights" / "small").card
    assert card["test"]["on"] == "the 21 pictures of test, in fp32"
    assert 0 <= card["test"]["scores"]["top1"] <= 1
    assert card["out_of_distribution"]["held_out_pictures"] == 54
