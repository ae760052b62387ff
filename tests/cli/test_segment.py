"""`saccade train segment`, and val and predict with a segmenter."""

import csv
import io
import json

import numpy as np
import pytest
from PIL import Image

import saccade as library
from saccade.models import PRESETS

from ..tasks import finder


@pytest.fixture
def train(saccade, monkeypatch):
    monkeypatch.setitem(PRESETS, "toy", finder.TOY)
    quick = {
        "--data": "set", "--model": "toy", "--size": "40", "--decoder-depth": "1", "--pixel-channels": "8", 
        "--epochs": "2", "--batch": "8", "--precision": "fp32", "--compile": "no", "--device": "cpu",
    }  # fmt: skip

    def run(*arguments):
        usual = [part for option, value in quick.items() if option not in arguments for part in (option, value)]
        return saccade("train", "segment", *usual, *arguments)

    return run


def a_set(folder, n=12, size=(41, 29)):
    """Blue and red halves as pictures with masks, and a list of their classes."""
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    width, height = size
    for i in range(n):
        mask = np.zeros((height, width), np.uint8)
        mask[:, 3 * i :] = 1
        colours = np.array([[30, 40, 200], [220, 30, 30]], np.uint8)
        Image.fromarray(colours[mask]).save(folder / "images" / f"{i}.png")
        Image.fromarray(mask).save(folder / "masks" / f"{i}.png")
    (folder / "classes.txt").write_text("sea\nfire\n")
    return folder


def pixels(file):
    with Image.open(file) as picture:
        return np.array(picture)


def test_from_scenes_to_masks(train, saccade, tmp_path):
    completed = train("--data", "scenes:16", "--name", "drawn")
    assert completed.code == 0, completed.err
    assert "runs/drawn/model: mIoU" in completed.out
    scores = json.loads(saccade("val", "scenes:3", "--model", "runs/drawn", "--json").out)
    assert scores["pictures"] == 3
    assert 0 < scores["pixel_accuracy"] <= 1
    assert len(scores["per_class"]) == 11
    out = tmp_path / "runs" / "val-drawn"
    assert {p.name for p in out.iterdir()} == {"scores.json", "confusion.png", "borders.png", "pictures.csv"}
    for name in ("confusion", "borders"):
        with Image.open(out / f"{name}.png") as picture:
            picture.load()
    assert saccade("scenes", "three", "--n", "3", "--size", "48", "--format", "masks").code == 0
    assert "drawn on 3 pictures" in saccade("val", "three", "--model", "runs/drawn").out


def test_a_set_of_ones_own_and_its_answers(train, saccade, tmp_path):
    a_set(tmp_path / "set")
    completed = train("--name", "own", "--crop", "24", "--progressive-resize", "--zoom", "0.8", "1.2")
    assert completed.code == 0, completed.err
    task = library.load(tmp_path / "runs" / "own")
    assert (task.labels, task.preprocess.size, task.preprocess.shortest) == (["sea", "fire"], (24, 24), 28)
    picture = tmp_path / "set" / "images" / "4.png"
    completed = saccade("predict", picture, "--model", "runs/own", "--masks", "masks", "--draw", "drawn", "--json")
    (answer,) = json.loads(completed.out)
    assert (answer["width"], answer["height"]) == (41, 29)
    mask = pixels(tmp_path / "masks" / "4.png")
    assert mask.shape == (29, 41)
    assert sum(answer["classes"].values()) == pytest.approx(1)
    assert answer["classes"].get("sea", 0) == pytest.approx((mask == 0).mean(), abs=1e-6)
    assert pixels(tmp_path / "drawn" / "4.png").shape[1] >= 41

    rows = list(csv.DictReader(io.StringIO(saccade("predict", picture, "--model", "runs/own", "--csv").out)))
    assert {row["class"] for row in rows} <= {"sea", "fire"}
    assert "fire" in saccade("predict", picture, "--model", "runs/own").out
    finer = saccade("predict", picture, "--model", "runs/own", "--size", "90", "--masks", "finer", "--json")
    assert finer.code == 0
    assert pixels(tmp_path / "finer" / "4.png").shape == (29, 41)


def test_existing_files_are_not_overwritten(train, saccade, tmp_path):
    a_set(tmp_path / "set")
    assert train("--name", "own", "--epochs", "1").code == 0
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / "4.png").write_text("mine")
    completed = saccade("predict", tmp_path / "set/images/4.png", "--model", "runs/own", "--masks", "masks")
    assert completed.code == 1
    assert "masks/4.png already exists: give another folder to --masks" in completed.line
    assert (tmp_path / "masks" / "4.png").read_text() == "mine"


def test_masks_and_drawings_need_folders_of_their_own(train, saccade, tmp_path):
    a_set(tmp_path / "set")
    assert train("--name", "own", "--epochs", "1").code == 0
    completed = saccade("predict", "set/images/4.png", "--model", "runs/own", "--masks", "out", "--draw", "out")
    assert completed.code == 2
    assert "name the same folder" in completed.line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("option", [("--masks", "out"), ("--size", "64")])
def test_a_classifier_tells_no_pixels_class(saccade, model, red, option):
    completed = saccade("predict", red, "--model", model, *option)
    assert completed.code == 2
    assert f"{option[0]} is an option of " in completed.line
    assert "segment models" in completed.line


def test_masks_of_other_classes_than_the_models(train, saccade, tmp_path):
    a_set(tmp_path / "set")
    assert train("--name", "own", "--epochs", "1").code == 0
    (tmp_path / "set" / "classes.txt").write_text("sea\nice\n")
    completed = saccade("val", "set", "--model", "runs/own")
    assert completed.code == 1
    assert "ice" in completed.line
