"""The three formats read alike; splits, hold-outs, EXIF, policies; and whole sets as arrays."""

import json
import tarfile

import numpy as np
import pytest
import torch
from PIL import Image

from saccade.data import Preprocess, read_image
from saccade.data.doctor import examine
from saccade.data.objects.arrays import to_object_arrays
from saccade.data.objects.sets import object_splits, open_objects
from saccade.data.splitting import random_split
from saccade.errors import DataError

from .annotated_sets import CLASSES, NAMES, OBJECTS, SIZES, coco, save_pictures, write_coco, write_voc, write_yolo, xml

WRITE = {"COCO": write_coco, "VOC": write_voc, "YOLO": write_yolo}


@pytest.fixture(params=["COCO", "VOC", "YOLO", "YOLO without data.yaml"])
def any_set(request, tmp_path):
    if request.param == "YOLO without data.yaml":
        return "YOLO", write_yolo(tmp_path / "set", yaml_file=False)
    return request.param, WRITE[request.param](tmp_path / "set")


def check(dataset, kind: str) -> None:
    assert dataset.classes == CLASSES
    assert [name.rsplit("/", 1)[-1] for name in dataset.names] == [f"{name}.png" for name in NAMES]
    for i, expected in enumerate(OBJECTS):
        objects = dataset.objects(i)
        assert objects.size == SIZES[i]
        assert dataset.picture(i).image.size == SIZES[i][::-1]
        assert objects.labels.tolist() == [label for label, _ in expected]
        boxes = torch.tensor([box for _, box in expected], dtype=torch.float32).view(-1, 4)
        torch.testing.assert_close(objects.boxes, boxes, atol=1e-4, rtol=0)
        difficult = [kind == "VOC" and label == 2 for label, _ in expected]
        assert objects.crowd.tolist() == difficult
        assert objects.masks is None
        assert objects.relations is None
    assert dataset.skipped == {}


@pytest.mark.parametrize("on_error", ["skip", "fail"])
def test_every_format_gives_the_same_objects(any_set, on_error):
    kind, root = any_set
    dataset = open_objects(root, on_error=on_error, split="train" if (root / "data.yaml").exists() else None)
    check(dataset, kind)
    assert f"read as {kind}: 5 pictures, 3 classes" in dataset.notes[0]


@pytest.mark.parametrize("prefix", [".", "around/it"])
def test_from_a_tar(any_set, tmp_path, prefix):
    kind, root = any_set
    with tarfile.open(tmp_path / "set.tar.gz", "w:gz") as file:
        file.add(root, arcname=prefix)
    split = "train" if (root / "data.yaml").exists() else None
    check(open_objects(tmp_path / "set.tar.gz", split), kind)


@pytest.mark.parametrize("kind", ["VOC", "YOLO"])
def test_own_splits(tmp_path, kind):
    root = WRITE[kind](tmp_path / "set", splits={"train": "abc", "val": "de"})
    with pytest.raises(DataError, match=r"holds the splits train, val; name one with --split"):
        open_objects(root)
    with pytest.raises(DataError, match=r"has no split 'test' \(found: train, val\)"):
        open_objects(root, "test")
    assert len(open_objects(root, "validation")) == 2
    train, val = object_splits(root)
    assert (len(train), len(val)) == (3, 2)
    assert train.classes == val.classes == CLASSES
    assert val.notes[-1] == "validation: the split val"


def test_splits_of_coco_lie_in_folders_of_their_own(tmp_path):
    root = tmp_path / "set"
    (root / "annotations").mkdir(parents=True)
    whole = coco()
    for split, part in (("train2017", whole["images"][:3]), ("val2017", whole["images"][3:])):
        save_pictures(root / split)  # the same names in both: only the folder's name tells
        keys = {image["id"] for image in part}
        rows = [a for a in whole["annotations"] if a["image_id"] in keys]
        document = whole | {"images": part, "annotations": rows}
        (root / "annotations" / f"instances_{split}.json").write_text(json.dumps(document))
        (root / "annotations" / f"captions_{split}.json").write_text('{"images": [], "annotations": []}')
    train, val = object_splits(root)
    assert train.names == [f"train2017/{name}.png" for name in "abc"]
    assert val.names == [f"val2017/{name}.png" for name in "de"]
    assert len(open_objects(root / "annotations" / "instances_val2017.json")) == 2
    assert open_objects(root, "train").names == train.names


