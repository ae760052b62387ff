"""What the doctor finds in sets that were spoiled on purpose, one way at a time and all at once."""

import json
import tarfile

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter

from saccade.data import ImageFolder
from saccade.data.doctor import CHECKS, examine
from saccade.data.doctor.boxes import find_duplicate_boxes
from saccade.data.doctor.scan import ScannedImage, scan_images, similar
from saccade.data.objects.annotations import AnnotatedObject, AnnotatedPicture, check_box
from saccade.data.store import open_store
from saccade.errors import DataError

from ..objects.annotated_sets import coco, save_pictures, write_coco, write_voc, write_yolo, xml

# The sets that tests are made of are too small for the doctor's taste.
SMALL = {"class rare"}


def found(root, split=None) -> dict[str, int]:
    report = examine(root, split).report
    assert {each.kind for each in report.findings} <= set(CHECKS)
    assert all(0 < len(each.places) <= 5 for each in report.findings)
    return {each.kind: each.count for each in report.findings if each.kind not in SMALL}


@pytest.mark.parametrize("write", [write_coco, write_voc, write_yolo])
def test_sound_sets(tmp_path, write):
    root = write(tmp_path / "set")
    own = {write_coco: {"id zero": 1}, write_voc: {"class of crowds": 1}, write_yolo: {}}  # VOC's cats are difficult
    expected = {"picture empty": 1, "box tiny": 1} | own[write]
    assert found(root) == expected
    report = examine(root).report
    assert report.sound
    (split,) = report.splits.values()
    assert (split.pictures, split.objects) == (5, {"ant": 2, "bee": 3, "cat": 2})
    assert sum(report.sizes.values()) == 5
    json.dumps(report.to_dict())


def test_a_set_without_pictures_is_not_sound(tmp_path):
    root = write_coco(tmp_path / "set", coco(images=[], annotations=[]))
    assert found(root)["no pictures"] == 1
    assert not examine(root).report.sound


def spoil_coco(root):
    data = coco()
    rows, images = data["annotations"], data["images"]

    def add(**more):
        rows.append({"id": len(rows) + 100, "image_id": 100, "category_id": 3, "bbox": [1, 1, 9, 9]} | more)

    add(bbox=[1, 1, float("nan"), 5])
    add(bbox=[1, 1, -5, 5])
    add(bbox=[1, 1, 0, 5])
    add(bbox=[100, 1, 5, 5])
    add(bbox=[60, 1, 50, 50])
    add(bbox=[3.1, 5, 17, 26])  # the first one again
    add(image_id=3)
    add(category_id=8)
    add(id=2)
    images.append({"id": 7, "file_name": "gone.png", "height": 3, "width": 3})
    images[1]["height"] = 62
    data["categories"].append({"id": 99, "name": "dog"})
    write_coco(root, data)
    save_pictures(root / "images", ["z"])  # that no annotation names
    (root / "images" / "e.png").write_bytes((root / "images" / "e.png").read_bytes()[:-40])
    return root


def test_every_fault_of_a_coco_set_is_found(tmp_path):
    root = spoil_coco(tmp_path / "set")
    assert found(root) == {
        "box not finite": 1, "box inverted": 1, "box empty": 1, "box outside": 1, "box beyond": 1, "box repeated": 1,
        "annotation without picture": 1, "class unknown": 1, "id repeated": 1, "id zero": 1, "picture missing": 1,
        "picture size": 1, "picture unreadable": 1, "picture unlabelled": 1, "class unused": 1, "picture empty": 1,
        "box tiny": 1,
    }  # fmt: skip
    report = examine(root).report
    assert not report.sound
    severities = [each.severity for each in report.findings]
    assert severities == sorted(severities, key=["error", "warning", "note"].index)
    places = {each.kind: each.places[0] for each in report.findings}
    assert places["box empty"].startswith("images/a.png, annotation 109: its box (1, 1, 1, 6) has no width")
    assert places["picture size"] == "images/b.png: 43 x 61, annotated as 43 x 62"
    assert places["picture unreadable"].startswith("images/e.png: e.png is damaged or cut short")


def test_voc_and_its_splits(tmp_path):
    root = write_voc(tmp_path / "set", {"train": "abc", "val": "cd", "trainval": "abcd"})
    (root / "Annotations" / "b.xml").write_text("<annotation>")
    (root / "ImageSets/Main/train.txt").write_text("a\nb\nb\nx\nc\n")
    assert found(root) == {
        "annotation broken": 1, "annotation missing": 1, "picture listed twice": 1, "leak": 1, "in no split": 2,
        "picture empty": 1, "class absent": 1, "box tiny": 1, "class of crowds": 1,
    }  # fmt: skip
    assert found(root, "val") == {"picture empty": 1, "class unused": 1, "box tiny": 1}
    with pytest.raises(DataError, match="has no split 'test'"):
        examine(root, "test")
    report = examine(root).report
    assert {name: split.pictures for name, split in report.splits.items()} == {"train": 2, "trainval": 3, "val": 2}


