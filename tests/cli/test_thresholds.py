"""The threshold of a detector: found by `val`, kept with the model, used by `predict`, `look` and the charts; found
objects as files."""

import csv
import json
import shutil

import pytest

from saccade.errors import DataError
from saccade.tasks import DetectTask

from ..tasks import finder, tiny


@pytest.fixture
def detector(tmp_path):
    finder.task().save(tmp_path / "finder")
    return tmp_path / "finder"


@pytest.fixture
def own(saccade, detector, tmp_path):
    """Pictures whose objects are what the detector finds with its three highest scores; all scores, and a cut."""
    (tmp_path / "set").mkdir()
    for i, color in enumerate(("red", "green", "blue")):
        tiny.picture(color, seed=i, size=(80, 64)).save(tmp_path / "set" / f"{i + 1}.png")
    scores = [float(s) for one in DetectTask.open(detector).predict_all(sorted((tmp_path / "set").iterdir()), 0)
              for s in one.found.scores]  # fmt: skip
    scores.sort(reverse=True)
    split = (scores[2] + scores[3]) / 2
    shutil.copytree(tmp_path / "set", tmp_path / "drawn from")
    assert saccade("predict", "set", "--model", detector, "--coco", "set/found.json", "--threshold", split).code == 0
    return scores, split


def kept(detector):
    return json.loads((detector / "config.json").read_text())["card"].get("threshold")


def shown(saccade, detector, *arguments):
    completed = saccade("predict", "drawn from", "--model", detector, "--json", *arguments)
    return sum(len(each["objects"]) for each in json.loads(completed.out))


def test_val_finds_and_keeps_it(saccade, detector, own):
    scores, _ = own
    assert kept(detector) is None
    assert shown(saccade, detector) == sum(score >= 0.5 for score in scores)
    completed = saccade("val", "set", "--precision", "fp32", "--model", detector, "--json")
    assert completed.code == 0, completed.err
    found = json.loads(completed.out)
    assert (found["best_F1"], found["F1"], found["mAP50"]) == (1, 1, 1)
    assert scores[3] < found["best_threshold"] <= scores[2]
    assert found["threshold"] == found["best_threshold"] == kept(detector)
    assert "is kept with the model: predict and look show objects from it on (before: 0.5)" in completed.err
    assert shown(saccade, detector) == 3
    assert shown(saccade, detector, "--threshold", 0) == len(scores)
    looked = saccade("look", "drawn from/1.png", "--model", detector, "--json", "--out", "page.html")
    first = json.loads(saccade("predict", "drawn from/1.png", "--model", detector, "--json").out)[0]
    assert len(json.loads(looked.out)["prediction"]["objects"]) == len(first["objects"])


def test_it_is_replaced_only_where_that_is_wanted(saccade, detector, own):
    assert saccade("val", "set", "--precision", "fp32", "--model", detector, "--no-keep-threshold").code == 0
    assert kept(detector) is None
    bundled = json.loads(saccade("val", "scenes:2", "--model", "scenes", "--json").out)
    assert bundled["threshold"] == 0.5  # as predict has it
    DetectTask.open(detector).update_card(threshold=0.99)
    scores = json.loads(saccade("val", "set", "--precision", "fp32", "--model", detector, "--json").out)
    assert (scores["threshold"], scores["recall"], kept(detector)) == (0.99, 0, 0.99)
    assert scores["best_F1"] == 1
    told = saccade("val", "set", "--precision", "fp32", "--model", detector).err
    assert "predict and look have an F1 of 1.000 here, and 0.000 at 0.99" in told
    completed = saccade("val", "set", "--precision", "fp32", "--model", detector, "--keep-threshold", "--json")
    assert kept(detector) == json.loads(completed.out)["best_threshold"]
    assert "before: 0.99" in completed.err
    DetectTask.open(detector)  # its digest is right
    bundled = saccade("val", "scenes:1", "--model", "scenes", "--keep-threshold")
    assert bundled.code == 2
    assert "--keep-threshold: scenes is no model of" in bundled.err


def test_a_model_that_cannot_be_written_is_scored(saccade, detector, own, monkeypatch):
    def refused(*_):
        raise DataError("config.json cannot be written there (read-only)")

    monkeypatch.setattr("saccade.tasks.saved.write_file", refused)
    completed = saccade("val", "set", "--precision", "fp32", "--model", detector, "--json")
    assert (completed.code, json.loads(completed.out)["threshold"]) == (0, 0.5)
    assert "cannot be kept with the model: config.json cannot be written" in completed.err


def test_scores_of_each_picture(saccade, detector, own, tmp_path):
    saccade("val", "set", "--precision", "fp32", "--model", detector, "--out", "scores")
    with (tmp_path / "scores" / "pictures.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == ["1.png", "2.png", "3.png"]
    assert sum(int(row["correct"]) for row in rows) == sum(int(row["objects"]) for row in rows) == 3


def test_some_classes(saccade, detector, own):
    label = DetectTask.open(detector).labels[0]
    completed = saccade("val", "set", "--precision", "fp32", "--model", detector, "--classes", label, "--json")
    scores = json.loads(completed.out)
    assert all(one["objects"] == 0 for name, one in scores["per_class"].items() if name != label)
    wrong = saccade("val", "set", "--precision", "fp32", "--model", detector, "--classes", "bird")
    assert (wrong.code, "does not know bird; it knows cat, dog" in wrong.err) == (2, True)


def test_files_of_found_objects(saccade, detector, own, tmp_path):
    completed = saccade("predict", "drawn from", "--model", detector, "--threshold", own[1], "--yolo", "labels",
                        "--crops", "crops", "--draw", "drawn")  # fmt: skip
    assert completed.code == 0, completed.err
    for line in ("The labels are in labels", "The objects are in crops"):
        assert line in completed.err
    lines = [line for i in (1, 2, 3) for line in (tmp_path / "labels" / f"{i}.txt").read_text().splitlines()]
    assert len(lines) == len(list((tmp_path / "crops").rglob("*.png"))) == 3
    again = saccade("predict", "drawn from", "--model", detector, "--yolo", "labels")
    assert "already exists: give another folder to --yolo" in again.line
    same = saccade("predict", "drawn from", "--model", detector, "--yolo", "x", "--draw", "x")
    assert (same.code, "--draw and --yolo name the same folder" in same.line) == (2, True)
