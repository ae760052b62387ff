"""Boxes in tables: TensorFlow's CSV and RetinaNet's."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from saccade.data import open_objects
from saccade.data.doctor import examine
from saccade.data.objects.sets import object_splits
from saccade.errors import DataError

from .annotated_sets import CLASSES, NAMES, OBJECTS, SIZES, save_pictures

HEADER = "filename,width,height,class,xmin,ymin,xmax,ymax"
PICTURES = range(len(NAMES))


def rows(pictures: Sequence[int] = PICTURES, form: str = "{name}.png,{width},{height},{label},{box}") -> str:
    """A line for each object, and one without a box for a picture without objects."""
    lines = []
    for i in pictures:
        height, width = SIZES[i]
        boxes = [(CLASSES[label], ",".join(map(str, box))) for label, box in OBJECTS[i]] or [("", ",,,")]
        lines += [form.format(name=NAMES[i], width=width, height=height, label=label, box=box) for label, box in boxes]
    return "\n".join(lines) + "\n"


def write(root: Path, text: str, file: str = "labels.csv") -> Path:
    save_pictures(root / "images")
    (root / file).parent.mkdir(parents=True, exist_ok=True)
    (root / file).write_text(text)
    return root


def assert_right(root: Path) -> None:
    dataset = open_objects(root, on_error="fail")
    assert dataset.classes == sorted(CLASSES)
    assert dict.fromkeys(dataset.names) == {f"images/{name}.png": None for name in NAMES}
    for i, name in enumerate(NAMES):
        found = dataset.objects(dataset.names.index(f"images/{name}.png"))
        assert [dataset.classes[label] for label in found.labels] == [CLASSES[label] for label, _ in OBJECTS[i]]
        expected = torch.tensor([box for _, box in OBJECTS[i]], dtype=torch.float32).reshape(-1, 4)
        torch.testing.assert_close(found.boxes, expected)
    assert examine(root).report.format.startswith("CSV of boxes")


@pytest.mark.parametrize(
    ("header", "form"),
    [
        (HEADER, "{name}.png,{width},{height},{label},{box}"),
        ("image_id,class_name,x_min,y_min,x_max,y_max", "{name},{label},{box}"),
        ("ymax;xmax;label;image;ymin;xmin", None),
        ("", "/home/x/images/{name}.png,{box},{label}"),
    ],
    ids=["TensorFlow", "without suffixes and sizes", "another order", "RetinaNet"],
)
def test_boxes_of_a_table(tmp_path: Path, header: str, form: str | None):
    if form is None:
        fields = [line.split(",") for line in rows(form="{name}.png,{label},{box}").splitlines()]
        text = "".join(f"{y2};{x2};{label};{name};{y1};{x1}\n" for name, label, x1, y1, x2, y2 in fields)
    else:
        text = rows(form=form)
    assert_right(write(tmp_path, f"{header}\n{text}" if header else text))


WHEAT = 'image_id,width,height,bbox,source\na,61,59,"[3.5, 5.0, 17.0, 23.0]",x\na,61,59,"[31, 2, 7, 11]",x\n'


def write_wheat(root: Path, text: str = WHEAT) -> Path:
    (root / "train").mkdir(parents=True)
    for name in ("a", "b"):
        Image.fromarray(np.zeros((59, 61, 3), np.uint8)).save(root / f"train/{name}.png")
    (root / "train.csv").write_text(text)
    return root


def test_left_top_width_and_height_in_one_column(tmp_path: Path):
    """The global wheat heads, by their header."""
    dataset = open_objects(write_wheat(tmp_path / "set"), on_error="fail")
    assert (dataset.names, dataset.classes) == (["train/a.png"], ["object"])
    assert dataset.objects(0).boxes.tolist() == [[3.5, 5.0, 20.5, 28.0], [31.0, 2.0, 38.0, 13.0]]
    assert "train.csv names no classes: each box is object" in dataset.notes
    root = write_wheat(tmp_path / "joined", WHEAT.replace("image_id,width", "image_idwidth"))
    with pytest.raises(DataError, match="0 columns imageid beside bbox"):
        open_objects(root)
    root = write_wheat(tmp_path / "other", WHEAT.replace("source", "label"))  # another table
    with pytest.raises(DataError, match="whether its numbers are corners or sizes is not known"):
        open_objects(root)
    dataset = open_objects(write_wheat(tmp_path / "bad", WHEAT.replace("[31, 2, 7, 11]", "[31, 2, 7]")))
    assert dataset.skipped == {
        "train.csv, line 3": "train.csv, line 3 has the bbox [31, 2, 7]; left, top, width and height expected"
    }


def test_splits_of_files_and_of_a_column(tmp_path: Path):
    by_file = write(tmp_path / "files", f"{HEADER}\n{rows([0, 1, 2])}", "data/train_labels.csv")
    write(by_file, f"{HEADER}\n{rows([3, 4])}", "data/test_labels.csv")
    assert sorted(open_objects(by_file, split="test").names) == sorted(f"images/{NAMES[i]}.png" for i in (3, 4))
    split = "".join(f"{line},{'val' if NAMES[3] in line else 'train'}\n" for line in rows().splitlines())
    by_column = write(tmp_path / "column", f"{HEADER},split\n{split}")
    train, val = object_splits(by_column)
    assert val.names == [f"images/{NAMES[3]}.png"]
    assert len(train) == len(NAMES) - 1


def test_columns_that_are_not_read_are_named(tmp_path: Path):
    lines = "".join(f"{line},7\n" for line in rows().splitlines())
    root = write(tmp_path, f"{HEADER},reader\n{lines}")
    assert "columns of labels.csv that are not read: reader" in open_objects(root).notes


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{HEADER}\nelsewhere.png,5,7,ant,1,1,3,3\n", "labels.csv, line 2 names elsewhere.png, which is not there"),
        (f"{HEADER}\n{NAMES[0]}.png,5,7,ant,1,1\n", "labels.csv, line 2 has 6 fields; 8 expected"),
        (f"{HEADER}\n{NAMES[0]}.png,5,7,,1,1,3,3\n", "labels.csv, line 2 has no label"),
        (f"{HEADER}\n{NAMES[0]}.png,5,7,ant,1,1,3,3\n", "its annotation .* is of 5 x 7"),
        (f"{HEADER},label\n{NAMES[0]}.png,5,7,ant,1,1,3,3,bee\n", "has 2 of the columns class, classname, label"),
        (f"{HEADER}\n{NAMES[0]}.png,,,ant,1,x,3,3\n", "has a coordinate that is not finite"),
    ],
)
def test_faults_are_named(tmp_path: Path, text: str, message: str):
    root = write(tmp_path, text)
    with pytest.raises(DataError, match=message) as caught:
        open_objects(root, on_error="fail").objects(0)
    assert len(str(caught.value)) < 300


def test_detections_are_no_annotations(tmp_path: Path):
    lines = "".join(f"{line},0.9\n" for line in rows().splitlines())
    with pytest.raises(DataError, match=r"it holds CSV of boxes \(Kaggle\) \(labels\.csv\), which is not read"):
        open_objects(write(tmp_path, f"{HEADER},confidence\n{lines}"))
