"""saccade scenes."""

import json

import numpy as np
import pytest
from PIL import Image

from saccade.data.scenes import Scenes


def test_writes_the_requested_files(saccade, tmp_path):
    completed = saccade("scenes", "world", "--n", 3, "--size", "83x61", "--seed", 4, "--format", "captions")
    assert completed.code == 0
    assert completed.out.startswith("world: 3 scenes with ")
    assert completed.out.endswith(" objects, as captions\n")
    with Image.open(tmp_path / "world" / "images" / "scene-000002.png") as image:
        assert image.size == (83, 61)
        assert np.array_equal(np.asarray(image), Scenes(3, (61, 83), seed=4).scene(2).pixels)


@pytest.mark.parametrize(
    ("kind", "holds"),
    [
        ("coco", {"images", "annotations"}),
        ("voc", {"JPEGImages", "Annotations", "ImageSets", "SegmentationClass", "SegmentationObject", "labelmap.txt"}),
        ("yolo", {"images", "labels", "data.yaml"}),
        ("masks", {"images", "masks", "instances", "classes.txt"}),
        ("films", {"frames", "captions.jsonl", "metadata.jsonl"}),
    ],
)
def test_every_format(saccade, tmp_path, kind, holds):
    completed = saccade("scenes", "world", "--n", 2, "--size", 32, "--format", kind, "--frames", 2, "--json")
    assert completed.code == 0
    found = json.loads(completed.out)
    assert found["format"] == kind
    assert found["size"] == [32, 32]
    assert found["films" if kind == "films" else "scenes"] == 2
    assert {path.name for path in (tmp_path / "world").iterdir()} == holds


def test_sprites(saccade, tmp_path):
    (tmp_path / "mine").mkdir()
    Image.new("RGBA", (20, 20), (250, 10, 10, 255)).save(tmp_path / "mine" / "stamp.png")
    completed = saccade("scenes", "world", "--n", 2, "--sprites", "mine", "--format", "masks", "--json")
    assert json.loads(completed.out)["classes"][-1] == "stamp"
    assert "stamp" in (tmp_path / "world" / "classes.txt").read_text().split()


@pytest.mark.parametrize(
    ("options", "code", "what"),
    [
        (["--size", "12"], 1, "12 x 12 pixels were requested; sides of 32 to 8192 pixels expected"),
        (["--size", "big"], 2, "--size big: pixels of a side expected, as in 128, or WIDTHxHEIGHT"),
        (["--n", "0"], 2, "--n"),
        (["--n", "-5"], 2, "--n"),
        (["--format", "mpeg"], 2, "mpeg"),
        (["--format", "films", "--frames", "1"], 2, "--frames"),
        (["--format", "films", "--frames", "1000000"], 2, "--frames"),
        (["--sprites", "nowhere"], 1, "nowhere is not a folder; a folder of PNGs"),
    ],
)
def test_invalid_arguments_are_refused(saccade, tmp_path, options, code, what):
    completed = saccade("scenes", "world", *options)
    assert completed.code == code
    assert what in completed.line
    assert not (tmp_path / "world").exists()


def test_a_folder_that_holds_something_is_left_alone(saccade, tmp_path):
    (tmp_path / "world").mkdir()
    (tmp_path / "world" / "mine.txt").write_text("mine")
    completed = saccade("scenes", "world", "--n", 1)
    assert completed.code == 1
    assert "world is not empty (it holds mine.txt)" in completed.line
    assert [path.name for path in (tmp_path / "world").iterdir()] == ["mine.txt"]
