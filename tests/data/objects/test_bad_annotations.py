"""Annotations as they should not be: refused, skipped and recorded, cut and counted, or an error that says where."""

import json
import math

import pytest
import torch
import yaml

from saccade.data import Preprocess
from saccade.data.doctor import examine
from saccade.data.objects.annotations import check_box
from saccade.data.objects.arrays import to_object_arrays
from saccade.data.objects.sets import open_objects
from saccade.data.objects.transforms import apply_placement, mirror
from saccade.data.preprocess import Placement
from saccade.errors import DataError

from .annotated_sets import CLASSES, NAMES, OBJECTS, coco, save_pictures, write_coco, write_voc, write_yolo, xml

# boxes in continuous pixels of the first picture (53 x 71), and the expected message
BAD = [
    ((math.nan, 5, 20, 31), "that is not finite"),
    ((3, 5, math.inf, 31), "that is not finite"),
    ((20, 5, 3, 31), "ends before it begins"),
    ((3, 31, 20, 5), "ends before it begins"),
    ((3, 5, 3, 31), "has no width"),
    ((3, 5, 20, 5), "has no height"),
    ((71, 5, 90, 31), "lies outside the picture"),
    ((-20, -31, -3, -5), "lies outside the picture"),
]


def written(kind: str, root, box):
    """A set of `kind` whose first picture has one object more than usual."""
    left, top, right, bottom = box
    if kind == "COCO":
        data = coco()
        bbox = [left, top, right - left, bottom - top]
        data["annotations"].append({"id": 77, "image_id": 100, "category_id": 10, "bbox": bbox})
        return write_coco(root, data)
    if kind == "VOC":
        write_voc(root)
        own = [(CLASSES[c], (x + 1, y + 1, u, v)) for c, (x, y, u, v) in OBJECTS[0]]
        # the devkit's xmin = xmax is written by tools for boxes without width
        more = (left + (left != right), top + (top != bottom), right, bottom)
        (root / "Annotations" / "a.xml").write_text(xml(0, objects=[*own, ("bee", more)]))
        return root
    write_yolo(root)
    shares = ((left + right) / 2 / 71, (top + bottom) / 2 / 53, (right - left) / 71, (bottom - top) / 53)
    with (root / "labels" / "a.txt").open("a") as file:
        file.write(" ".join(map(str, (1, *shares))))
    return root


@pytest.mark.parametrize("kind", ["COCO", "VOC", "YOLO"])
@pytest.mark.parametrize(("box", "reported"), BAD)
def test_bad_boxes_are_refused(tmp_path, kind, box, reported):
    root = written(kind, tmp_path / "set", box)
    dataset = open_objects(root, on_error="skip")
    assert dataset.objects(0).labels.tolist() == [0, 2]
    ((place, reason),) = dataset.skipped.items()
    assert "a.png, " in place
    assert place.rpartition(", ")[2] in ("annotation 77", "object 3", "line 3")
    assert reported in reason
    with pytest.raises(DataError, match=f"{reported}.*; fix or remove it"):
        open_objects(root, on_error="fail")


@pytest.mark.parametrize("kind", ["COCO", "VOC", "YOLO"])
def test_boxes_that_reach_beyond_are_cut_and_counted(tmp_path, kind):
    dataset = open_objects(written(kind, tmp_path / "set", (60, -2, 75.5, 30)), on_error="fail")
    torch.testing.assert_close(dataset.objects(0).boxes[2], torch.tensor([60.0, 0, 71, 30]), atol=1e-4, rtol=0)
    farthest = "0.0634 of a side" if kind == "YOLO" else "4.5 pixels"
    assert dataset.notes[1:] == [f"1 boxes reach beyond their picture, the farthest by {farthest}; cut at its edges"]


def test_an_unclaimed_size_is_found_out_late(tmp_path):
    data = coco()
    for image in data["images"]:
        del image["width"]
    data["annotations"][0]["bbox"] = [72, 3, 10, 10]
    data["annotations"][1]["bbox"] = [60, 3, 20, 10]
    dataset = open_objects(write_coco(tmp_path / "set", data))
    assert dataset.objects(0).boxes.tolist() == [[60, 3, 71, 13]]
    assert list(dataset.skipped) == ["images/a.png, annotation 0"]
    reported = "boxes of pictures whose annotation claims no size reach beyond them; cut at the edges"
    assert dataset.notes[1:] == [reported]
    dataset.objects(0)
    assert dataset.notes[1:] == [reported]