def two_annotations_of_a_picture(root):
    """COCO: d.png, with other objects (one of them empty) and another size in the list for validation."""
    data = coco()
    write_coco(root)
    (root / "annotations" / "instances.json").unlink()
    one = {"images": data["images"][:4], "annotations": [row for row in data["annotations"] if row["image_id"] < 104]}
    other = {"images": [data["images"][3] | {"height": 60}, data["images"][4]]}
    other["annotations"] = [
        data["annotations"][i] | {"id": i, "bbox": box}
        for i, box in ((5, [1, 1, 9, 9]), (4, [1, 1, 0, 9]), (6, [1, 2, 39, 64]), (0, [1, 1, 0, 9]))
    ]
    other["annotations"][3]["image_id"] = 103
    for split, part in (("train", one), ("val", other)):
        (root / "annotations" / f"{split}.json").write_text(json.dumps(data | part))
    return root


def test_splits_that_annotate_one_picture_each_in_its_own_way(tmp_path):
    root = two_annotations_of_a_picture(tmp_path / "set")
    report = examine(root).report
    assert report.splits["train"].objects == {"ant": 2, "bee": 3, "cat": 1}
    assert report.splits["val"].objects == {"ant": 1, "bee": 0, "cat": 1}
    places = {each.kind: each.places for each in report.findings}
    assert places["leak"] == ["images/d.png is in both lists"]
    assert places["picture size"] == ["images/d.png in annotations/val.json: 83 x 59, annotated as 83 x 60"]
    assert [place[:51] for place in places["box empty"]] == [
        "images/d.png in annotations/val.json, annotation 4:",
        "images/d.png in annotations/val.json, annotation 0:",
    ]
    assert places["id zero"] == [
        "images/a.png, annotation 0", "images/d.png in annotations/val.json, annotation 0",
    ]  # fmt: skip


def test_exif(tmp_path):
    root = write_voc(tmp_path / "set")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(root / "JPEGImages" / "a.png").save(root / "JPEGImages" / "a.jpg", exif=exif)
    (root / "JPEGImages" / "a.png").unlink()
    assert found(root)["picture turned"] == 1
    (root / "Annotations" / "a.xml").write_text(xml(0, objects=[("ant", (1, 1, 9, 9))], size=(71, 53)))
    assert "picture turned" not in found(root)


def test_yolo(tmp_path):
    root = write_yolo(tmp_path / "set", {"train": "abc", "val": "de"})
    (root / "labels" / "train" / "b.txt").unlink()
    (root / "labels" / "train" / "x.txt").write_text("0 0.5 0.5 1 1\n")
    with (root / "labels" / "val" / "d.txt").open("a") as file:
        file.write("0 0.5 0.5\n7 0.5 0.5 1 1\n0 0.5 0.5 1.2 1\n")
    assert found(root) == {
        "picture unlabelled": 1, "in no split": 1, "annotation broken": 1, "class unknown": 1, "box beyond": 1,
        "picture empty": 1, "class absent": 1, "box tiny": 1, "assumed": 1,
    }  # fmt: skip


def test_pictures_that_a_yolo_list_names_twice(tmp_path):
    root = write_yolo(tmp_path / "set")
    (root / "list.txt").write_text("".join(f"images/{name}.png\n" for name in "abcdeba"))
    yaml_file = root / "data.yaml"
    yaml_file.write_text(yaml_file.read_text().replace("train: images/", "train: list.txt"))
    assert found(root) == {"picture listed twice": 2, "picture empty": 1, "box tiny": 1}
    assert examine(root).report.splits["train"].pictures == 5


def test_unreadable_sets_are_reported(tmp_path):
    root = write_coco(tmp_path / "set")
    (root / "annotations" / "instances.json").write_text('{"images": [], "annotations": []}')
    report = examine(root).report
    assert [each.kind for each in report.findings] == ["structure"]
    assert "is not a COCO file" in report.findings[0].places[0]


def test_class_folders_copies_and_leaks(tmp_path):
    root = tmp_path / "set"
    for folder in ("train/cat", "train/dog", "test/cat", "test/dog"):
        (root / folder).mkdir(parents=True)
        for i in range(3):
            g = np.random.default_rng([i, *folder.encode()])
            small = Image.fromarray(g.integers(0, 256, (7, 9, 3), dtype=np.uint8))
            small.resize((61, 53), Image.Resampling.BICUBIC).save(root / folder / f"{i}.png")
    assert found(root) == {}
    assert {each.kind for each in examine(root).report.findings} == {"class rare"}

    def copy(a, b):
        (root / b).write_bytes((root / a).read_bytes())

    copy("train/cat/0.png", "train/cat/5.png")
    copy("train/cat/1.png", "train/dog/5.png")
    copy("train/dog/0.png", "test/dog/5.png")
    image = Image.open(root / "train/dog/1.png").convert("RGB")
    image.filter(ImageFilter.GaussianBlur(0.7)).save(root / "test/dog/6.jpg", quality=80)
    image.resize((101, 89)).save(root / "train/dog/6.jpg", quality=80)
    (root / "test/cat/0.png").write_bytes(b"")
    assert found(root) == {
        "picture repeated": 1, "picture in two classes": 1, "leak": 1, "similar leak": 2, "picture similar": 1,
        "picture unreadable": 1,
    }  # fmt: skip
    report = examine(root).report
    assert report.format == "class folders"
    assert report.splits["train"].objects == {"cat": 4, "dog": 5}
    places = {each.kind: each.places for each in report.findings}
    assert places["leak"] == ["train/dog/0.png = test/dog/5.png"]
    assert places["picture similar"] == ["train/dog/1.png ~ train/dog/6.jpg"]
    (root / "test/dog").rename(root / "test/fox")
    assert found(root)["classes differ"] == 1


