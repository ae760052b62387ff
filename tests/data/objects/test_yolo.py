"""YOLO sets as tools and people write them: columns, places of labels, data.yaml, lists."""

import shutil
from pathlib import Path

import pytest
import torch

from saccade.data import open_objects
from saccade.data.doctor import examine, write_clean
from saccade.data.objects.sets import object_splits
from saccade.data.objects.yolo_labels import find_columns, looks_like_labels, parse_line
from saccade.errors import DataError

from .annotated_sets import CLASSES, NAMES, OBJECTS, save_pictures, write_yolo, yolo_lines


def written(root: Path, change) -> Path:
    """A set whose label lines are `change(class, x, y, width, height)`, behind a byte order mark."""
    write_yolo(root)
    for i, name in enumerate(NAMES):
        rows = [map(float, line.split()) for line in yolo_lines(i).splitlines()]
        text = "".join(change(int(c), *box) + "\n" for c, *box in rows)
        (root / "labels" / f"{name}.txt").write_text(text, encoding="utf-8-sig")
    return root


def assert_right(root: Path, **how: object) -> list[str]:
    """All boxes are those of OBJECTS; returns the notes."""
    dataset = open_objects(root, **how)
    assert [Path(name).stem for name in dataset.names] == NAMES
    for i, objects in enumerate(OBJECTS):
        found = dataset.objects(i)
        assert found.labels.tolist() == [label for label, _ in objects]
        expected = torch.tensor([box for _, box in objects], dtype=torch.float32).view(-1, 4)
        torch.testing.assert_close(found.boxes, expected, atol=1e-3, rtol=0)
    return dataset.notes


@pytest.mark.parametrize(
    ("change", "note"),
    [
        (lambda c, *box: f"{c}.0  " + "\t".join(f"{v:e}" for v in box) + " \r", ""),
        (lambda c, *box: " ".join(map(str, (CLASSES[c], *box))), ""),
        (lambda c, *box: " ".join(map(str, (c, *box, 0.83))), "a confidence in the sixth column"),
        (lambda c, *box: " ".join(map(str, (c, *box, 17))), "a track number in the sixth column"),
        (lambda c, *box: " ".join(map(str, (c, 17, *box))), "a track number in the second column"),
        (lambda c, *box: " ".join(map(str, (c, *box, 0.83, 17))), "a confidence and a track number follow the box"),
        (lambda c, *box: " ".join(map(str, (c, *box, *box[:2], 2, 0, 0, 0))), "2 keypoints of 3 values"),
        (lambda c, *box: " ".join(map(str, (c, *box, *box[:2], 0.93))), "1 keypoints of 3 values"),
    ],
)
def test_columns_of_tools(tmp_path, change, note):
    notes = assert_right(written(tmp_path / "set", change))
    assert any(note in each for each in notes[1:]) if note else len(notes) == 1


@pytest.mark.parametrize(("points", "values"), [(1, 2), (4, 2), (2, 3), (17, 3)])
def test_keypoints_that_data_yaml_declares(tmp_path, points, values):
    rest = " 0.5 0.5" + " 1" * (values - 2)
    root = written(tmp_path / "set", lambda c, *box: " ".join(map(str, (c, *box))) + rest * points)
    with (root / "data.yaml").open("a") as file:
        file.write(f"kpt_shape: [{points}, {values}]\n")
    assert f"labels have {points} keypoints of {values} values (kpt_shape); their boxes were read" in assert_right(root)
    (root / "labels" / "c.txt").write_text("0 0.5 0.5 0.1 0.1 0.5 0.5 0.5 0.5 0.5\n")
    assert "of kpt_shape" in open_objects(root).skipped["labels/c.txt, line 1"]


def values(*rows: str) -> list[list[float]]:
    return [[float(word) for word in row.split()] for row in rows]