def test_judging_is_exact_at_the_edges():
    assert check_box((0, 0, 71, 53), (53, 71), normalized=False).kind == ""
    assert check_box((70.5, 0, 75, 53), (53, 71), normalized=False).box == (70.5, 0, 71, 53)
    assert check_box((71, 0, 75, 53), (53, 71), normalized=False).kind == "box outside"
    assert check_box((0, 0, 1.0000001, 1), None, normalized=True).box == (0, 0, 1, 1)


# ---------------------------------------------------------------- COCO


def change(key: str, index: int, **fields):
    def apply(data):
        data[key][index].update(fields)

    return apply


@pytest.mark.parametrize(
    ("apply", "message"),
    [
        (change("annotations", 1, category_id=99), "annotation 1 has the category 99; 3 others are listed"),
        (change("categories", 1, id=3), "names the category 3"),
        (change("categories", 1, name="ant"), r"names the category 10 \('ant'\) twice"),
        (change("categories", 1, name=None), "an id and a name expected"),
        (change("categories", 1, name="a\x1b[31m"), r"is 'a\\x1b\[31m', which has characters that cannot be printed"),
        (change("categories", 1, name="a\ud800"), "characters that cannot be printed"),
        (lambda data: data.update(categories=[]), "instances.json lists no categories"),
        (lambda data: data.update(relation_names=["on", "on"]), "names 'on' twice among its relations"),
        (lambda data: data.update(relation_names=["on", ""]), "number 1 of its relations is empty"),
        (lambda data: data.update(annotations={}), "annotations that are not a list"),
        (lambda data: data.update(images=[3]), "images that are not a list"),
        (lambda data: data.update(relations=[3]), "relations that are not lists by image id"),
        (lambda data: data.update(relation_names="on"), "relation_names that are not a list of names"),
    ],
)
def test_coco_files_that_cannot_be_used(tmp_path, apply, message):
    data = coco()
    apply(data)
    with pytest.raises(DataError, match=message):
        open_objects(write_coco(tmp_path / "set", data), on_error="skip")


@pytest.mark.parametrize(
    ("apply", "reason", "left"),
    [
        (change("images", 1, file_name="gone.png"), "is gone.png, which is not there", 4),
        (change("images", 1, file_name="a.png"), "is a.png again", 4),
        (change("images", 1, file_name=None), "has no file_name", 4),
        (change("images", 1, file_name="."), "is ., which is not there", 4),
        (change("images", 1, file_name="../../etc/passwd"), "which is not there", 4),
        (change("images", 1, file_name="C:\\elsewhere.png"), "which is not there", 4),
        (change("images", 2, id=None), "has no id", 4),
        (change("annotations", 1, image_id=5), "belongs to image 5, which is not listed", 5),
        (change("annotations", 1, id=0), "has an id that another annotation has", 5),
        (change("annotations", 1, iscrowd=math.nan), "has iscrowd: nan", 5),
        (change("annotations", 1, iscrowd=[1]), "0 or 1 expected", 5),
        (change("annotations", 1, bbox=[1, 2, 3]), "has the bbox", 5),
        (change("annotations", 1, bbox=[1, 2, "x", None]), "that is not finite", 5),
        (change("annotations", 1, bbox=[1, 2, 10**400, 1]), "that is not finite", 5),
        (lambda data: data["annotations"][1].pop("bbox"), "has neither a bbox nor an outline", 5),
    ],
)
def test_coco_entries_that_are_left_out(tmp_path, apply, reason, left):
    data = coco()
    apply(data)
    root = write_coco(tmp_path / "set", data)
    dataset = open_objects(root)
    assert len(dataset) == left
    ((_, reported),) = dataset.skipped.items()
    assert reason in reported
    with pytest.raises(DataError, match=reason):
        open_objects(root, on_error="fail")


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '{"images": [], "annotations": []}', "\xff"])
def test_other_json_files_are_refused(tmp_path, text):
    (tmp_path / "x.json").write_text(text, encoding="latin-1")
    with pytest.raises(DataError, match=r"is not valid JSON|is not a COCO file"):
        open_objects(tmp_path / "x.json")


