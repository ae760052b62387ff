"""A clean copy has no errors left, holds what was sound as it was, and the source is not touched."""

import hashlib
import json
import tarfile

import numpy as np
import pytest
from PIL import Image

from saccade.data import ImageFolder
from saccade.data.doctor import check_empty, examine, write_clean
from saccade.data.doctor.clean import _write
from saccade.data.objects.sets import open_objects
from saccade.errors import DataError

from ..objects.annotated_sets import coco, save_pictures, write_coco, write_voc, write_yolo, xml
from .test_examine import spoil_coco, two_annotations_of_a_picture


def digest(root) -> dict[str, str]:
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(root.rglob("*")) if p.is_file()}


def cleaned(root, out, split=None) -> dict[str, int]:
    """Write a clean copy; the counts of what was changed."""
    before = digest(root)
    changes = write_clean(examine(root, split), out)
    assert digest(root) == before
    report = examine(out).report
    assert report.sound, report.findings
    assert not {"box beyond", "box repeated", "picture repeated", "id zero"} & {f.kind for f in report.findings}
    return changes


def boxes(dataset) -> list:
    return [dataset.objects(i).boxes.tolist() for i in range(len(dataset))]


def test_coco(tmp_path):
    root = spoil_coco(tmp_path / "set")
    changes = cleaned(root, tmp_path / "out")
    assert changes == {
        "picture size: left out": 1, "picture unreadable: left out": 1, "box not finite: left out": 1,
        "box inverted: left out": 1, "box empty: left out": 1, "box outside: left out": 1, "box beyond: cut": 1,
        "box repeated: left out": 1,
    }  # fmt: skip
    clean, spoilt = open_objects(tmp_path / "out", on_error="fail"), coco()
    assert [name[-5:] for name in clean.names] == ["a.png", "c.png", "d.png"]
    assert clean.objects(0).boxes.tolist() == [[3, 5, 20, 31], [30, 7, 71, 53], [60, 1, 71, 51], [1, 1, 10, 10]]
    assert clean.classes == ["ant", "bee", "cat", "dog"]
    data = json.loads((tmp_path / "out" / "annotations" / "instances.json").read_text())
    assert [each["id"] for each in data["annotations"]] == list(range(1, 8))
    assert [each["id"] for each in data["images"]] == [1, 2, 3]
    assert data["annotations"][0] | {"id": 0, "image_id": 100} == spoilt["annotations"][0]


def test_coco_relations_follow_their_objects(tmp_path):
    relations = {"103": [{"subject": 5, "relation": "on", "object": 3}, {"subject": 3, "relation": "on", "object": 4}]}
    data = coco(relations=relations, relation_names=["on"])
    data["annotations"][4]["bbox"] = [1, 1, 0, 0]
    write_coco(tmp_path / "set", data)
    assert cleaned(tmp_path / "set", tmp_path / "out") == {"box empty: left out": 1}
    clean = open_objects(tmp_path / "out", on_error="fail")
    assert clean.objects(3).labels.tolist() == [1, 0]
    assert clean.objects(3).relations.tolist() == [[1, 0, 0]]


def test_coco_splits_that_annotate_one_picture_each_in_its_own_way(tmp_path):
    root = two_annotations_of_a_picture(tmp_path / "set")
    # in the list for validation it is of a wrong size, in that for training for validation, too
    assert cleaned(root, tmp_path / "out") == {"leak: left out": 1, "picture size: left out": 1}
    file = root / "annotations" / "val.json"
    file.write_text(file.read_text().replace('"height": 60', '"height": 59'))
    assert cleaned(root, tmp_path / "sized") == {"leak: left out": 1, "box empty: left out": 2}
    assert boxes(open_objects(tmp_path / "sized", "val", on_error="fail")) == [[[1, 1, 10, 10]], [[1, 2, 40, 66]]]


def one_picture(folder, file_name) -> None:
    """A COCO set of one picture, of its own colours."""
    data = coco()
    data["images"] = [dict(data["images"][0], file_name=file_name)]
    data["annotations"] = data["annotations"][:2]
    (folder / "annotations").mkdir(parents=True)
    split = "train" if folder.name == "a" else "val"
    (folder / "annotations" / f"instances_{split}.json").write_text(json.dumps(data))
    save_pictures(folder / "images", ["a"])