def test_class_balance(tmp_path):
    for name, count in (("cat", 21), ("dog", 1), ("fox", 2)):
        (tmp_path / "set" / name).mkdir(parents=True)
        for i in range(count):
            pixels = np.random.default_rng(i + 100 * count).integers(0, 256, (5, 7, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "set" / name / f"{i}.png")
    report = examine(tmp_path / "set").report
    assert {each.kind: each.places for each in report.findings} == {
        "class rare": ["dog: 1", "fox: 2"],
        "class balance": ["dog: 1 of 21"],
    }


def test_names_that_look_alike(tmp_path):
    for i, name in enumerate(("cat", "Cat ", "caf\u00e9", "cafe\u0301", "hot_dog", "hot  dog", "dog")):
        (tmp_path / "set" / name).mkdir(parents=True)
        for k in range(11):
            pixels = np.random.default_rng(100 * i + k).integers(0, 256, (5, 7, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "set" / name / f"{k}.png")
    (found,) = examine(tmp_path / "set").report.findings
    assert found.kind == "class alike"
    pairs = {frozenset(each.split(" = ")) for each in found.places}
    assert pairs == {
        frozenset(("cat", "Cat ")),
        frozenset(("caf\u00e9", "cafe\u0301")),
        frozenset(("hot_dog", "hot  dog")),
    }


def test_pictures_of_which_a_part_is_used(tmp_path):
    for i, name in enumerate("ab"):
        (tmp_path / name).mkdir()
        for k in range(11):
            pixels = np.random.default_rng(100 * i + k).integers(0, 256, (5, 7, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{k}.png")
    frames = [Image.new("RGB", (7, 5), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "a" / "x.gif", save_all=True, append_images=frames[1:])
    Image.fromarray(np.arange(35, dtype=np.uint16).reshape(5, 7) * 100).save(tmp_path / "b" / "x.png")
    (found,) = examine(tmp_path).report.findings
    assert found.kind == "picture noted"
    first, second = found.places
    assert first == "a/x.gif: GIF: its first frame was taken"
    assert second.startswith("b/x.png: 16-bit pixels")
    dataset = ImageFolder(tmp_path)
    dataset.picture(dataset.names.index("a/x.gif"))
    assert dataset.notes == ["GIF: its first frame was taken, in some pictures"]


def test_an_unknown_kind_is_named(tmp_path):
    (tmp_path / "data-00000-of-00001.arrow").write_bytes(b"ARROW1")
    with pytest.raises(
        DataError, match=r"it holds Arrow \(data-00000-of-00001.arrow\), which is not read; write its rows"
    ):
        examine(tmp_path)


def test_from_a_tar(tmp_path):
    root = spoil_coco(tmp_path / "set")
    with tarfile.open(tmp_path / "set.tar", "w") as file:
        file.add(root, arcname="around")
    assert found(tmp_path / "set.tar") == found(root)


def test_sources_without_a_data_set_are_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(DataError, match=r"is not a data set of a known kind \(found: 1 \.txt\)"):
        examine(tmp_path)
    with pytest.raises(DataError, match="does not exist"):
        examine(tmp_path / "gone")


def test_boxes_that_are_there_twice():
    boxes = [(0, 0, 10, 10), (0, 0, 10, 9.6), (0, 0, 10, 9.4), (0, 0, 10, 10), (5, 5, 4, 4)]
    labels = [0, 0, 0, 1, 0]
    rows = [AnnotatedObject("", box, label) for box, label in zip(boxes, labels, strict=True)]
    assert find_duplicate_boxes(
        AnnotatedPicture("", "", rows), [check_box(row.box, (20, 20), False) for row in rows]
    ) == [1]


def test_flat_pictures_are_not_alike(tmp_path):
    for i in range(4):
        Image.new("RGB", (11, 13), (i * 20,) * 3).save(tmp_path / f"{i}.png")
    seen = scan_images(open_store(tmp_path), [f"{i}.png" for i in range(4)])
    assert len(seen) == 4
    assert all(isinstance(each, ScannedImage) and not each.error for each in seen.values())
    assert similar(seen) == []
    assert torch.equal(torch.tensor([each.size for each in seen.values()]), torch.tensor([[13, 11]] * 4))