@pytest.mark.parametrize(
    ("value", "crowd"), [(0, False), (1, True), (False, False), (True, True), ("0", False), ("1", True)]
)
def test_values_of_iscrowd(tmp_path, value, crowd):
    data = coco()
    data["annotations"][1]["iscrowd"] = value
    dataset = open_objects(write_coco(tmp_path / "set", data), on_error="fail")
    assert dataset.objects(0).crowd.tolist() == [False, crowd]


def test_ids_in_the_forms_that_tools_write(tmp_path):
    expected = open_objects(write_coco(tmp_path / "set"))
    for i, write in enumerate((str, float, lambda key: f"{key:07d}", lambda key: f"{key}.0")):
        data = coco()
        for annotation in data["annotations"]:
            annotation |= {"image_id": write(annotation["image_id"]), "category_id": write(annotation["category_id"])}
        found = open_objects(write_coco(tmp_path / str(i), data), on_error="fail")
        assert [found.objects(j).boxes.tolist() for j in range(5)] == [
            expected.objects(j).boxes.tolist() for j in range(5)
        ]
    for i, names in enumerate(("abcde", [f"{name}.png" for name in "abcde"])):
        data = coco()
        for annotation in data["annotations"]:
            annotation["image_id"] = names[annotation["image_id"] - 100]
            annotation["category_id"] = CLASSES[(annotation["category_id"] - 3) // 7]
        found = open_objects(write_coco(tmp_path / f"names {i}", data), on_error="fail")
        assert [found.objects(j).labels.tolist() for j in range(5)] == [
            expected.objects(j).labels.tolist() for j in range(5)
        ]


@pytest.mark.parametrize("root", [{"supercategory": "none"}, {"supercategory": ""}, {}])
def test_categories_that_group_others_are_no_classes(tmp_path, root):
    data = coco()
    listed = [{**each, "supercategory": "animals"} for each in data["categories"]]
    data["categories"] = [{"id": 0, "name": "animals", **root}, *listed]
    dataset = open_objects(write_coco(tmp_path / "set", data))
    assert dataset.classes == CLASSES
    assert any("categories that only group others and are no classes: animals" in note for note in dataset.notes)
    data["annotations"][0]["category_id"] = 0  # a class after all
    assert open_objects(write_coco(tmp_path / "used", data)).classes == ["animals", *CLASSES]
    data = coco(categories=[{"id": 0, "name": "ant", "supercategory": "none"}, *listed])
    assert open_objects(write_coco(tmp_path / "of one name", data)).classes == CLASSES
    data = coco()
    data["categories"][2]["supercategory"] = "cat"  # its own group, as COCO's person
    assert open_objects(write_coco(tmp_path / "own", data)).classes == CLASSES


@pytest.mark.parametrize(
    "written",
    [
        "/home/someone/set/images/{}.png",
        "../images/{}.png",
        "C:\\data\\images\\{}.png",
        "..\\upload\\{}.png",
        "http://127.0.0.1/set/{}.png",
        "/data/local-files/?d=set/images/{}.png",
        "file:///tmp/my%20set/images/{}.png",
        "old/place/{}.png",
        "images/{}.png",
        "./images/{}.png",
        "IMAGES/{}.PNG",
    ],
)
def test_file_names_of_other_machines(tmp_path, written):
    data = coco()
    for image in data["images"]:
        image["file_name"] = written.format(image["file_name"][0])
    dataset = open_objects(write_coco(tmp_path / "set", data), on_error="fail")
    assert dataset.names == [f"images/{name}.png" for name in NAMES]


def test_a_name_of_several_pictures_is_that_of_its_split(tmp_path):
    for split in ("train", "val"):
        root = write_coco(tmp_path / "set" / split)
        data = coco()
        for image in data["images"]:
            image["file_name"] = f"/home/someone/{image['file_name']}"
        (root / "annotations" / "instances.json").write_text(json.dumps(data))
    train, val = (open_objects(tmp_path / "set", split) for split in ("train", "val"))
    assert (train.names[0], val.names[0]) == ("train/images/a.png", "val/images/a.png")
    save_pictures(tmp_path / "flat" / "first")
    save_pictures(tmp_path / "flat" / "second")
    (tmp_path / "flat" / "all.json").write_text(json.dumps(data))
    with pytest.raises(DataError, match=r"a\.png, a name that several pictures have"):
        open_objects(tmp_path / "flat", on_error="fail")


def test_a_name_that_says_another_split(tmp_path):
    save_pictures(tmp_path / "train2017", "abc")
    save_pictures(tmp_path / "val2017", "de")
    data = coco()
    for image in data["images"]:
        folder = "train2017" if image["file_name"][0] in "abc" else "val2017"
        image["coco_url"] = f"http://images.example.org/{folder}/{image.pop('file_name')}"
    (tmp_path / "lvis_val.json").write_text(json.dumps(data))
    dataset = open_objects(tmp_path, on_error="fail")
    assert dataset.names == ["train2017/a.png", "train2017/b.png", "train2017/c.png", "val2017/d.png", "val2017/e.png"]
    data["images"][0]["coco_url"] = "/set/images/a.png"  # which may be any a.png
    (tmp_path / "lvis_val.json").write_text(json.dumps(data))
    assert len(open_objects(tmp_path)) == 4


def test_a_missing_picture_is_not_taken_from_elsewhere(tmp_path):
    root = write_coco(tmp_path / "set")
    save_pictures(root / "thumbnails")
    (root / "images" / "b.png").unlink()
    dataset = open_objects(root)
    assert dataset.names == [f"images/{name}.png" for name in "acde"]
    assert "is b.png, which is not there" in next(iter(dataset.skipped.values()))


def test_repeated_image_ids(tmp_path):
    data = coco()
    data["images"][1]["id"] = 100
    dataset = open_objects(write_coco(tmp_path / "set", data))
    assert dataset.names == [f"images/{name}.png" for name in "cde"]
    assert sum("an id that other images have" in why for why in dataset.skipped.values()) == 2
    data = coco()
    data["images"].append(data["images"][0])  # the same entry again
    dataset = open_objects(write_coco(tmp_path / "again", data))
    assert len(dataset) == 5
    assert dataset.objects(0).labels.tolist() == [0, 2]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([{"image_id": 1, "segments_info": [{"id": 3, "category_id": 1}]}], "holds panoptic segments"),
        ([{"image_id": 1, "caption": "an ant", "id": 1}], "holds captions"),
        ([{"image_id": 100, "category_id": 3, "id": 1}], "holds COCO JSON of whole pictures"),
    ],
)
def test_other_kinds_of_coco_files_are_named(tmp_path, rows, words):
    root = write_coco(tmp_path / "set", coco(annotations=rows))
    with pytest.raises(DataError, match=words):
        open_objects(root)
    if "caption" not in words:
        assert any(words in place for each in examine(root).report.findings for place in each.places)


