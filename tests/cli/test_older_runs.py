"""Models and runs that were written before options and weights had their present names are loaded and resumed.

`older_runs/` was written by the version before the change: a run of each task, stopped before its last updates.
"""

import json
import shutil
from pathlib import Path

import pytest

from saccade.cli.deprecated_options import rename_options
from saccade.models import PRESETS
from saccade.options import DataOptions
from saccade.tasks import ClassifyRecipe, DetectRecipe, load
from saccade.train import resume_options

from ..tasks import tiny

OLDER = Path(__file__).parent / "older_runs"
RENAMED = {
    "classify": (ClassifyRecipe, "mixup_off_fraction", 0.5),
    "detect": (DetectRecipe, "denoising_queries", 4),
}
TOY = {"depth": 2, "patch": 4, "positions": ("rotary",), "block": {"width": 16, "heads": 2, "hidden": 24}}


@pytest.mark.parametrize("kind", ["classify", "detect", "segment"])
def test_an_older_model_predicts(kind):
    task = load(OLDER / kind)
    assert task.kind == kind
    result = task.predict(tiny.picture("red")).to_dict()
    assert result["width" if kind != "classify" else "labels"]


@pytest.mark.parametrize("kind", ["classify", "detect"])
def test_an_older_run_is_resumed(kind, saccade, monkeypatch, tmp_path):
    monkeypatch.setitem(PRESETS, "toy", TOY)
    monkeypatch.setitem(PRESETS, "toy/8", {**TOY, "depth": 1, "patch": 8})
    shutil.copytree(OLDER / kind, tmp_path / "runs" / kind)
    tiny.folder(tmp_path / "set", each=8)
    result = saccade("train", kind, "--name", kind, "--resume")
    assert result.code == 0, result.err
    assert resume_options(tmp_path / "runs" / kind, DataOptions(), "source").on_error == (
        "fail" if kind == "classify" else "skip"
    )
    recipe, name, value = RENAMED[kind]
    assert getattr(resume_options(tmp_path / "runs" / kind, recipe(), "recipe"), name) == value
    steps = sorted(path.name for path in (tmp_path / "runs" / kind / "state").iterdir())
    assert steps[-1] == "step-000000008"


def test_an_option_by_its_old_name_is_accepted_with_a_note(saccade, tmp_path, monkeypatch):
    monkeypatch.setitem(PRESETS, "toy", TOY)
    tiny.folder(tmp_path / "set", each=8)
    quick = {"--data": "set", "--model": "toy", "--size": 16, "--epochs": 1, "--batch": 8, "--compile": "no"}
    old = ["--hold-out", "0.25", "--no-grow", "--bad=fail"]
    result = saccade("train", "classify", *(part for pair in quick.items() for part in pair), *old)
    assert result.code == 0, result.err
    for note in ("--hold-out is called --val-fraction", "--no-grow is called --no-progressive-resize", "--on-error"):
        assert note in result.err
    config = json.loads((tmp_path / "runs" / "classify" / "config.json").read_text())
    assert config["source"]["val_fraction"] == 0.25
    assert config["recipe"]["progressive_resize"] is False


def test_the_depth_of_a_generator_is_no_old_name():
    notes: list[str] = []
    assert rename_options(["train", "generate", "--depth", "1"], notes.append) == ["train", "generate", "--depth", "1"]
    assert not notes
    assert rename_options(["train", "detect", "--depth", "1"], notes.append)[2] == "--decoder-depth"
    assert len(notes) == 1