def test_a_hold_out_is_the_same_for_the_same_seed(tmp_path):
    root = write_coco(tmp_path / "set")
    parts = [object_splits(root, val_fraction=0.4, seed=seed) for seed in (0, 0, 1, 2, 3)]
    assert parts[0][0].names == parts[1][0].names
    assert len({tuple(val.names) for _, val in parts}) > 1
    for train, val in parts:
        assert sorted(train.names + val.names) == [f"images/{name}.png" for name in NAMES]
        assert len(val) == 2
        assert val.notes[-1].endswith("2 pictures (40%, seed 0) held out") or val.notes[-1].endswith("held out")
    whole = open_objects(root)
    with pytest.raises(DataError, match="val_fraction=1 was given"):
        random_split(whole, 1)
    with pytest.raises(DataError, match="has one picture; two are needed"):
        random_split(whole.subset([3]), 0.5)


def test_another_validation_set_uses_the_classes_of_training(tmp_path):
    train = write_coco(tmp_path / "train")
    other = write_voc(tmp_path / "other")
    for i in (0, 4):
        (other / "Annotations" / f"{NAMES[i]}.xml").write_text(xml(i, objects=[]))  # no cats, few ants
    _, val = object_splits(train, other)
    assert val.classes == CLASSES
    assert val.objects(1).labels.tolist() == [1]
    (other / "Annotations" / "a.xml").write_text(xml(0, objects=[("dog", (1, 1, 9, 9))]))
    with pytest.raises(DataError, match=r"has the classes dog, which are not among the expected \(ant, bee, cat\)"):
        object_splits(train, other)


def test_a_validation_set_uses_the_relations_of_training(tmp_path):
    def write(name, image, *relations):
        row = {"subject": 1, "object": 0} if image == 100 else {"subject": 5, "object": 3}
        return write_coco(tmp_path / name, coco(relations={str(image): [row | {"relation": r} for r in relations]}))

    train, other = write("train", 100, "above", "left of"), write("other", 103, "left of")
    first, val = object_splits(train, other)
    assert first.relations == val.relations == ["above", "left of"]
    assert val.objects(3).relations.tolist() == [[2, 1, 0]]
    assert open_objects(other).relations == ["left of"]
    assert open_objects(other, relations=["on", "left of"]).objects(3).relations.tolist() == [[2, 1, 0]]
    _, val = object_splits(train, write_voc(tmp_path / "voc"))  # a format that knows none
    assert val.relations == ["above", "left of"]
    assert val.objects(0).relations.shape == (0, 3)
    message = r"has the relations near, which are not among the expected \(above, left of\)"
    with pytest.raises(DataError, match=message):
        object_splits(train, write("near", 103, "near", "above"))


def test_subset(tmp_path):
    part = open_objects(write_voc(tmp_path / "set")).subset([3, 0])
    assert part.names == ["JPEGImages/d.png", "JPEGImages/a.png"]
    assert part.objects(1).labels.tolist() == [0, 2]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["stored", "upright"])
def test_boxes_turn_with_exif_where_they_are_of_the_stored_pixels(tmp_path, orientation, kind):
    stored = np.zeros((53, 71, 3), dtype=np.uint8)
    stored[5:31, 3:20] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    root = write_voc(tmp_path / "set")
    (root / "JPEGImages" / "a.png").unlink()
    Image.fromarray(stored).save(root / "JPEGImages" / "a.jpg", exif=exif, quality=100, subsampling=0)
    seen = np.asarray(open_objects(root).picture(0).image)[:, :, 0] > 128
    rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
    found = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
    if kind == "upright":
        left, top, right, bottom = found
        (root / "Annotations" / "a.xml").write_text(
            xml(0, objects=[("ant", (left + 1, top + 1, right, bottom))], size=seen.shape)
        )
    # where EXIF swaps rows and columns, the annotated size says it, whatever the option
    dataset = open_objects(root, exif=kind if 1 < orientation < 5 else "auto")
    objects = dataset.objects(0)
    assert objects.size == seen.shape
    assert objects.boxes[0].tolist() == found
    turned = orientation > 1 and (kind == "stored" or orientation < 5)
    assert any("EXIF turns" in note for note in dataset.notes) == turned