def test_boxes_around_outlines_and_in_other_forms(tmp_path):
    for i, bbox in enumerate((None, [], [0, 0, 0, 0], "[3, 5, 17, 26]", ["3", "5", "17", "26"])):
        data = coco()
        data["annotations"][0] |= {"bbox": bbox, "segmentation": [[3, 5, 20, 5, 20, 31]]}
        assert open_objects(write_coco(tmp_path / str(i), data)).objects(0).boxes[0].tolist() == [3, 5, 20, 31]
    data = coco()
    data["annotations"][0] |= {"bbox": {"x": 3, "y": 5, "width": 17, "height": 26}}
    data["annotations"][1] |= {"bbox": [30, 7, 71, 53], "bbox_mode": 0}
    boxes = open_objects(write_coco(tmp_path / "named", data)).objects(0).boxes.tolist()
    assert boxes == [[3, 5, 20, 31], [30, 7, 71, 53]]


def test_areas_are_those_of_the_annotation(tmp_path):
    data = coco()
    assert open_objects(write_coco(tmp_path / "without", data)).objects(0).areas is None
    data["annotations"][0]["area"] = 97.5
    objects = open_objects(write_coco(tmp_path / "set", data)).objects(0)
    assert objects.areas.tolist() == [97.5, 41 * 46]  # the box's where none is stated
    assert mirror(objects).areas.tolist() == [97.5, 41 * 46]
    placed = apply_placement(objects, Placement(0.5, 2.0, 0, 0), (106, 36))
    assert placed.areas.tolist() == pytest.approx([97.5, 41 * 46], rel=0.02)


def test_an_error_about_many_classes_is_short(tmp_path):
    data = coco(categories=[{"id": i, "name": f"class {i}"} for i in range(50_000)])
    root = write_coco(tmp_path / "set", data)
    with pytest.raises(DataError, match=r"class 8 and 49991 more, which are not among") as caught:
        open_objects(root, classes=[f"kind {i}" for i in range(50_000)])
    assert len(str(caught.value)) < 500


