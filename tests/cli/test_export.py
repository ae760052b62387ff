"""`saccade export`, and `predict` with what it wrote."""

import json
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.usefixtures("unchecked")


def test_an_archive_is_written_and_compared(saccade, model, red, tmp_path):
    done = saccade("export", model, "--format", "torch", "--out", "tiny.pt2", "--json")
    assert done.code == 0, done.err
    written = json.loads(done.out)
    assert max(written["differences"].values()) < 1e-5
    assert [axis["name"] for axis in written["axes"]] == ["batch", "channels", "height", "width"]
    assert (tmp_path / "tiny.pt2").stat().st_size > 1000
    assert "unpickles" in saccade("predict", red, "--model", "tiny.pt2").line


def test_predict_gives_the_same_answers(saccade, model, photos):
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    done = saccade("export", model, "--out", "tiny.onnx")
    assert done.code == 0, done.err
    assert "batch 1 to 4096, channels 3, height 4 to 1024 in steps of 4" in done.out
    assert "largest difference to PyTorch" in done.out
    right, answers = (
        json.loads(saccade("predict", photos, "--model", each, "--json").out) for each in (model, "tiny.onnx")
    )
    assert [answer["labels"] for answer in answers] == [answer["labels"] for answer in right]
    for answer, expected in zip(answers, right, strict=True):
        assert answer["probabilities"] == pytest.approx(expected["probabilities"], abs=1e-5)
    scores = [saccade("val", photos, "--model", each, "--out", each.stem) for each in (model, Path("tiny.onnx"))]
    assert scores[1].code == 0, scores[1].err
    assert [line for line in scores[1].out.splitlines() if "top1" in line]
    assert "runs in an inference engine" in saccade("look", photos / "red" / "0.png", "--model", "tiny.onnx").line
    assert "exported already" in saccade("export", "tiny.onnx", "--out", "again.onnx").line


def test_packages_are_missed_before_the_work(saccade, model, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    monkeypatch.setattr("saccade.tasks.exported.capture", None)
    assert "written by onnx and onnxscript" in saccade("export", model, "--out", "tiny.onnx").line


def test_refusals(saccade, model):
    assert "ends in .pt2; a file of onnx ends in .onnx" in saccade("export", model, "--out", "tiny.pt2").line
    assert "is not a folder" in saccade("export", model, "--out", "nowhere/tiny.onnx").line
    assert "there is no model 'nothing'" in saccade("export", "nothing", "--out", "tiny.onnx").line
    assert "of the kind generate" in saccade("export", "painter", "--out", "tiny.onnx").line