def turned_set(root, sizes, orientations, annotated):
    """White boxes on black pictures; annotated: "stored" or "upright", of each."""
    data = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "ant"}]}
    root.mkdir()
    for i, (size, orientation, kind) in enumerate(zip(sizes, orientations, annotated, strict=True)):
        stored = np.zeros((*size, 3), dtype=np.uint8)
        stored[2:9, 3:17] = 255
        exif = Image.Exif()
        exif[0x0112] = orientation
        Image.fromarray(stored).save(root / f"{i}.png", exif=exif)
        seen = stored if kind == "stored" else np.asarray(read_image(root / f"{i}.png").image)
        rows, columns = np.flatnonzero(seen.any((1, 2))), np.flatnonzero(seen.any((0, 2)))
        box = [int(v) for v in (columns[0], rows[0], len(columns), len(rows))]
        data["images"].append({"id": i, "file_name": f"{i}.png", "height": seen.shape[0], "width": seen.shape[1]})
        data["annotations"].append({"id": i + 1, "image_id": i, "category_id": 1, "bbox": box})
    (root / "instances.json").write_text(json.dumps(data))
    return root


def all_boxes_are_right(dataset) -> bool:
    found = []
    for i in range(len(dataset)):
        seen = np.asarray(dataset.picture(i).image).any(-1)
        rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
        found.append(dataset.objects(i).boxes.tolist() == [[columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]])
    return all(found)


@pytest.mark.parametrize("orientation", [2, 3, 4, 6, 8])
def test_squares_that_exif_turns_are_taken_as_upright_and_that_is_noted(tmp_path, orientation):
    for kind in ("upright", "stored"):
        root = turned_set(tmp_path / kind, [(23, 23)] * 3, [orientation] * 3, [kind] * 3)
        dataset = open_objects(root)
        assert all_boxes_are_right(dataset) == (kind == "upright")
        assert any("upright pixels were assumed; look at the drawn boxes" in note for note in dataset.notes)
        assert {"turn unknown"} <= {each.kind for each in examine(root).report.findings}
        dataset = open_objects(root, exif=kind)
        assert all_boxes_are_right(dataset)
        assert any(f"{kind} pixels, as --exif says" in note for note in dataset.notes)


@pytest.mark.parametrize("kind", ["stored", "upright"])
def test_other_pictures_say_of_which_pixels_squares_are_annotated(tmp_path, kind):
    root = turned_set(tmp_path / "set", [(23, 23), (19, 29), (13, 31)], [3, 1, 6], [kind] * 3)
    dataset = open_objects(root)
    assert all_boxes_are_right(dataset)
    assert any(f"{kind} pixels were taken, as in the pictures whose size says it" in note for note in dataset.notes)
    mixed = turned_set(tmp_path / "mixed", [(23, 23), (19, 29), (13, 31)], [3, 6, 6], ["upright", "stored", "upright"])
    dataset = open_objects(mixed)
    assert all_boxes_are_right(dataset)
    assert any("upright pixels were assumed" in note for note in dataset.notes)


def test_boxes_without_a_size_are_of_upright_pixels_unless_it_is_said(tmp_path):
    root = write_yolo(tmp_path / "set")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(root / "images" / "a.png").save(root / "images" / "a.png", exif=exif)
    upright, stored = (open_objects(root, exif=kind) for kind in ("auto", "stored"))
    left, top, right, bottom = OBJECTS[0][0][1]  # of the stored 53 rows and 71 columns, clockwise by a quarter
    assert stored.objects(0).boxes[0].tolist() == pytest.approx([53 - bottom, left, 53 - top, right], abs=1e-3)
    assert upright.objects(0).boxes[0].tolist() != stored.objects(0).boxes[0].tolist()
    assert any("upright pixels were assumed" in note for note in upright.notes)
    with pytest.raises(DataError, match="exif='sideways' was given; auto, upright, stored expected"):
        open_objects(root, exif="sideways")


def test_a_picture_of_another_size_than_annotated(tmp_path):
    root = write_voc(tmp_path / "set")
    Image.new("RGB", (11, 13)).save(root / "JPEGImages" / "b.png")
    dataset = open_objects(root)
    with pytest.raises(
        DataError, match=r"JPEGImages/b.png has 11 x 13 pixels and its annotation \(.*b.xml\) is of 43 x 61"
    ):
        dataset.objects(1)
    _, objects = to_object_arrays(dataset, Preprocess((31, 37)))
    assert len(objects) == 4
    assert list(dataset.skipped) == ["JPEGImages/b.png"]