def test_coco_masks(tmp_path):
    data = coco()
    data["annotations"][0]["segmentation"] = [[3, 5, 20, 5, 20, 31, 3, 31]]
    # down the columns: 30 columns off; then of each 7 rows off and 46 on
    data["annotations"][1]["segmentation"] = {"size": [53, 71], "counts": [30 * 53 + 7, 46] + [7, 46] * 40}
    dataset = open_objects(write_coco(tmp_path / "set", data))
    objects = dataset.objects(0)
    expected = torch.zeros(2, 53, 71, dtype=torch.bool)
    expected[0, 5:31, 3:20] = True
    expected[1, 7:, 30:] = True
    assert torch.equal(objects.masks, expected)
    assert dataset.objects(1).masks is None
    assert dataset.objects(1).boxes.tolist() == [[0, 0, 43, 61]]


def test_a_mask_that_cannot_be_drawn_matters_only_where_masks_are_asked_for(tmp_path):
    data = coco()
    for annotation in data["annotations"]:
        left, top, width, height = annotation["bbox"]
        annotation["segmentation"] = [[left, top, left + width, top, left + width, top + height]]
    data["annotations"][0]["segmentation"] = [[1, 2]]
    root = write_coco(tmp_path / "set", data)
    dataset = open_objects(root)
    objects = dataset.objects(0, masks=False)
    assert objects.masks is None
    assert objects.boxes.tolist() == [[3, 5, 20, 31], [30, 7, 71, 53]]
    _, boxed = to_object_arrays(dataset, Preprocess((31, 37)), masks=False)
    assert (len(boxed), dataset.skipped) == (5, {})
    assert all(each.masks is None for each in boxed)
    _, drawn = to_object_arrays(dataset, Preprocess((31, 37)))
    assert (len(drawn), list(dataset.skipped)) == (5, ["images/a.png, annotation 0"])
    assert drawn[0].labels.tolist() == [2]
    assert drawn[0].masks is not None
    with pytest.raises(DataError, match="annotation 0: polygon 1 of its segmentation has 2 numbers"):
        open_objects(root, on_error="fail").objects(0)


def test_a_far_corner_takes_no_memory(tmp_path):
    data = coco()
    for annotation in data["annotations"][:2]:
        annotation["segmentation"] = [[0, 0, 1e12, 0, 1e12, 1e12, 0, 1e12]]
    assert open_objects(write_coco(tmp_path / "set", data)).objects(0).masks.all()


def test_coco_relations(tmp_path):
    relations = {
        "100": [{"subject": 1, "relation": "above", "object": 0}, {"subject": 0, "relation": "holds", "object": 1}],
        "103": [{"subject": 5, "relation": "holds", "object": 3}],
    }
    data = coco(relations=relations, relation_names=["holds", "above"])
    dataset = open_objects(write_coco(tmp_path / "set", data), on_error="fail")
    assert dataset.relations == ["holds", "above"]
    assert [dataset.objects(i).relations.tolist() for i in (0, 1, 3)] == [[[1, 1, 0], [0, 0, 1]], [], [[2, 0, 0]]]
    data["annotations"][0]["bbox"] = [0, 0, 0, 0]  # with it go its relations
    (tmp_path / "set" / "annotations" / "instances.json").write_text(json.dumps(data))
    assert open_objects(tmp_path / "set").objects(0).relations.shape == (0, 3)
    for broken in (
        {"subject": 1, "relation": "near", "object": 0},
        {"subject": 1, "relation": "above", "object": 3},
        5,
    ):
        data["relations"] = {"100": [broken]}
        (tmp_path / "set" / "annotations" / "instances.json").write_text(json.dumps(data))
        with pytest.raises(DataError, match="two of its annotations and a known name expected"):
            open_objects(tmp_path / "set", on_error="fail")


# ---------------------------------------------------------------- VOC