@pytest.mark.parametrize(
    ("rows", "polygon", "refused"),
    [
        # turned boxes by their corners: the diagonals have the same middle
        (("0 .5 .3 .6 .4 .5 .5 .4 .4", "1 .2 .1 .3 .1 .3 .2 .2 .2"), {9}, {}),
        # as many corners as they need
        (("0 .1 .1 .2 .1 .2 .2", "0 .1 .1 .2 .1 .2 .2 .1 .2 .05 .15"), {7, 11}, {}),
        # a point in its box, and corners of a triangle
        (("0 .5 .5 .5 .5 .6 .6",), set(), {7: "may be 3 corners or a box and 1 keypoints; write `task: segment`"}),
        (("0 .5 .5 .2 .2 1.57", "0 .5 .5 .2 .2 .5"), set(), {6: "neither a confidence"}),
        (("0 .5 .5 .2 .2 .5 .5 .9 .1 .1 .1 .9",), set(), {12: "has 12 values"}),
    ],
)
def test_corners_and_keypoints(rows, polygon, refused):
    found = find_columns(values(*rows), None)
    assert found.polygon == polygon
    assert set(found.refused) == set(refused)
    for count, text in refused.items():
        assert text in found.refused[count]
    for row in values(*rows):
        assert isinstance(found.read(row), str) == (len(row) in refused)


def test_the_task_of_data_yaml_decides_between_corners_and_keypoints():
    rows = values("0 .5 .5 .5 .5 .6 .6")
    assert find_columns(rows, None, "segment").polygon == {7}
    assert find_columns(rows, None, "pose").box_at == {5: 1, 7: 1}
    assert find_columns(rows, (1, 2)).box_at == {5: 1, 7: 1}


def test_polygons_have_masks(tmp_path):
    root = written(
        tmp_path / "set",
        lambda c, x, y, w, h: (
            f"{c} {x - w / 2} {y - h / 2} {x + w / 2} {y - h / 2} {x + w / 2} {y + h / 2} {x - w / 2} {y + h / 2}"
        ),
    )
    assert_right(root)
    found = open_objects(root).objects(0)
    for mask, box in zip(found.masks, found.boxes.round().int().tolist(), strict=True):
        left, top, right, bottom = box
        assert mask[top:bottom, left:right].all()
        assert mask.sum() == (right - left) * (bottom - top)


@pytest.mark.parametrize(
    ("images", "labels", "suffix"),
    [
        ("Images", "Labels", ".txt"),
        ("IMAGES", "labels", ".TXT"),
        ("img", "label", ".txt"),
        ("train_images", "train_labels", ".txt"),
        ("images", "annotations", ".txt"),
        ("data", "data", ".txt"),
        ("data", "data/labels", ".txt"),
        ("pictures/a", "boxes/b", ".txt"),  # by their names, each of one picture and one text
        ("images", "labels", ".png.txt"),
    ],
)
@pytest.mark.parametrize("names", ["classes.txt", "data.yaml", "my.names"])
def test_places_of_labels(tmp_path, images, labels, suffix, names):
    root = tmp_path / "set"
    save_pictures(root / images)
    (root / labels).mkdir(parents=True, exist_ok=True)
    for i, name in enumerate(NAMES):
        (root / labels / f"{name}{suffix}").write_text(yolo_lines(i))
    text = f"names: [{', '.join(CLASSES)}]\n" if names == "data.yaml" else "\n".join(CLASSES)
    (root / names).write_text(text)
    assert_right(root)
    assert open_objects(root).classes == CLASSES


def test_class_files_among_the_labels(tmp_path):
    root = write_yolo(tmp_path / "set", {"train": "abc", "val": "de"}, yaml_file=False)
    (root / "classes.txt").unlink()
    for split in ("train", "val"):
        (root / "labels" / split / "classes.txt").write_text("\n".join(CLASSES) + "\n\n")
    assert open_objects(root, "val").classes == CLASSES
    (root / "labels" / "val" / "classes.txt").write_text("cat\nbee\nant\n")
    with pytest.raises(
        DataError, match=r"labels/train/classes\.txt and labels/val/classes\.txt name different classes"
    ):
        open_objects(root, "val")