def test_coco_files_in_different_folders(tmp_path):
    root = tmp_path / "set"
    one_picture(root / "a", "a/images/a.png")
    one_picture(root, "images/a.png")
    Image.open(root / "images" / "a.png").transpose(Image.Transpose.ROTATE_180).save(root / "images" / "a.png")
    cleaned(root, tmp_path / "out")
    for name in ("images/a.png", "a/images/a.png"):
        assert (tmp_path / "out" / name).read_bytes() == (root / name).read_bytes()
    assert {split: open_objects(tmp_path / "out", split).names for split in ("train", "val")} == {
        "train": ["images/a.png"], "val": ["images/a.png"],
    }  # fmt: skip


def test_two_files_are_never_written_to_one_place(tmp_path):
    root = tmp_path / "set"
    one_picture(root / "a", "a/images/a.png")
    one_picture(root, "images/a.png")
    Image.open(root / "images" / "a.png").transpose(Image.Transpose.ROTATE_180).save(root / "images" / "a.png")
    examined = examine(root)
    examined.subject.root = "a"
    with pytest.raises(DataError, match=r"images/a\.png and .*images/a\.png would both be copied to images/a\.png"):
        write_clean(examined, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    _write(tmp_path, "new/x", b"1")
    with pytest.raises(DataError, match="would be written twice"):
        _write(tmp_path, "new/x", b"2")
    assert (tmp_path / "new" / "x").read_bytes() == b"1"


def test_voc(tmp_path):
    root = write_voc(tmp_path / "set", {"train": "abc", "val": "cd", "trainval": "abcd", "test": "e"})
    own = [("ant", (4, 6, 20, 31)), ("bee", (9, 9, 9, 9)), ("cat", (31, 8, 80, 53)), ("ant", (4, 6, 20, 31))]
    (root / "Annotations" / "a.xml").write_text(xml(0, objects=own).replace("<object>", "<object><pose>left</pose>"))
    (root / "Annotations" / "b.xml").write_text("<annotation>")
    changes = cleaned(root, tmp_path / "out")
    assert changes == {
        "leak: left out": 2, "box empty: left out": 1, "box beyond: cut": 1, "box repeated: left out": 1,
    }  # fmt: skip
    names = {split: open_objects(tmp_path / "out", split).names for split in ("train", "val", "trainval", "test")}
    assert {split: "".join(name[-5] for name in each) for split, each in names.items()} == {
        "train": "a", "val": "cd", "trainval": "ad", "test": "e",
    }  # fmt: skip
    clean = open_objects(tmp_path / "out", "train", on_error="fail")
    assert clean.objects(0).boxes.tolist() == [[3, 5, 20, 31], [30, 7, 71, 53]]
    text = (tmp_path / "out" / "Annotations" / "a.xml").read_text()
    assert text.count("<pose>left</pose>") == 2
    # what is sound stays as it was, to the byte
    for name in ("Annotations/d.xml", "JPEGImages/d.png"):
        assert (tmp_path / "out" / name).read_bytes() == (root / name).read_bytes()


@pytest.mark.parametrize("yaml_file", [True, False])
@pytest.mark.parametrize("splits", [None, {"train": "abc", "val": "de"}])
def test_yolo(tmp_path, splits, yaml_file):
    root = write_yolo(tmp_path / "set", splits, yaml_file)
    first = "train" if splits else ""
    with (root / "labels" / first / "a.txt").open("a") as file:
        file.write("1 0.5 0.5\n9 0.5 0.5 0.1 0.1\n1 0.9 0.5 0.4 0.2\n1 0.9 0.1 1.1 0.1 1.1 0.3\n1 2 2 0.1 0.1\n")
    changes = cleaned(root, tmp_path / "out")
    assert changes == {"box beyond: cut": 2, "box outside: left out": 1}
    split = "train" if splits or yaml_file else None
    clean = open_objects(tmp_path / "out", split, on_error="fail")
    assert clean.classes == ["ant", "bee", "cat"]
    assert len(clean) == (3 if splits else 5)
    expected = [[3, 5, 20, 31], [30, 7, 71, 53], [0.7 * 71, 0.4 * 53, 71, 0.6 * 53], [0.9 * 71, 5.3, 71, 0.3 * 53]]
    for box, other in zip(boxes(clean)[0], expected, strict=True):
        assert box == pytest.approx(other, abs=1e-3)
    if splits:
        assert len(open_objects(tmp_path / "out", "val", on_error="fail")) == 2
        assert cleaned(root, tmp_path / "part", "val") == {}
        assert len(open_objects(tmp_path / "part", "val", on_error="fail")) == 2


def test_yolo_below_the_path_of_a_data_yaml_in_another_folder(tmp_path):
    root = write_yolo(tmp_path / "set" / "blood")
    (tmp_path / "set" / "cfg").mkdir()
    text = (root / "data.yaml").read_text().replace("../somewhere", "../blood")
    (tmp_path / "set" / "cfg" / "data.yaml").write_text(text)
    (root / "data.yaml").unlink()
    (root / "labels" / "a.txt").write_text("1 0.9 0.5 0.4 0.2\n")
    assert cleaned(tmp_path / "set", tmp_path / "out") == {"box beyond: cut": 1}
    clean = open_objects(tmp_path / "out", "train", on_error="fail")
    assert clean.names[0] == "blood/images/a.png"
    assert boxes(clean)[0][0] == pytest.approx([0.7 * 71, 0.4 * 53, 71, 0.6 * 53], abs=1e-3)


def test_class_folders(tmp_path):
    for folder in ("cat", "dog"):
        save_pictures(
            tmp_path / "set" / folder, [f"{folder}{letter}" for letter in ("abc" if folder == "cat" else "bde")]
        )
    (tmp_path / "set" / "cat" / "copy.png").write_bytes((tmp_path / "set" / "cat" / "cata.png").read_bytes())
    (tmp_path / "set" / "dog" / "doge.png").write_bytes(b"")
    changes = cleaned(tmp_path / "set", tmp_path / "out")
    assert sum(changes.values()) == 2
    assert changes["picture unreadable: left out"] == changes["picture repeated: left out"] == 1
    assert sum(1 for p in (tmp_path / "out").rglob("*.png")) == 5


def test_places_that_are_refused(tmp_path):
    root = write_yolo(tmp_path / "set")
    with pytest.raises(DataError, match=r"lies inside .*set, which is never written to"):
        write_clean(examine(root), root / "clean")
    (tmp_path / "out").mkdir()
    check_empty(tmp_path / "out", root)
    (tmp_path / "out" / "x").write_text("x")
    with pytest.raises(DataError, match="is not an empty folder"):
        write_clean(examine(root), tmp_path / "out")
    with pytest.raises(DataError, match="is not an empty folder"):
        check_empty(tmp_path / "out" / "x", root)
    with tarfile.open(tmp_path / "set.tar", "w") as file:
        file.add(root, arcname=".")
    with pytest.raises(DataError, match="is not an empty folder"):
        write_clean(examine(tmp_path / "set.tar"), tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["x"]
    for name in "abcde":
        (root / "images" / f"{name}.png").write_bytes(b"")
    with pytest.raises(DataError, match="so there is nothing to write"):
        write_clean(examine(root), tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_classes_of_a_table(tmp_path):
    root = tmp_path / "set"
    (root / "images").mkdir(parents=True)
    for i in range(1, 7):
        noise = np.random.default_rng(i).integers(0, 256, (31, 29, 3), dtype=np.uint8)
        Image.fromarray(noise).save(root / "images" / f"{i}.png")
    (root / "images" / "6.png").write_bytes(b"")
    rows = [f"{i},{'red' if i % 2 else 'blue'},{'val' if i > 4 else 'train'}" for i in range(1, 7)]
    (root / "classes.csv").write_text("\n".join(["id,label,split", *rows]))
    cleaned(root, tmp_path / "out")
    for source, count in ((root, 4), (tmp_path / "out", 4)):
        assert len(ImageFolder(source, split="train")) == count
    assert ImageFolder(tmp_path / "out", ["blue", "red"], split="val").names == ["images/5.png"]