BOMB = (
    '<!DOCTYPE a [<!ENTITY b "bbbbbbbb"><!ENTITY c "&b;&b;&b;&b;">]><annotation><filename>&c;</filename></annotation>'
)
FILE = '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/hostname">]><annotation><filename>&b;</filename></annotation>'


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (BOMB, "declares entities"),
        (FILE, "declares entities"),
        ("<annotation>", "is not valid XML"),
        ("", "is not valid XML"),
        ("<other/>", "holds <other>; <annotation> expected"),
        ("<annotation><object/></annotation>", r"has an object \(object 1\) without a <name>"),
        (
            "<annotation><object><name>ant</name><robndbox/></object></annotation>",
            r"has an object \(object 1\) without a <bndbox> \(it has <name>, <robndbox>\); xmin, ymin, xmax, ymax",
        ),
        ('<?xml version="1.0" encoding="no-such"?><annotation/>', "is not valid XML"),
    ],
)
def test_voc_files_that_cannot_be_read(tmp_path, text, reason):
    root = write_voc(tmp_path / "set")
    (root / "Annotations" / "b.xml").write_text(text)
    dataset = open_objects(root)
    assert dataset.names == [f"JPEGImages/{name}.png" for name in "acde"]
    ((place, _),) = dataset.skipped.items()
    assert place == "Annotations/b.xml"
    with pytest.raises(DataError, match=f"Annotations/b.xml {reason}"):
        open_objects(root, on_error="fail")


def test_voc_lists(tmp_path):
    root = write_voc(tmp_path / "set", {"train": "abc", "val": "de", "ant_train": "ab"})
    assert open_objects(root, "train").names == [f"JPEGImages/{name}.png" for name in "abc"]
    lists = root / "ImageSets" / "Main"
    lists.joinpath("train.txt").write_text("a.png 1\nb\nb\n\n")
    dataset = open_objects(root, "train")
    assert len(dataset) == 2
    assert list(dataset.skipped.values()) == ["ImageSets/Main/train.txt, line 3: b is listed again"]
    lists.joinpath("train.txt").write_text("a\n../../b\n/home/someone/set/JPEGImages/c.png\n")
    assert open_objects(root, "train", on_error="fail").names == [f"JPEGImages/{name}.png" for name in "abc"]
    lists.joinpath("train.txt").write_text("a\nq\n")
    assert list(open_objects(root, "train").skipped) == ["q"]
    with pytest.raises(DataError, match=r"q is in the list of .* and has no q\.xml; left out: a picture without"):
        open_objects(root, "train", on_error="fail")


def test_voc_pictures_that_are_missing(tmp_path):
    root = write_voc(tmp_path / "set")
    (root / "JPEGImages" / "b.png").unlink()
    dataset = open_objects(root)
    assert len(dataset) == 4
    assert dataset.skipped == {"Annotations/b.xml": "Annotations/b.xml has no picture of its name; add or remove it"}


def test_voc_files_next_to_the_pictures_and_without_sizes(tmp_path):
    save_pictures(tmp_path / "set")
    for i, name in enumerate(NAMES):
        (tmp_path / "set" / f"{name}.xml").write_text(xml(i, size=(0, 0)))
    dataset = open_objects(tmp_path / "set", on_error="fail")
    assert dataset.objects(3).size == (59, 83)


def test_the_file_name_decides_between_voc_pictures_of_one_stem(tmp_path):
    root = write_voc(tmp_path / "set")
    pictures = root / "JPEGImages"
    (pictures / "a.jpg").write_bytes((pictures / "a.png").read_bytes())
    dataset = open_objects(root, on_error="fail")
    assert dataset.names == [f"JPEGImages/{name}.png" for name in NAMES]
    file = root / "Annotations" / "a.xml"
    file.write_text(xml(0).replace("a.png", "C:\\photos\\a.jpg"))
    assert open_objects(root, on_error="fail").names[0] == "JPEGImages/a.jpg"
    file.write_text(xml(0).replace("a.png", "x.png"))
    with pytest.raises(DataError, match=r"a\.xml may be of JPEGImages/a\.jpg, JPEGImages/a\.png, and .* 'x\.png' is"):
        open_objects(root)


def test_two_voc_files_of_one_picture(tmp_path):
    root = write_voc(tmp_path / "set")
    for folder in "xy":
        (root / "Annotations" / folder).mkdir()
        (root / "Annotations" / folder / "a.xml").write_text(xml(0))
    (root / "Annotations" / "a.xml").unlink()
    with pytest.raises(DataError, match=r"y/a\.xml and Annotations/x/a\.xml are both of the picture JPEGImages/a\.png"):
        open_objects(root)
    broken = [each for each in examine(root).report.findings if each.kind == "annotation broken"]
    assert [each.count for each in broken] == [1]
    for folder in "xy":  # with a picture each they are two
        (root / "JPEGImages" / folder).mkdir()
        (root / "JPEGImages" / folder / "a.png").write_bytes((root / "JPEGImages" / "a.png").read_bytes())
    assert open_objects(root, on_error="fail").names[-2:] == ["JPEGImages/x/a.png", "JPEGImages/y/a.png"]