def test_arrays_are_what_the_model_sees(tmp_path):
    root = write_coco(tmp_path / "set")
    dataset = open_objects(root)
    fit = Preprocess((73, 79), "letterbox", mean=(0.4, 0.5, 0.6))
    pictures, objects = to_object_arrays(dataset, fit)
    assert (pictures.shape, pictures.dtype) == ((5, 3, 73, 79), torch.uint8)
    for i, each in enumerate(objects):
        assert each.size == (73, 79)
        original = dataset.objects(i)
        torch.testing.assert_close(
            each.boxes, fit.placement(*original.size).to_model(original.boxes), atol=1e-4, rtol=0
        )
        seen = np.asarray(fit.resize_and_crop(dataset.picture(i).image)).transpose(2, 0, 1)
        assert np.array_equal(pictures[i].numpy(), seen)


def test_arrays_cut_objects_that_the_model_does_not_see_whole(tmp_path):
    dataset = open_objects(write_coco(tmp_path / "set"))
    _, objects = to_object_arrays(dataset, Preprocess((29, 29), "crop"), min_visible=0.7)
    assert [len(each) for each in objects] == [2, 1, 0, 2, 0]  # of the last 63 % are left
    grey, _ = to_object_arrays(dataset, Preprocess((29, 31), mean=(0.5,), std=(0.5,)))
    assert grey.shape == (5, 1, 29, 31)


def test_unreadable_pictures(tmp_path):
    root = write_yolo(tmp_path / "set")
    whole = (root / "images" / "b.png").read_bytes()
    (root / "images" / "b.png").write_bytes(whole[: len(whole) // 2])
    (root / "images" / "d.png").write_bytes(b"")
    dataset = open_objects(root, "train")
    pictures, objects = to_object_arrays(dataset, Preprocess((23, 29)))
    assert len(pictures) == len(objects) == 3
    assert set(dataset.skipped) == {"images/b.png", "images/d.png"}
    with pytest.raises(DataError, match="damaged or cut short"):
        to_object_arrays(open_objects(root, "train", on_error="fail"), Preprocess((23, 29)))
    for name in "ace":
        (root / "images" / f"{name}.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"no picture of .* could be read"):
        to_object_arrays(open_objects(root, "train"), Preprocess((23, 29)))


def test_nothing_to_read(tmp_path):
    save_pictures(tmp_path / "set")
    with pytest.raises(DataError, match=r"holds no boxes that can be read \(found: 5 \.png\); a COCO \.json"):
        open_objects(tmp_path / "set")
    with pytest.raises(DataError, match=r'on_error=.* was given; "skip" or "fail" expected'):
        open_objects(write_voc(tmp_path / "voc"), on_error="ignore")


def test_subsets_keep_the_reasons_of_skipped_objects(tmp_path):
    data = coco()
    data["annotations"][0]["bbox"] = [3, 5, -3, 4]  # of a.png
    data["annotations"][2]["bbox"] = [3, 5, 0, 4]  # of b.png
    data["annotations"][6]["image_id"] = 999
    whole = open_objects(write_coco(tmp_path / "set", data))
    first, second = whole.subset([0, 2]), whole.subset([1, 3])
    none = "instances.json, annotation 6"
    assert [place.removeprefix("annotations/") for place in first.skipped] == [none, "images/a.png, annotation 0"]
    assert [place.removeprefix("annotations/") for place in second.skipped] == [none, "images/b.png, annotation 2"]
    train, held = object_splits(tmp_path / "set")
    assert train.skipped | held.skipped == whole.skipped


def test_annotations_of_which_nothing_is_left(tmp_path):
    data = coco()
    for annotation in data["annotations"]:
        annotation["bbox"] = [5, 5, -3, 2]
    root = write_coco(tmp_path / "set", data)
    with pytest.raises(DataError, match=r"no object left: all were refused \(7 entries\).*ends before it begins"):
        object_splits(root)
    data["annotations"] = []
    write_coco(tmp_path / "without", data)
    assert len(open_objects(tmp_path / "without")) == 5  # pictures that hold nothing, and say so
    lines = write_yolo(tmp_path / "lines")
    for file in (lines / "labels").iterdir():
        file.write_text("0 0.5 0.5\n")
    with pytest.raises(DataError, match="no object left"):
        open_objects(lines)


def test_a_hold_out_that_leaves_training_without_objects(tmp_path):
    data = coco()
    data["annotations"] = data["annotations"][:1]  # of the first picture
    root = write_coco(tmp_path / "set", data)
    whole = open_objects(root)
    seed = next(seed for seed in range(99) if random_split(whole, 0.1, seed)[1].names == ["images/a.png"])
    with pytest.raises(DataError, match="none of the 4 training pictures has an object; 1 were held out, seed"):
        object_splits(root, seed=seed)
