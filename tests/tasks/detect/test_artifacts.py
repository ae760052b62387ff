"""Found objects as files, read back by a peer and by the project's own readers."""

import json
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from faster_coco_eval.core import COCO
from PIL import Image

from saccade.data import ImageFolder, open_objects
from saccade.data.images import Picture
from saccade.errors import DataError
from saccade.tasks.artifacts import Frame
from saccade.tasks.detect.artifacts import CocoWriter, CropWriter, YoloWriter
from saccade.tasks.detect.result import Detection, Detections

TASK = SimpleNamespace(labels=["cat", "dog/wolf", "한글"], name="finder")
SIZE = (30, 40)
BOXES = [[2.0, 3.5, 12.25, 20.0], [0.0, 0.0, 40.0, 30.0], [30.5, 20.5, 40.0, 30.0]]


def picture(seed=0):
    pixels = np.random.default_rng(seed).integers(0, 255, (*SIZE, 3), dtype=np.uint8)
    return Picture(Image.fromarray(pixels), f"{seed}.png")


def result(*rows):
    """rows: (box, score, label)."""
    boxes = torch.tensor([row[0] for row in rows]).view(-1, 4)
    found = Detections(boxes, torch.tensor([row[1] for row in rows]), torch.tensor([row[2] for row in rows]).long())
    return Detection("x", found, SIZE, tuple(TASK.labels[row[2]] for row in rows))


SOME = result((BOXES[0], 0.875, 0), (BOXES[1], 0.5, 2), (BOXES[2], 0.25, 1))
NONE = result()


def written(writer, *pairs):
    with writer:
        for file, found in pairs:
            writer.add(Frame(file, picture()), found)