def test_several_voc_sets(tmp_path):
    write_voc(tmp_path / "VOC2007")
    write_voc(tmp_path / "VOC2012")
    with pytest.raises(DataError, match=r"holds 2 VOC sets \(VOC2007, VOC2012\); give the folder of one"):
        open_objects(tmp_path)


# ---------------------------------------------------------------- YOLO


def yaml_file(root, **changes):
    file = root / "data.yaml"
    data = yaml.safe_load(file.read_text())
    data.update(changes)
    file.write_text(yaml.safe_dump({key: value for key, value in data.items() if value is not None}))


@pytest.mark.parametrize("names", [CLASSES, {str(i): name for i, name in enumerate(CLASSES)}])
@pytest.mark.parametrize(
    "train", ["images", "./images/", "../images", "/content/elsewhere/set/images", ["images"], "list.txt"]
)
def test_ways_to_write_a_data_yaml(tmp_path, names, train):
    root = write_yolo(tmp_path / "set")
    (root / "list.txt").write_text("".join(f"./images/{name}.png\n" for name in NAMES))
    yaml_file(root, names=names, train=train, nc=3)
    assert len(open_objects(root, on_error="fail")) == 5
    assert open_objects(root / "data.yaml").classes == CLASSES


@pytest.mark.parametrize(
    ("folder", "base", "train"),
    [
        ("", "blood", "images/train"),
        ("", "./blood/", "images/train"),
        ("", "/home/someone/blood", "images/train"),  # the author's own place
        ("", "../../blood", "images/train"),
        ("", "blood", "train.txt"),
        ("cfg", "../blood", "images/train"),
        ("cfg", None, "../blood/images/train"),
    ],
)
def test_the_path_of_a_data_yaml(tmp_path, folder, base, train):
    inner = write_yolo(tmp_path / "set" / "blood", {"train": "abc", "val": "de"})
    yaml_file(inner, path=base, train=train, val=train.replace("train", "val"))
    for split, names in (("train", "abc"), ("val", "de")):
        (inner / f"{split}.txt").write_text("".join(f"images/{split}/{name}.png\n" for name in names))
    (tmp_path / "set" / folder).mkdir(exist_ok=True)
    (inner / "data.yaml").rename(tmp_path / "set" / folder / "data.yaml")
    # of the same names, and not meant
    save_pictures(tmp_path / "set" / "other" / "images" / "train")
    dataset = open_objects(tmp_path / "set", "train", on_error="fail")
    assert dataset.names == [f"blood/images/train/{name}.png" for name in "abc"]
    assert [len(dataset.objects(i)) for i in range(3)] == [2, 1, 0]


@pytest.mark.parametrize("base", ["../out", "/out", "set/../../out"])
def test_a_path_that_leads_outside_is_not_followed(tmp_path, base):
    write_yolo(tmp_path / "out")
    root = write_yolo(tmp_path / "set")
    (root / "images").rename(root / "pictures")
    yaml_file(root, path=base.replace("/out", str(tmp_path / "out")) if base == "/out" else base)
    with pytest.raises(DataError, match=r"'images/' below the path '.*out' is neither a folder nor a file of"):
        open_objects(root)


