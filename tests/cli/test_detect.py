"""`saccade train detect`, and val and predict with a detector."""

import csv
import io
import json
import os

import pytest
from PIL import Image

from saccade.data.scenes.shapes import SHAPES
from saccade.models import PRESETS

from ..data.objects import annotated_sets
from ..tasks import finder, tiny


@pytest.fixture
def train(saccade, monkeypatch, tmp_path):
    monkeypatch.setitem(PRESETS, "toy", finder.TOY)
    quick = {
        "--data": "set", "--model": "toy", "--size": "40", "--queries": "8", "--decoder-depth": "1",
        "--denoising-queries": "6", "--epochs": "2", "--batch": "8", "--precision": "fp32",
        "--compile": "no", "--device": "cpu",
    }  # fmt: skip

    def run(*arguments):
        usual = [part for option, value in quick.items() if option not in arguments for part in (option, value)]
        return saccade("train", "detect", *usual, *arguments)

    return run


@pytest.fixture
def detector(tmp_path):
    finder.task().save(tmp_path / "models" / "finder", scores={"mAP": 0.5})
    return tmp_path / "models" / "finder"


def test_from_scenes_to_boxes(train, saccade, tmp_path):
    completed = train("--data", "scenes:16", "--name", "drawn")
    assert completed.code == 0, completed.err
    assert "runs/drawn/model: mAP" in completed.out
    assert "recall@20" in completed.out
    assert saccade("scenes", "three", "--n", "3", "--size", "64", "--format", "coco").code == 0
    scores = json.loads(saccade("val", "three", "--model", "runs/drawn", "--json").out)
    assert scores["pictures"] == 3
    assert 0 <= scores["mAP"] <= 1
    assert "recall@20" in scores
    assert len(scores["per_class"]) == 10
    out = tmp_path / "runs" / "val-drawn"
    assert {p.name for p in out.iterdir()} == {
        "scores.json", "curves.png", "confusion.png", "mistakes.png", "pictures.csv"
    }  # fmt: skip
    for name in ("curves", "confusion", "mistakes"):
        with Image.open(out / f"{name}.png") as picture:
            picture.load()
    shown = saccade("val", "scenes:2", "--model", "runs/drawn")
    assert "drawn on 2 pictures" in shown.out


def test_a_set_of_ones_own_from_a_start(train, saccade, tmp_path):
    tiny.task(patch=8, depth=2).save(tmp_path / "encoder")
    assert saccade("scenes", "set", "--n", "40", "--size", "40", "--format", "voc").code == 0
    completed = train("--name", "own", "--weights", "encoder")
    assert completed.code == 0, completed.err
    config = json.loads((tmp_path / "runs" / "own" / "model" / "config.json").read_text())
    assert config["labels"] == sorted(SHAPES)
    assert config["preprocess"]["resize"] == "letterbox"
    resumed = train("--name", "own", "--weights", "encoder", "--resume")
    assert resumed.code == 0, resumed.err


def test_boxes_as_table_json_csv_and_pictures(saccade, detector, red, tmp_path):
    table = saccade("predict", red, "--model", detector, "--threshold", "0")
    assert table.code == 0
    assert "한글 이름" in table.out or "cat" in table.out or "dog" in table.out
    (one,) = json.loads(saccade("predict", red, "--model", detector, "--threshold", "0", "--json").out)
    assert len(one["objects"]) == 6
    with Image.open(red) as picture:
        width, height = picture.size
    assert (one["width"], one["height"]) == (width, height)
    rows = list(
        csv.DictReader(io.StringIO(saccade("predict", red, "--model", detector, "--threshold", "0", "--csv").out))
    )
    assert [row["label"] for row in rows] == [o["label"] for o in one["objects"]]
    assert [float(row["left"]) for row in rows] == pytest.approx([o["box"][0] for o in one["objects"]], abs=0.01)
    assert saccade("predict", red, "--model", detector, "--draw", "drawn", "--threshold", "0").code == 0
    with Image.open(tmp_path / "drawn" / "red.png") as drawn:
        assert drawn.width >= width
    nothing = saccade("predict", red, "--model", detector, "--threshold", "1")
    assert "nothing found" in nothing.out


def test_pictures_drawn_before_are_not_lost(saccade, detector, red, tmp_path):
    (tmp_path / "drawn").mkdir()
    (tmp_path / "drawn" / "red.png").write_bytes(b"mine")
    completed = saccade("predict", red, "--model", detector, "--draw", "drawn")
    assert completed.code == 1
    assert "red.png already exists" in completed.err
    assert (tmp_path / "drawn" / "red.png").read_bytes() == b"mine"


def test_a_classifier_has_no_boxes_to_draw(saccade, model, red):
    completed = saccade("predict", red, "--model", model, "--draw", "drawn")
    assert completed.code == 2
    assert "--draw is an option of detect or segment models" in completed.line


@pytest.mark.parametrize("data", ["scenes:0", "scenes:many", "scenes:-3"])
def test_a_number_of_scenes_that_is_none(train, data):
    completed = train("--data", data)
    assert completed.code == 2
    assert "whole number from 1" in completed.line


def test_val_on_other_classes(saccade, detector, tmp_path):
    annotated_sets.write_coco(tmp_path / "set")
    completed = saccade("val", "set", "--model", detector)
    assert completed.code == 1
    assert "ant" in completed.line


def test_a_link_that_leads_nowhere_is_not_written_through(saccade, detector, red, tmp_path):
    (tmp_path / "drawn").mkdir()
    (tmp_path / "drawn" / "red.png").symlink_to(tmp_path / "elsewhere.png")
    assert saccade("predict", red, "--model", detector, "--draw", "drawn").code == 1
    assert not (tmp_path / "elsewhere.png").exists()
    completed = saccade("predict", red, "--model", detector, "--draw", red)
    assert (completed.code, "is not a folder" in completed.line) == (1, True)


def test_every_readable_picture_is_drawn_for_any_name(saccade, detector, red, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for name in (b"plain.png", b"\xff\xfe.png", "한글.png".encode()):
        (folder / os.fsdecode(name)).write_bytes(red.read_bytes())
    (folder / "broken.png").write_bytes(b"no picture")
    completed = saccade("predict", "in", "--model", detector, "--draw", "drawn")
    assert completed.code == 0
    assert len(list((tmp_path / "drawn").iterdir())) == 3


def test_val_without_objects_has_no_scores(saccade, detector, tmp_path):
    empty = {"images": [], "annotations": [], "categories": [{"id": i, "name": n} for i, n in enumerate(finder.LABELS)]}
    (tmp_path / "set").mkdir()
    for i in range(2):
        tiny.picture("red", i).save(tmp_path / "set" / f"{i}.png")
        empty["images"].append({"id": i, "file_name": f"{i}.png", "width": 23, "height": 19})
    (tmp_path / "set" / "annotations.json").write_text(json.dumps(empty))
    completed = saccade("val", "set", "--model", detector)
    assert completed.code == 0, completed.err
    assert "mAP n/a" in completed.out


def test_a_size_that_would_take_all_memory_is_refused(saccade, detector, red):
    file = detector / "config.json"
    config = json.loads(file.read_text())
    config["preprocess"]["size"] = [16384, 16384]
    file.write_text(json.dumps(config))
    assert "2048 x 2048 patches; at most" in saccade("predict", red, "--model", detector).line
