"""Whole sets whose boxes mean something else than their format says: read rightly where that is certain."""

import json
from collections import Counter

import numpy as np
import pytest
import torch
from PIL import Image

from saccade.data.doctor import examine, write_clean
from saccade.data.doctor.findings import MANY_OBJECTS
from saccade.data.objects.plausibility import class_notes, query_note
from saccade.data.objects.sets import object_splits, open_objects
from saccade.data.segments.sets import open_segments
from saccade.errors import DataError
from saccade.tasks.detect.recipe import DetectRecipe

from .annotated_sets import SIZES, coco, write_coco, write_voc, write_yolo

RNG = np.random.default_rng(5)


def random_box(size) -> tuple[float, float, float, float]:
    left, top = (float(RNG.integers(0, side // 2)) for side in size[::-1])
    return (left, top, float(RNG.integers(left + 9, size[1] + 1)), float(RNG.integers(top + 9, size[0] + 1)))


CORNERS = [[random_box(size) for _ in range(3)] for size in SIZES]  # of each picture
COUNT = 3 * len(SIZES)


def outline(left, top, right, bottom):
    return [[left, top, right, top, right, bottom, left, bottom]]


def changed(root, change, outlines=False):
    """A COCO set after `change(annotation, (left, top, right, bottom), (height, width))`."""
    data = coco(annotations=[])
    for i, (boxes, size) in enumerate(zip(CORNERS, SIZES, strict=True)):
        for box in boxes:
            left, top, right, bottom = box
            annotation = {"id": len(data["annotations"]) + 1, "image_id": i + 100, "category_id": 3}
            annotation["bbox"] = [left, top, right - left, bottom - top]
            if outlines:
                annotation["segmentation"] = outline(*box)
            change(annotation, box, size)
            data["annotations"].append(annotation)
    return write_coco(root, data)


def is_right(dataset, slack: float = 0.05) -> bool:
    return all(
        np.allclose(dataset.objects(i).boxes.numpy(), np.array(boxes).reshape(-1, 4), atol=slack)
        for i, boxes in enumerate(CORNERS)
    )


def has_right_masks(dataset) -> bool:
    return all(
        (int(left), int(top), int(right) - 1, int(bottom) - 1)
        == (*mask.nonzero().amin(0).flip(0).tolist(), *mask.nonzero().amax(0).flip(0).tolist())
        for i, boxes in enumerate(CORNERS)
        for mask, (left, top, right, bottom) in zip(dataset.objects(i).masks, boxes, strict=True)
    )


def findings(root) -> dict[str, str]:
    return {each.kind: each.severity for each in examine(root).report.findings}


def in_shares(annotation, box, size):
    left, top, right, bottom = (value / size[1 - i % 2] for i, value in enumerate(box))
    annotation["bbox"] = [left, top, right - left, bottom - top]
    if "segmentation" in annotation:
        annotation["segmentation"] = outline(left, top, right, bottom)


@pytest.mark.parametrize("outlines", [False, True])
def test_shares_of_the_sides(tmp_path, outlines):
    root = changed(tmp_path / "set", in_shares, outlines)
    dataset = open_objects(root, on_error="fail")
    assert is_right(dataset)
    assert any("boxes were read as shares of the sides" in note for note in dataset.notes)
    assert findings(root)["boxes reread"] == "warning"
    if outlines:
        assert has_right_masks(dataset)


def test_shares_without_sizes_and_beside_outlines_in_pixels(tmp_path):
    root = changed(tmp_path / "set", in_shares)
    data = json.loads((root / "annotations" / "instances.json").read_text())
    for image in data["images"]:
        del image["height"]
    (root / "annotations" / "instances.json").write_text(json.dumps(data))
    assert is_right(open_objects(root, on_error="fail"))

    def boxes_only(annotation, box, size):
        in_shares(annotation, box, size)
        annotation["segmentation"] = outline(*box)

    dataset = open_objects(changed(tmp_path / "mixed", boxes_only, True), on_error="fail")
    assert is_right(dataset)
    assert has_right_masks(dataset)


def test_outlines_in_shares_beside_boxes_in_pixels(tmp_path):
    def outlines_only(annotation, box, size):
        bbox = annotation["bbox"]
        in_shares(annotation, box, size)
        annotation["bbox"] = bbox

    root = changed(tmp_path / "set", outlines_only, True)
    dataset = open_objects(root, on_error="fail")
    assert is_right(dataset)
    assert has_right_masks(dataset)
    segments = open_segments(root)
    assert torch.equal(segments.mask(0) == 1, dataset.objects(0).masks.any(0))
    assert any("outlines were read as shares" in note for note in segments.notes)


def test_boxes_of_points_are_refused(tmp_path):
    def shrink(annotation, box, size):
        annotation["bbox"] = [box[0] + 2, box[1] + 2, 0.4, 0.3]

    root = changed(tmp_path / "set", shrink)
    with pytest.raises(DataError, match="all of 15 boxes are smaller than a pixel"):
        open_objects(root)
    assert findings(root)["boxes implausible"] == "error"


def test_small_objects_are_no_shares(tmp_path):
    def shrink(annotation, box, size):
        annotation["bbox"] = [box[0], box[1], 1.5, 0.5]

    dataset = open_objects(changed(tmp_path / "set", shrink), on_error="fail")
    assert dataset.objects(0).boxes[0].tolist() == [
        CORNERS[0][0][0],
        CORNERS[0][0][1],
        CORNERS[0][0][0] + 1.5,
        CORNERS[0][0][1] + 0.5,
    ]
    assert not any("read as" in note for note in dataset.notes[1:])

    def corner(annotation, box, size):  # the first pixel, or all of a picture in shares
        annotation["bbox"] = [0, 0, 1, 1]

    with pytest.raises(DataError, match="the first pixel or, as shares of the sides, all of a picture"):
        open_objects(changed(tmp_path / "corner", corner))


def as_corners(annotation, box, size):
    annotation["bbox"] = list(box)


def as_centres(annotation, box, size):
    left, top, right, bottom = box
    annotation["bbox"] = [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top]


@pytest.mark.parametrize(("change", "form"), [(as_corners, "left, top, right, bottom"), (as_centres, "centre x")])
def test_outlines_say_what_the_numbers_of_boxes_mean(tmp_path, change, form):
    root = changed(tmp_path / "set", change, outlines=True)
    dataset = open_objects(root, on_error="fail")
    assert is_right(dataset)
    assert any(note.startswith(f"boxes were read as {form}") for note in dataset.notes)
    assert findings(root)["boxes reread"] == "warning"


def test_areas_and_pictures_say_what_the_numbers_of_boxes_mean(tmp_path):
    def with_area(annotation, box, size):
        annotation |= {"bbox": list(box), "area": (box[2] - box[0]) * (box[3] - box[1])}

    assert is_right(open_objects(changed(tmp_path / "area", with_area)))
    assert is_right(open_objects(changed(tmp_path / "alone", as_corners)))


@pytest.mark.parametrize("parts", [100, 1000])
def test_parts_of_the_sides_beside_outlines(tmp_path, parts):
    def in_parts(annotation, box, size):
        left, top, right, bottom = (parts * value / size[1 - i % 2] for i, value in enumerate(box))
        annotation["bbox"] = [left, top, right - left, bottom - top]

    dataset = open_objects(changed(tmp_path / "set", in_parts, outlines=True))
    assert is_right(dataset)
    unit = "percent" if parts == 100 else "thousandths"
    assert any(f"boxes were read as left, top, width, height in {unit} of the sides" in note for note in dataset.notes)


def test_boxes_that_contradict_their_pictures_and_may_be_two_things(tmp_path):
    root = write_voc(tmp_path / "set")
    for i, size in enumerate(SIZES):
        rows = "".join(
            f"<object><name>ant</name><bndbox><xmin>{x}</xmin><ymin>{x + 2}</ymin><xmax>7</xmax><ymax>8</ymax></bndbox>"
            "</object>"
            for x in (20, 24)
        )
        text = f"<annotation><size><width>{size[1]}</width><height>{size[0]}</height></size>{rows}</annotation>"
        (root / "Annotations" / f"{'abcde'[i]}.xml").write_text(text)
    with pytest.raises(DataError, match="do not lie in their pictures as left, top, right, bottom, and all do as left"):
        open_objects(root)
    assert findings(root)["boxes implausible"] == "error"


def test_corners_that_cannot_be_told_from_sizes_stay_as_the_format_defines(tmp_path):
    data = coco()
    data["annotations"] = data["annotations"][:2]
    data["annotations"][1]["bbox"] = [30, 7, 71, 53]  # reaches far beyond, alone
    dataset = open_objects(write_coco(tmp_path / "set", data))
    assert dataset.objects(0).boxes.tolist() == [[3, 5, 20, 31], [30, 7, 71, 53]]
    assert any("boxes reach beyond their picture, the farthest by 30 pixels" in note for note in dataset.notes)


def test_voc_with_sizes_for_corners(tmp_path):
    root = write_voc(tmp_path / "set")
    for i, (boxes, size) in enumerate(zip(CORNERS, SIZES, strict=True)):
        rows = "".join(
            f"<object><name>ant</name><bndbox><xmin>{int(left) + 1}</xmin><ymin>{int(top) + 1}</ymin>"
            f"<xmax>{int(right - left)}</xmax><ymax>{int(bottom - top)}</ymax></bndbox></object>"
            for left, top, right, bottom in boxes
        )
        text = f"<annotation><size><width>{size[1]}</width><height>{size[0]}</height></size>{rows}</annotation>"
        (root / "Annotations" / f"{'abcde'[i]}.xml").write_text(text)
    dataset = open_objects(root)
    assert is_right(dataset, slack=1)  # a box whose xmax is its xmin by chance counts as one without width
    assert any("boxes were read as left, top, width, height, not as left, top, right" in note for note in dataset.notes)


def test_yolo_with_pixels_and_with_corners(tmp_path):
    for name, unit, form in (("pixels", 1, "centres"), ("corners", 0, "corners"), ("top left", 0, "sizes")):
        root = write_yolo(tmp_path / name)
        for i, (boxes, size) in enumerate(zip(CORNERS, SIZES, strict=True)):
            lines = []
            for left, top, right, bottom in boxes:
                values = {
                    "centres": ((left + right) / 2, (top + bottom) / 2, right - left, bottom - top),
                    "corners": (left, top, right, bottom),
                    "sizes": (left, top, right - left, bottom - top),
                }[form]
                scaled = [value / (1 if unit else size[1 - k % 2]) for k, value in enumerate(values)]
                lines.append("0 " + " ".join(map(str, scaled)))
            (root / "labels" / f"{'abcde'[i]}.txt").write_text("\n".join(lines))
        dataset = open_objects(root)
        assert is_right(dataset), name
        assert any("boxes were read as" in note for note in dataset.notes)


@pytest.mark.parametrize("scale", [1, 4])  # boxes in percent end beyond small pictures, and large ones are larger
def test_yolo_in_percent(tmp_path, scale):
    root = write_yolo(tmp_path / "set")
    for name, (height, width) in zip("abcde", SIZES, strict=True):
        Image.new("RGB", (scale * width, scale * height)).save(root / "images" / f"{name}.png")
        labels = root / "labels" / f"{name}.txt"
        rows = [line.split() for line in labels.read_text().splitlines()]
        labels.write_text("\n".join(" ".join([row[0], *(str(100 * float(v)) for v in row[1:])]) for row in rows))
    with pytest.raises(
        DataError, match="above 1 and none is above 100, as percent of the sides are; divide them by 100"
    ):
        open_objects(root)


def test_boxes_elsewhere_than_their_outlines(tmp_path):
    def one(annotation, box, size):
        if annotation["id"] == 1:
            annotation["segmentation"] = outline(60, 40, 70, 50)

    root = changed(tmp_path / "one", one, outlines=True)
    assert any("1 of 15 boxes are not where" in note for note in open_objects(root, on_error="fail").notes)
    assert findings(root)["box beside outline"] == "warning"

    def most(annotation, box, size):
        annotation["segmentation"] = outline(size[1] + 19, 1, size[1] + 29, 9)

    root = changed(tmp_path / "most", most, outlines=True)
    with pytest.raises(DataError, match="15 of 15 boxes are not where the outlines of their objects are, and no other"):
        open_objects(root)
    assert open_segments(root).mask(0).tolist() is not None  # for which boxes do not matter


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_sets_of_crowds(tmp_path, share):
    counter = iter(range(99))

    def crowd(annotation, box, size):
        annotation["iscrowd"] = int(next(counter) < share * COUNT)

    root = changed(tmp_path / "set", crowd, outlines=True)
    dataset = open_objects(root, on_error="fail")
    assert sum(int(dataset.objects(i).crowd.sum()) for i in range(len(dataset))) == (8 if share < 1 else 0)
    assert any("all 15 objects are marked iscrowd: 1" in note for note in dataset.notes) == (share == 1)
    assert ("crowds only" in findings(root)) == (share == 1)
    if share == 1:
        assert torch.equal(open_segments(root).mask(1) == 1, dataset.objects(1).masks.any(0))


def test_many_crowds_are_mentioned(tmp_path):
    data = coco()
    row = data["annotations"][0]
    data["annotations"] = [dict(row, id=i + 1, iscrowd=int(i < 10)) for i in range(40)]
    root = write_coco(tmp_path / "set", data)
    assert any("10 of 40 objects are marked iscrowd: 1" in note for note in open_objects(root).notes)
    assert findings(root)["crowds many"] == "warning"


def test_boxes_of_smaller_copies(tmp_path):
    data = coco()
    images, row = data["images"], data["annotations"][0]
    data["annotations"] = []
    for i in range(60):
        image = images[i % 5]
        box = [1 + i % 7, 2, image["width"] / 3, image["height"] / 3]
        data["annotations"].append(dict(row, id=i + 1, image_id=image["id"], bbox=box))
    root = write_coco(tmp_path / "few", data)
    assert not any("reaches beyond" in note for note in open_objects(root).notes)  # too few pictures to say it
    assert "boxes in a corner" not in findings(root)


def test_sets_without_objects(tmp_path):
    root = write_coco(tmp_path / "set", coco(annotations=[]))
    assert len(open_objects(root)) == 5
    with pytest.raises(DataError, match="none of the 4 training pictures has an object"):
        object_splits(root)
    assert findings(root)["objects none"] == "error"


def test_classes_without_examples(tmp_path):
    data = coco()
    data["categories"].append({"id": 50, "name": "dog"})
    data["annotations"][0]["iscrowd"] = data["annotations"][5]["iscrowd"] = 0
    train, _ = object_splits(write_coco(tmp_path / "set", data), seed=3)
    assert any("have no example to train on" in note and "dog" in note for note in train.notes)
    notes = class_notes(Counter(ant=3), ["ant", "bee", "cat"], Counter(cat=2))
    assert notes[0] == "1 of 3 classes have no example to train on: bee"
    assert notes[1] == "classes of which all objects are marked as crowds, which are not learned: cat (2)"
    assert class_notes(Counter(ant=3), ["ant"], Counter()) == []


def test_more_objects_than_queries(tmp_path):
    data = coco()
    data["annotations"] = [
        {"id": i + 1, "image_id": 100, "category_id": 3, "bbox": [i % 9 * 7, i // 9 * 6, 5, 5]} for i in range(61)
    ]
    assert findings(write_coco(tmp_path / "set", data))["objects many"] == "note"
    assert DetectRecipe().queries == MANY_OBJECTS
    assert query_note([3, 8], 8) == ""
    note = query_note([3, 9, 40], 8)
    assert note.startswith("2 of 3 pictures have more objects than the 8 queries of the detector, up to 40")


@pytest.mark.parametrize("change", [in_shares, as_corners])
def test_a_clean_copy_is_written_as_the_format_defines(tmp_path, change):
    root = changed(tmp_path / "set", change, outlines=True)
    write_clean(examine(root), tmp_path / "out")
    dataset = open_objects(tmp_path / "out", on_error="fail")
    assert is_right(dataset)
    assert has_right_masks(dataset)
    assert not any("read as shares" in note or "read as left" in note for note in dataset.notes)


def test_a_clean_copy_of_what_another_machine_wrote(tmp_path):
    def crowd_without_box(annotation, box, size):
        annotation |= {"iscrowd": 1, "bbox": [], "image_id": str(annotation["image_id"])}

    root = changed(tmp_path / "set", crowd_without_box, outlines=True)
    file = root / "annotations" / "instances.json"
    data = json.loads(file.read_text())
    for image in data["images"]:
        image["file_name"] = "C:\\data\\" + image["file_name"]
    file.write_text(json.dumps(data))
    write_clean(examine(root), tmp_path / "out")
    dataset = open_objects(tmp_path / "out", on_error="fail")
    assert is_right(dataset)
    assert not any("crowds" in note or "no bbox of" in note for note in dataset.notes)
    file = tmp_path / "out" / "annotations" / "instances.json"
    assert json.loads(file.read_text())["images"][0]["file_name"] == "images/a.png"