@pytest.fixture
def files(tmp_path):
    names = ["set/b/7.jpg", "set/a/12.png"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        picture().image.save(tmp_path / name)
    return [tmp_path / name for name in names]


def test_coco_has_the_scores_and_can_be_evaluated(tmp_path, files):
    out = tmp_path / "found.json"
    written(CocoWriter(out, files, TASK), (files[0], SOME), (files[1], NONE))
    data = json.loads(out.read_text(encoding="utf-8"))
    assert [(each["id"], each["file_name"]) for each in data["images"]] == [(7, "b/7.jpg"), (12, "a/12.png")]
    assert [each["name"] for each in data["categories"]] == TASK.labels
    first = data["annotations"][0]
    assert first["bbox"] == [2.0, 3.5, 10.25, 16.5]
    assert (first["score"], first["category_id"], first["image_id"]) == (0.875, 1, 7)
    assert first["area"] == pytest.approx(10.25 * 16.5, abs=1e-3)
    truth = COCO(str(out))
    assert len(truth.loadRes(data["annotations"]).anns) == 3
    out = tmp_path / "set" / "found.json"
    written(CocoWriter(out, files, TASK), (files[0], SOME), (files[1], NONE))
    back = open_objects(out)
    assert (back.classes, back.names) == (TASK.labels, ["b/7.jpg", "a/12.png"])
    torch.testing.assert_close(back.objects(0).boxes, torch.tensor(BOXES))


def test_coco_counts_pictures_whose_names_are_no_numbers(tmp_path, files):
    other = files[0].with_name("x7.jpg")
    for names in ([other, files[1]], [files[0], files[0].with_name("007.png")]):
        out = tmp_path / f"{names[1].stem}.json"
        written(CocoWriter(out, names, TASK), *((name, NONE) for name in names))
        assert [each["id"] for each in json.loads(out.read_text())["images"]] == [1, 2]


def test_coco_of_objects_with_outlines(tmp_path, files):
    from faster_coco_eval.core import mask as coder

    mask = np.zeros(SIZE, np.uint8)
    mask[4:9, 3:7] = 1
    code = coder.encode(np.asfortranarray(mask))
    outline = {"size": list(SIZE), "counts": code["counts"].decode()}
    found = SOME.found
    outlined = Detections(found.boxes, found.scores, found.labels, masks=(outline,) * 3)
    written(CocoWriter(tmp_path / "o.json", files, TASK), (files[0], Detection("x", outlined, SIZE, SOME.labels)))
    one = json.loads((tmp_path / "o.json").read_text())["annotations"][0]
    assert one["area"] == 20
    np.testing.assert_array_equal(coder.decode(one["segmentation"]), mask)


def test_yolo_labels_are_read_back(tmp_path, files):
    labels = tmp_path / "yolo" / "labels"
    written(YoloWriter(labels, files, TASK), (files[0], SOME), (files[1], NONE))
    assert (labels / "classes.txt").read_text(encoding="utf-8").splitlines() == TASK.labels
    assert (labels / "a" / "12.txt").read_text() == ""
    (tmp_path / "yolo" / "images").mkdir()
    for file in files:
        place = tmp_path / "yolo" / "images" / file.parent.name / file.name
        place.parent.mkdir()
        place.write_bytes(file.read_bytes())
    data = open_objects(tmp_path / "yolo")
    assert data.classes == TASK.labels
    objects = {Path(name).stem: data.objects(i) for i, name in enumerate(data.names)}
    torch.testing.assert_close(objects["7"].boxes, torch.tensor(BOXES), atol=1e-4, rtol=0)
    assert objects["7"].labels.tolist() == [0, 2, 1]
    assert len(objects["12"]) == 0


def test_yolo_labels_of_frames(tmp_path):
    video = tmp_path / "walk.mp4"
    with YoloWriter(tmp_path / "labels", [video], TASK) as writer:
        for index in (0, 1):
            writer.add(Frame(video, None, SimpleNamespace(), index, Fraction(index)), SOME)
    assert sorted(p.name for p in (tmp_path / "labels" / "walk").iterdir()) == ["000000.txt", "000001.txt"]


def test_boxes_beyond_the_picture_are_cut(tmp_path, files):
    far = result(([-5.0, -1.0, 50.0, 15.0], 0.9, 0))
    written(YoloWriter(tmp_path / "labels", files[:1], TASK), (files[0], far))
    assert (tmp_path / "labels" / "7.txt").read_text() == "0 0.500000 0.250000 1.000000 0.500000\n"


def test_nothing_is_overwritten(tmp_path, files):
    twin = files[0].with_suffix(".png")
    with pytest.raises(DataError, match=r"7\.jpg and .*7\.png would both have the labels 7\.txt"):
        YoloWriter(tmp_path / "labels", [files[0], twin], TASK)
    (tmp_path / "labels" / "b").mkdir(parents=True)
    (tmp_path / "labels" / "b" / "7.txt").write_text("mine")
    with pytest.raises(DataError, match=r"7\.txt already exists: give another folder to --yolo"):
        YoloWriter(tmp_path / "labels", files, TASK)
    with pytest.raises(DataError, match="already exists: give another folder to --crops"):
        CropWriter(tmp_path / "labels", files, TASK)
    with pytest.raises(DataError, match="is not a folder"):
        CropWriter(files[0], files, TASK)
    alike = SimpleNamespace(labels=["a/b", "a:b"], name="x")
    with pytest.raises(DataError, match="two classes would have the folder a-b"):
        CropWriter(tmp_path / "crops", files, alike)
    with pytest.raises(DataError, match=r"two pictures would have the name a-7\.jpg"):
        CropWriter(tmp_path / "crops", [tmp_path / "a-7.jpg", tmp_path / "a" / "7.jpg"], TASK)


def test_objects_cut_out_are_a_set_of_classes(tmp_path, files):
    folder = tmp_path / "crops"
    folder.mkdir()
    written(CropWriter(folder, files, TASK), (files[0], SOME), (files[1], NONE))
    data = ImageFolder(folder)
    assert data.classes == ["cat", "dog-wolf", "한글"]
    assert data.names == ["cat/b-7-1.png", "dog-wolf/b-7-3.png", "한글/b-7-2.png"]
    whole = np.asarray(picture().image)
    np.testing.assert_array_equal(np.asarray(data.picture(0).image), whole[3:20, 2:13])
    np.testing.assert_array_equal(np.asarray(data.picture(1).image), whole[20:30, 30:40])
    twin = files[0].with_suffix(".png")
    written(CropWriter(tmp_path / "twins", [files[0], twin], TASK), (files[0], SOME), (twin, SOME))
    assert sorted(p.name for p in (tmp_path / "twins" / "cat").iterdir()) == ["7.jpg-1.png", "7.png-1.png"]
