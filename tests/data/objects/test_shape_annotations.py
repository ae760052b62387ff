"""CVAT XML and LabelMe JSON: sets of drawn shapes."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from saccade.data import open_objects
from saccade.data.doctor import examine, write_clean
from saccade.data.objects.sets import find_layout, object_splits
from saccade.errors import DataError

from .annotated_sets import CLASSES, NAMES, OBJECTS, SIZES, save_pictures, write_yolo

LABELS = [*reversed(CLASSES)]  # CVAT lists them; LabelMe does not


def cvat_image(i: int, shapes: str | None = None, more: str = "", name: str = "{}.png") -> str:
    height, width = SIZES[i]
    if shapes is None:
        rows = [(CLASSES[label], *box) for label, box in OBJECTS[i]]
        box = "<box label='{}' occluded='0' xtl='{:.2f}' ytl='{:.2f}' xbr='{:.2f}' ybr='{:.2f}' z_order='0'></box>"
        shapes = "".join(box.format(*row) for row in rows)
    name = name.format(NAMES[i])
    return f"<image id='{i}' name='{name}' width='{width}' height='{height}'{more}>{shapes}</image>"


def write_cvat(root: Path, images: str | None = None, labels: bool = True, file: str = "annotations.xml") -> Path:
    save_pictures(root / "images")
    names = "".join(f"<label><name>{name}</name></label>" for name in LABELS)
    meta = f"<meta><task><labels>{names}</labels></task></meta>" if labels else ""
    images = images if images is not None else "".join(map(cvat_image, range(5)))
    text = f"<?xml version='1.0' encoding='utf-8'?><annotations><version>1.1</version>{meta}{images}</annotations>"
    (root / file).write_text(text)
    return root


def labelme(i: int, shapes: list[dict] | None = None, path: str = "{}.png") -> dict:
    height, width = SIZES[i]
    if shapes is None:
        shapes = [
            {"label": CLASSES[label], "points": [[right, bottom], [left, top]], "shape_type": "rectangle", "flags": {}}
            for label, (left, top, right, bottom) in OBJECTS[i]
        ]
    about = {"imagePath": path.format(NAMES[i]), "imageData": None, "imageHeight": height, "imageWidth": width}
    return {"version": "5.4.1", "flags": {}, "shapes": shapes, **about}


def write_labelme(root: Path, folder: str = "images", path: str = "{}.png") -> Path:
    save_pictures(root / "images")
    (root / folder).mkdir(exist_ok=True)
    for i, name in enumerate(NAMES):
        (root / folder / f"{name}.json").write_text(json.dumps(labelme(i, None, path)))
    return root


def assert_right(root: Path) -> None:
    dataset = open_objects(root, on_error="fail")
    assert [Path(name).stem for name in dataset.names] == NAMES
    for i, objects in enumerate(OBJECTS):
        found = dataset.objects(i)
        assert [dataset.classes[label] for label in found.labels] == [CLASSES[label] for label, _ in objects]
        expected = torch.tensor([box for _, box in objects], dtype=torch.float32).view(-1, 4)
        torch.testing.assert_close(found.boxes, expected)


@pytest.mark.parametrize("name", ["{}.png", "images/{}.png", "C:\\task\\{}.png", "/home/someone/{}.png"])
def test_cvat(tmp_path, name):
    images = "".join(cvat_image(i, name=name) for i in range(5))
    root = write_cvat(tmp_path / "set", images)
    assert_right(root)
    assert_right(root / "annotations.xml")
    assert open_objects(root).classes == LABELS
    assert examine(root).report.format == "CVAT XML"
    assert examine(root / "annotations.xml").report.sound
    (root / "other.xml").write_text("<annotation/>")
    with pytest.raises(DataError, match=r"other\.xml is not CVAT XML for images"):
        open_objects(root / "other.xml")


def test_other_annotations_of_the_set_are_named(tmp_path):
    root = write_yolo(write_labelme(tmp_path / "set").parent / "set")
    notes = open_objects(root).notes
    assert notes[0].endswith("was read as LabelMe JSON: 5 pictures, 3 classes")
    assert notes[-1] == "not read: YOLO text (4 files such as labels/a.txt), which is there, too"


def test_cvat_without_labels_and_in_several_files(tmp_path):
    root = write_cvat(tmp_path / "set", "".join(map(cvat_image, range(3))), labels=False)
    write_cvat(root, "".join(map(cvat_image, range(3, 5))), labels=False, file="more.xml")
    assert_right(root)
    assert open_objects(root).classes == CLASSES


def test_the_subsets_of_cvat(tmp_path):
    images = "".join(cvat_image(i, more=f" subset='{'Train' if i < 3 else 'Validation'}'") for i in range(5))
    train, val = object_splits(write_cvat(tmp_path / "set", images))
    assert (len(train), len(val)) == (3, 2)
    assert val.notes[-1] == "validation: the split Validation"


def test_shapes_of_cvat(tmp_path):
    shapes = (
        "<polygon label='ant' points='3.00,5.00;20.00,5.00;20.00,31.00;3.00,31.00'/>"
        "<box label='bee' xtl='30' ytl='10' xbr='50' ybr='20' rotation='90.0'/>"
        "<ellipse label='cat' cx='30' cy='30' rx='20' ry='5' rotation='90'/>"
        "<mask label='ant' rle='1, 2, 3, 1, 5' left='40' top='20' width='4' height='3'/>"
        "<box label='ant' xtl='3.2' ytl='5' xbr='20' ybr='31'/>"  # the polygon's own
        "<points label='bee' points='1,2'/><polyline label='bee' points='1,2;3,4'/><tag label='cat'/>"
        "<box label='' xtl='1' ytl='1' xbr='5' ybr='5'/>"
        "<mask label='ant' rle='1,2' left='40' top='20' width='4' height='3'/>"
        "<polygon label='ant' points='3.00,5.00,1'/>"
    )
    dataset = open_objects(write_cvat(tmp_path / "set", cvat_image(0, shapes)))
    found = dataset.objects(0)
    assert [dataset.classes[label] for label in found.labels] == ["ant", "bee", "cat", "ant"]
    expected = torch.tensor([[3, 5, 20, 31], [35, 5, 45, 25], [25, 10, 35, 50], [41, 20, 43, 22]], dtype=torch.float32)
    torch.testing.assert_close(found.boxes, expected)
    assert found.masks is not None
    assert [mask.sum().item() for mask in found.masks[:2]] == [17 * 26, 10 * 20]
    drawn = np.zeros(SIZES[0], bool)
    drawn[20, 41:43] = drawn[21, 42] = True
    assert np.array_equal(found.masks[3].numpy(), drawn)
    assert "shapes without an area were left out: 1 x points, 1 x polyline" in dataset.notes
    assert [text.partition(", shape ")[2] for text in dataset.skipped.values()] == [
        "9 has no label",
        "10 has run lengths of 3 pixels; 4 x 3 expected",
        "11 has the points 3.00,5.00,1; x,y;x,y;... expected",
    ]


def test_pictures_of_cvat_that_are_missing(tmp_path):
    images = cvat_image(0) + cvat_image(1, name="gone.png")
    dataset = open_objects(write_cvat(tmp_path / "set", images))
    assert list(dataset.skipped) == ["annotations.xml, image 1"]
    assert "4 pictures have no annotation and were left out" in dataset.notes
    (tmp_path / "set" / "annotations.xml").write_text("<annotations><image name='a.png'>")
    with pytest.raises(DataError, match=r"annotations\.xml is not valid XML"):
        open_objects(tmp_path / "set")


@pytest.mark.parametrize(
    ("folder", "path"), [("images", "{}.png"), ("annotations", "..\\images\\{}.png"), ("labels", "/home/x/{}.png")]
)
def test_labelme(tmp_path, folder, path):
    root = write_labelme(tmp_path / "set", folder, path)
    assert_right(root)
    assert open_objects(root).classes == CLASSES
    assert examine(root).report.format == "LabelMe JSON"


def test_the_splits_of_labelme(tmp_path):
    for split, names in (("train", "abc"), ("val", "de")):
        folder = tmp_path / "set" / split
        save_pictures(folder)
        for i, name in enumerate(NAMES):
            if name in names:
                (folder / f"{name}.json").write_text(json.dumps(labelme(i)))
            else:
                (folder / f"{name}.png").unlink()
    assert [len(part) for part in object_splits(tmp_path / "set")] == [3, 2]


def test_shapes_of_labelme(tmp_path):
    root = write_labelme(tmp_path / "set")
    shapes = [
        {"label": "ant", "points": [[3, 5], [20, 5], [20, 31]], "shape_type": "polygon", "group_id": None},
        {"label": "bee", "points": [[30, 30], [30, 40]], "shape_type": "circle"},
        {"label": "cat", "points": [[1, 1], [9, 1], [9, 9], [1, 9]], "shape_type": "polygon", "group_id": 3},
        {"label": "cat", "points": [[11, 1], [19, 1], [19, 9], [11, 9]], "shape_type": "polygon", "group_id": 3},
        {"label": "cat", "points": [[40, 1], [49, 9]], "shape_type": "rectangle", "group_id": 3},
        {"label": "ant", "points": [[3, 5]], "shape_type": "point"},
        {"label": 7, "points": [[50, 1], [60, 1], [60, 9], [50, 9]], "shape_type": "rotation"},
        {"label": None, "points": [[1, 1], [2, 2]], "shape_type": "rectangle"},
        {"label": "ant", "points": [[1, 1], [2, 2]], "shape_type": "cuboid"},
        {"label": "ant", "points": "1,1", "shape_type": "polygon"},
    ]
    (root / "images" / "a.json").write_text(json.dumps(labelme(0, shapes)))
    dataset = open_objects(root)
    found = dataset.objects(0)
    assert [dataset.classes[label] for label in found.labels] == ["ant", "bee", "cat", "cat", "7"]
    expected = [[3, 5, 20, 31], [20, 20, 40, 40], [1, 1, 19, 9], [40, 1, 49, 9], [50, 1, 60, 9]]
    torch.testing.assert_close(found.boxes, torch.tensor(expected, dtype=torch.float32))
    assert found.masks is not None
    assert found.masks[2].sum() == 2 * 64
    assert "shapes without an area were left out: 1 x point" in dataset.notes
    assert [text.partition(", ")[2] for text in dataset.skipped.values()] == [
        "shape 8 has no label",
        "shape 9 is a cuboid of 2 points, which is not read",
        "shape 10 has points that are not a list of [x, y]",
    ]


def test_files_of_labelme_that_are_broken(tmp_path):
    root = write_labelme(tmp_path / "set")
    (root / "images" / "b.json").write_text('{"shapes": [')
    (root / "images" / "c.json").write_text('{"shapes": 3, "imagePath": "c.png"}')
    (root / "images" / "d.png").unlink()
    dataset = open_objects(root)
    assert dataset.names == ["images/a.png", "images/e.png"]
    assert sorted(key.removeprefix("images/") for key in dataset.skipped) == ["b.json", "c.json", "d.json"]
    assert "is not valid JSON" in dataset.skipped["images/b.json"]
    with pytest.raises(DataError, match="has no list of shapes; LabelMe's JSON expected"):
        open_objects(root, on_error="fail")


def test_a_picture_that_is_listed_twice(tmp_path):
    images = cvat_image(0) + cvat_image(0, "<box label='bee' xtl='1' ytl='1' xbr='5' ybr='5'/>")
    root = write_cvat(tmp_path / "set", images)
    dataset = open_objects(root)
    assert [len(dataset), len(dataset.objects(0))] == [1, 3]
    (reason,) = dataset.skipped.values()
    assert reason.endswith("is of images/a.png, as another one; the objects of both were joined")
    assert examine(root).report.splits["all"].objects["bee"] == 1


def test_no_clean_copy_is_written(tmp_path):
    root = write_labelme(tmp_path / "set")
    assert find_layout(root) is not None
    with pytest.raises(DataError, match="no clean copy of LabelMe JSON is written"):
        write_clean(examine(root), tmp_path / "out")