def test_no_label_file_at_all(tmp_path):
    root = write_yolo(tmp_path / "set")
    (root / "labels").rename(root / "outputs")
    for file in (root / "outputs").iterdir():
        file.rename(file.with_stem(f"label-{file.stem}"))
    with pytest.raises(
        DataError, match=r"none of its 5 pictures has a label file \(of images/a\.png: a\.txt in a folder"
    ):
        open_objects(root)


@pytest.mark.parametrize(
    ("written_names", "classes"),
    [
        ("[yes, no, on]", ["yes", "no", "on"]),
        ("{0: off, 1: 010, 2: 1_000}", ["off", "010", "1_000"]),
        ("[null, 2020-01-01, 1e3]", ["null", "2020-01-01", "1e3"]),
        ("['a: b', \"c\", 3.50]", ["a: b", "c", "3.50"]),
    ],
)
def test_names_are_kept_as_they_are_written(tmp_path, written_names, classes):
    root = write_yolo(tmp_path / "set")
    (root / "data.yaml").write_text(f"train: images\nnames: {written_names}\n")
    assert open_objects(root).classes == classes


def test_numbers_with_gaps(tmp_path):
    root = written(tmp_path / "set", lambda c, *box: " ".join(map(str, (10 * c + 5, *box))))
    (root / "data.yaml").write_text("train: images\nnc: 26\nnames: {5: ant, 15: bee, 25: cat}\n")
    notes = assert_right(root)
    assert any("says nc: 26 and names 3 classes" in note for note in notes)
    (root / "labels" / "c.txt").write_text("0 0.5 0.5 0.1 0.1\n")
    with pytest.raises(DataError, match="has the class 0; there are 3, with numbers from 5 to 25"):
        open_objects(root)


def test_numbers_without_names(tmp_path):
    root = write_yolo(tmp_path / "set")
    (root / "data.yaml").write_text("train: ./images\nnc: 4\n")
    assert open_objects(root).classes == ["0", "1", "2", "3"]


def test_a_test_split_that_is_absent(tmp_path):
    root = write_yolo(tmp_path / "set", {"train": "abc", "val": "de"})
    with (root / "data.yaml").open("a") as file:
        file.write("test: images/test\n")
    train, val = object_splits(root)
    assert (len(train), len(val)) == (3, 2)
    ((_, reason),) = train.skipped.items()
    assert "test: 'images/test' below the path '../somewhere' is neither a folder nor a file" in reason
    assert reason.endswith("this split was left out")
    with pytest.raises(DataError, match="has no split 'test'"):
        open_objects(root, "test")
    with pytest.raises(DataError, match="neither a folder nor a file"):
        object_splits(root, on_error="fail")
    (root / "data.yaml").write_text("train: images/train\nval: images/valid\nnames: [ant, bee, cat]\n")
    with pytest.raises(DataError, match="without this line, pictures of the training split are held out"):
        object_splits(root)


@pytest.mark.parametrize("data_file", [True, False])
@pytest.mark.parametrize("case", [str.lower, str.title])
def test_the_lists_of_darknet(tmp_path, data_file, case):
    root = tmp_path / "set"
    save_pictures(root / "obj_train_data")
    for i, name in enumerate(NAMES):
        (root / "obj_train_data" / f"{name}.txt").write_text(yolo_lines(i))
    (root / "obj.names").write_text("\n".join(CLASSES))
    for split, names in (("train", "abc"), ("valid", "de")):
        (root / f"{case(split)}.txt").write_text("".join(f"data/obj_train_data/{name}.png\n" for name in names))
    if data_file:
        lines = [f"{case(split)} = data/{case(split)}.txt" for split in ("train", "valid")]
        (root / "obj.data").write_text("classes = 3\n" + "\n".join(lines) + "\nnames = data/obj.names\nbackup = b/\n")
    train, valid = object_splits(root)
    assert [[Path(name).stem for name in part.names] for part in (train, valid)] == [list("abc"), list("de")]
    assert train.classes == CLASSES
    write_clean(examine(root), tmp_path / "out")
    assert [len(part) for part in object_splits(tmp_path / "out", on_error="fail")] == [3, 2]


