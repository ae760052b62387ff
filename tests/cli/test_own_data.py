"""`val` on the data that a model was trained on scores what was held out, and says so."""

import csv
import json

import pytest

from saccade.data import ImageFolder
from saccade.models import PRESETS
from saccade.tasks import ClassifyTask

from ..tasks import tiny

TOY = {"depth": 1, "patch": 4, "positions": ("rotary",), "block": {"width": 16, "heads": 2, "hidden": 24}}


@pytest.fixture
def trained(saccade, tmp_path, monkeypatch):
    """A classifier trained on set/, of whose pictures one a class is held out."""
    monkeypatch.setitem(PRESETS, "toy", TOY)
    tiny.folder(tmp_path / "set", each=4)

    def train(*more):
        quick = ("--model", "toy", "--size", "16", "--epochs", "1", "--batch", "8", "--compile", "no")
        completed = saccade("train", "classify", *quick, "--precision", "fp32", *more)
        assert completed.code == 0, completed.err
        return completed

    return train


def val(saccade, *arguments):
    completed = saccade("val", *arguments, "--precision", "fp32", "--json")
    assert completed.code == 0, completed.err
    return json.loads(completed.out), completed.err


def test_the_held_out_part_is_scored(trained, saccade, tmp_path):
    trained("--data", "set")
    card = ClassifyTask.open(tmp_path / "runs" / "classify" / "model").card
    scores, said = val(saccade, "set", "--model", "runs/classify")
    assert scores["pictures"] == 3
    assert scores["top1"] == pytest.approx(card["scores"]["top1"])
    assert scores["loss"] == pytest.approx(card["scores"]["loss"], abs=1e-3)
    assert "set is the data that classify was trained on: the 3 pictures that were held out are scored" in said
    with (tmp_path / "runs" / "val-classify" / "pictures.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3
    assert sum(int(row["correct"]) for row in rows) / 3 == pytest.approx(scores["top1"])
    assert all(row["name"].startswith(row["true"]) for row in rows)
    scores, said = val(saccade, "set", "--model", "runs/classify", "--split", "all")
    assert scores["pictures"] == 12
    assert "the pictures that classify was trained on are scored too" in said


def test_it_is_known_wherever_it_lies(trained, saccade, tmp_path):
    trained("--data", "set", "--val-fraction", "0.5")
    (tmp_path / "set").rename(tmp_path / "elsewhere")
    (tmp_path / "runs" / "classify" / "model").rename(tmp_path / "model")
    scores, said = val(saccade, "elsewhere", "--model", "model")
    assert scores["pictures"] == 6
    assert "held out" in said


def test_other_data_with_the_same_names_is_other_data(trained, saccade, tmp_path):
    trained("--data", "set")
    tiny.folder(tmp_path / "test", each=4, first=70)
    assert ImageFolder(tmp_path / "test").names == ImageFolder(tmp_path / "set").names
    scores, said = val(saccade, "test", "--model", "runs/classify")
    assert scores["pictures"] == 12
    assert "trained on" not in said


def test_data_that_has_changed(trained, saccade, tmp_path):
    trained("--data", "set")
    tiny.picture("red", seed=99).save(tmp_path / "set" / "red" / "9.png")
    scores, said = val(saccade, "set", "--model", "runs/classify")
    assert scores["pictures"] == 13
    assert "set is what classify was trained on, and has changed since" in said


def test_a_validation_set_of_its_own(trained, saccade, tmp_path):
    tiny.folder(tmp_path / "val", each=2, first=40)
    trained("--data", "set", "--val", "val")
    scores, said = val(saccade, "set", "--model", "runs/classify")
    assert scores["pictures"] == 12
    assert "classify was trained on all of these pictures" in said
    scores, said = val(saccade, "val", "--model", "runs/classify")
    assert scores["pictures"] == 6
    assert "these are the validation pictures of classify" in said


def test_splits_of_the_data(trained, saccade, tmp_path):
    tiny.folder(tmp_path / "split" / "train", each=4)
    for part, first in (("val", 40), ("test", 60)):
        tiny.folder(tmp_path / "split" / part, each=2, first=first)
    trained("--data", "split")
    scores, said = val(saccade, "split", "--model", "runs/classify")
    assert scores["pictures"] == 6
    assert "held out" in said
    assert "trained on" not in val(saccade, "split", "--split", "test", "--model", "runs/classify")[1]
    assert "trained on all of these" in val(saccade, "split", "--split", "train", "--model", "runs/classify")[1]


def test_some_classes(trained, saccade, tmp_path):
    trained("--data", "set", "--classes", "red", "blue")
    task = ClassifyTask.open(tmp_path / "runs" / "classify" / "model")
    assert task.labels == ["red", "blue"]
    assert val(saccade, "set", "--model", "runs/classify")[0]["pictures"] == 2
    tiny.folder(tmp_path / "other", each=3, first=50)
    scores, said = val(saccade, "other", "--model", "runs/classify")
    assert (scores["pictures"], list(scores["per_class"])) == (6, ["red", "blue"])
    assert "scored are the classes red, blue" in said
    scores, _ = val(saccade, "other", "--model", "runs/classify", "--classes", "blue")
    assert (scores["pictures"], scores["per_class"]["red"]) == (3, None)
    wrong = saccade("val", "other", "--model", "runs/classify", "--classes", "green")
    assert wrong.code == 2
    assert "--classes: classify does not know green; it knows red, blue" in wrong.err
    wrong = saccade("train", "classify", "--data", "set", "--name", "x", "--classes", "pink", "red")
    assert "has no class 'pink'; it has blue, green, red" in wrong.err


def test_weights_of_other_classes_are_said(trained, saccade):
    trained("--data", "set")
    completed = trained("--data", "set", "--name", "b", "--weights", "runs/classify", "--classes", "red", "green")
    assert "classes: taken red, green, not used blue" in completed.err