def test_pictures_that_a_yolo_list_names_twice(tmp_path):
    root = write_yolo(tmp_path / "set")
    (root / "list.txt").write_text("images/a.png\n\n./images/b.png\nimages/b.png\n")
    yaml_file(root, train="list.txt")
    dataset = open_objects(root)
    assert dataset.names == ["images/a.png", "images/b.png"]
    assert list(dataset.skipped.values()) == ["list.txt, line 4: b.png is listed again"]
    with pytest.raises(DataError, match=r"list\.txt, line 4: b\.png is listed again"):
        open_objects(root, on_error="fail")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train": "nowhere"}, "'nowhere' below the path '../somewhere' is neither a folder nor a file"),
        ({"names": "ant"}, "has names: ant; a list of class names expected"),
        ({"names": {1: "ant", 2: "bee"}}, "line 1 has the class 0; there are 2, with numbers from 1 to 2"),
        ({"names": ["ant", "ant", "bee"]}, "names 'ant' twice among its classes"),
        ({"names": []}, "names no class"),
        ({"names": ["", "bee", "cat"]}, "the name of number 0 of its classes is empty"),
        ({"names": ["a\tb", "bee", "cat"]}, "characters that cannot be printed"),
        ({"names": [["ant"], "bee"]}, "the class name .*ant.*; text expected"),
        ({"names": {"\u00b2": "ant", 1: "bee"}}, "numbers a class '\u00b2'; a number from 0 expected"),
        ({"kpt_shape": "17"}, "kpt_shape: 17; .number of keypoints, 2 or 3. expected"),
        ({"train": {"a": "images"}}, "train: a folder, a list of pictures, or several of these, expected"),
        ({"names": ["ant", "bee"]}, r"line 2 has the class 2; there are 2, counted from 0"),
    ],
)
def test_invalid_data_yaml(tmp_path, changes, message):
    root = write_yolo(tmp_path / "set")
    yaml_file(root, **changes)
    with pytest.raises(DataError, match=message):
        open_objects(root)


def test_a_data_yaml_that_would_run_code(tmp_path):
    root = write_yolo(tmp_path / "set")
    (root / "data.yaml").write_text('names: !!python/object/apply:os.system ["touch hacked"]\ntrain: images\n')
    with pytest.raises(DataError, match="is not valid YAML"):
        open_objects(root)


def test_a_data_yaml_that_grows_in_memory(tmp_path):
    root = write_yolo(tmp_path / "set")
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    bomb += "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 10))
    (root / "data.yaml").write_text(f"{bomb}train: images\nnames: *a9\n")
    with pytest.raises(DataError, match=r"is not valid YAML \(it has the alias \*a0"):
        open_objects(root)


@pytest.mark.parametrize(
    ("line", "reported"),
    [
        ("1 0.5 0.5 0.2", "has 4 values"),
        ("1 0.5 0.5 0.2 0.2 1.57", "has 6 values, the last of which is neither a confidence .* nor a track number"),
        ("1 0,5 0,5 0,2 0,2", "has '0,5' with a decimal comma; numbers with a decimal point"),
        ("1,0.5,0.5,0.2,0.2", "has '1,0.5,0.5,0.2,0.2' with separators"),
        ("1; 0.5; 0.5; 0.2; 0.2", "has '0.5;' with separators"),
        ("1 0.1 0.1 0.2 0.2 0.3 0.3 0.4", "has 8 values"),
        ("3 0.5 0.5 0.2 0.2", "has the class 3; there are 3"),
        ("-1 0.5 0.5 0.2 0.2", "has the class -1"),
        ("0.5 0.5 0.5 0.2 0.2", "has the class 0.5"),
        ("dog 0.5 0.5 0.2 0.2", "has the class dog"),
    ],
)
def test_invalid_yolo_lines(tmp_path, line, reported):
    root = write_yolo(tmp_path / "set")
    (root / "labels" / "c.txt").write_text(f"\n{line}\n")
    with pytest.raises(DataError, match=f"labels/c.txt, line 2 {reported}"):
        open_objects(root, on_error="fail")
    if "class" not in reported:
        assert list(open_objects(root).skipped) == ["labels/c.txt, line 2"]


def test_yolo_polygons_empty_and_missing_files(tmp_path):
    root = write_yolo(tmp_path / "set")
    (root / "labels" / "c.txt").write_text("2 0.5 0.25 0.75 0.5 0.5 0.75 0.25 0.5\n")
    (root / "labels" / "a.txt").write_text("")
    (root / "labels" / "b.txt").unlink()
    dataset = open_objects(root, on_error="fail")
    torch.testing.assert_close(dataset.objects(2).boxes, torch.tensor([[0.25, 0.25, 0.75, 0.75]]) * 47)
    assert [len(dataset.objects(i)) for i in (0, 1)] == [0, 0]
    assert dataset.notes[1] == "1 pictures have no label file and were taken to hold no objects"


def test_yolo_classes_that_nothing_names(tmp_path):
    root = write_yolo(tmp_path / "set", yaml_file=False)
    (root / "classes.txt").unlink()
    dataset = open_objects(root)
    assert dataset.classes == ["0", "1", "2"]
    assert "no file names the classes; the 3 numbers found stand for them" in dataset.notes