def test_lists_with_absolute_names_and_pictures_that_are_missing(tmp_path):
    root = write_yolo(tmp_path / "set")
    rows = [f"{root}/images/a.png", "/home/someone/set/images/b.png", "C:\\set\\images\\c.png", "images/gone.png"]
    (root / "list.txt").write_text("\n".join(rows))
    (root / "data.yaml").write_text("train: list.txt\nnames: [ant, bee, cat]\n")
    dataset = open_objects(root)
    assert dataset.names == [f"images/{name}.png" for name in "abc"]
    assert list(dataset.skipped) == ["list.txt, line 4"]
    with pytest.raises(DataError, match=r"list\.txt, line 4 lists 'images/gone\.png', which is not there"):
        open_objects(root, on_error="fail")
    (root / "list.txt").write_text("x/1.png\nx/2.png\n")
    with pytest.raises(DataError, match="no other picture that it lists is there, either"):
        open_objects(root)


def test_the_path_of_a_data_yaml_that_is_given(tmp_path):
    write_yolo(tmp_path / "elsewhere")
    (tmp_path / "sheets").mkdir()
    for base in (tmp_path / "elsewhere", "../elsewhere"):
        (tmp_path / "sheets" / "my.yaml").write_text(f"path: {base}\ntrain: images\nnames: [ant, bee, cat]\n")
        assert_right(tmp_path / "sheets" / "my.yaml")


def test_several_data_yaml_files(tmp_path):
    root = write_yolo(tmp_path / "set")
    (root / "other.yaml").write_text("train: images\nnames: [x, y, z]\n")
    assert "data.yaml was read, and not other.yaml; name one to choose it" in assert_right(root)
    assert open_objects(root / "other.yaml").classes == ["x", "y", "z"]


def test_zip_and_tar(tmp_path):
    root = write_yolo(tmp_path / "set")
    for kind in ("zip", "tar", "gztar"):
        assert_right(Path(shutil.make_archive(str(tmp_path / kind), kind, root)))


def test_texts_that_are_no_labels(tmp_path):
    save_pictures(tmp_path / "set")
    for name in NAMES:
        (tmp_path / "set" / f"{name}.txt").write_text("two ants on a leaf\n")
    with pytest.raises(DataError, match="holds no boxes"):
        open_objects(tmp_path / "set")


def test_a_data_yaml_out_of_bounds(tmp_path):
    root = write_yolo(tmp_path / "set")
    (root / "data.yaml").write_text("names: [" + "ant, " * (1 << 18) + "]\n")
    with pytest.raises(DataError, match="is larger than 1 MiB"):
        open_objects(root)
    (root / "data.yaml").write_text("names: " + "[" * 5000 + "]" * 5000)
    with pytest.raises(DataError, match="nested more than 20 deep"):
        open_objects(root)


def test_lines():
    assert parse_line("", {}) == []
    assert parse_line("ant 0 0 1 1", {"ant": 2}) == [2, 0, 0, 1, 1]
    assert "decimal comma" in parse_line("0 0,5 0,5 1 1", {})
    texts = ("\n \n", "0 .5 .5 1 1", "a boat", "ant 0 0 1 1", "Car 0 0 0 0 0 0")
    assert [looks_like_labels(text) for text in texts] == [None, True, False, True, False]


def test_a_split_without_labels_among_others(tmp_path):
    root = write_yolo(tmp_path / "set", {"train": "abc", "val": "de", "test": "c"})
    (root / "labels" / "test" / "c.txt").unlink()
    assert [len(part) for part in object_splits(root)] == [3, 2]
    with pytest.raises(DataError, match="none of its 1 pictures has a label file"):
        open_objects(root, "test")
