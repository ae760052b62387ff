"""Layouts of public sets and exporters: read as they are meant, or refused in one short line that names them."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from saccade.data.captions.sets import caption_splits, open_captions
from saccade.data.doctor import examine
from saccade.data.folders import ImageFolder, splits
from saccade.data.objects.sets import object_splits, open_objects
from saccade.data.segments.sets import segment_splits
from saccade.errors import DataError

LONGEST = 300  # characters of a message, without the folder of the set


def save(path: Path, pixels: np.ndarray, palette: list[int] | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels)
    if palette:
        image = image.convert("P")
        image.putpalette(palette)
    image.save(path)


def lay_out(root: Path, pictures: str, files: dict[str, object]) -> Path:
    """pictures: names, separated by spaces."""
    for i, name in enumerate(pictures.split()):
        save(root / name, np.random.default_rng(i).integers(0, 256, (41, 53, 3), dtype=np.uint8))
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text if isinstance(text, str) else json.dumps(text))
    return root


EVENTS = " ".join(f"WIDER_train/images/{event}/{i}.jpg" for event in ("0--Parade", "1--Handshaking") for i in (1, 2))
SEQUENCES = " ".join(f"training/image_02/000{s}/00000{i}.png" for s in (0, 1) for i in (0, 1))
MOT = " ".join(f"train/MOT17-0{s}/img1/00000{i}.jpg" for s in (2, 4) for i in (1, 2))
FACES = "img_align_celeba/000001.jpg img_align_celeba/000002.jpg"
MVTEC = "bottle/train/good/0.png bottle/test/good/0.png " + " ".join(
    f"bottle/test/{kind}/0.png bottle/ground_truth/{kind}/0_mask.png" for kind in ("hole", "bent")
)
TRACKED = "0 0 Car 0 0 -1.7 3 4 12 13 2.0 1.8 4.4 -4.5 1.8 13.4 -2.1\n"
RUNS = "id,annotation,width,height,cell_type\na,3 5 70 6,53,41,astro\n"
# format: pictures, files, and the tasks that must name it
REFUSED: dict[str, tuple[str, dict[str, object], str]] = {
    "WIDER FACE text": (EVENTS, {"split/train.txt": "0--Parade/1.jpg\n1\n3 4 9 8 0 0 0 0 0 0 \n"}, "classify detect"),
    "KITTI tracking text": (SEQUENCES, {"training/label_02/0000.txt": TRACKED}, "classify detect"),
    "MOT text": (MOT, {"train/MOT17-02/gt/gt.txt": "1,1,3,4,9,8,1,1,0.8\n"}, "classify detect"),
    "NWPU VHR-10 text": ("good/1.jpg bad/1.jpg", {"ground truth/1.txt": "(3,4),(12,13),1 \n"}, "classify detect"),
    "CelebA's attributes": (
        FACES,
        {
            "list_attr_celeba.txt": "2\nBald Young \n000001.jpg -1  1\n000002.jpg  1  1\n",
            "list_bbox_celeba.txt": "2\nimage_id x_1 y_1 width height\n000001.jpg 9 7 26 31\n000002.jpg 9 7 22 31\n",
            "list_eval_partition.txt": "000001.jpg 0\n000002.jpg 1\n",
        },
        "classify",
    ),
    "NIH ChestX-ray14's table": (
        "images_001/images/1.png images_001/images/2.png",
        {"Data_Entry_2017.csv": "Image Index,Finding Labels,Patient ID\n1.png,Mass|Edema,1\n2.png,No Finding,2\n"},
        "classify",
    ),
    "CelebAMask-HQ": ("CelebA-HQ-img/0.jpg CelebAMask-HQ-mask-anno/0/00000_hair.png", {}, "classify segment"),
    "MVTec AD": (MVTEC, {}, "classify segment"),
    "MATLAB lists of classes": ("jpg/1.jpg jpg/2.jpg", {"imagelabels.mat": "MATLAB", "setid.mat": ""}, "classify"),
    "CIFAR's pickles": ("", {"cifar-10-batches-py/data_batch_1": "x"}, "classify"),
    "MNIST's IDX files": ("", {"raw/train-images-idx3-ubyte": "x"}, "classify"),
    "Flickr's token text": ("a/1.jpg", {"Flickr8k.token.txt": "1.jpg#0\tA dog runs .\n"}, "match"),
    "captions with addresses": ("", {"train.tsv": "a bus\thttp://x/a.jpg\na car\thttp://x/b.jpg\n"}, "match"),
    "TextCaps JSON": ("a/1.jpg", {"a.json": {"data": [{"caption_str": "x", "reference_strs": []}]}}, "match"),
    "DeepFashion's lists": (
        "img/a/1.jpg img/a/2.jpg",
        {"Anno/list_category_img.txt": "2\nimage_name  category_label\nimg/a/1.jpg 3\nimg/a/2.jpg 5\n"},
        "classify",
    ),
    "CSV of run lengths": ("train/a.png train/b.png", {"train.csv": RUNS}, "segment classify"),
    "pixels in a table": ("", {"fer2013.csv": "emotion,pixels,Usage\n0,70 80 82 72,Training\n"}, "classify"),
    "AutoML CSV": ("a/1.jpg", {"all.csv": "TRAIN,gs://b/1.jpg,cat,0.1,0.2,,,0.4,0.5,,\n"}, "detect classify"),
    "TT100K JSON": ("a/1.jpg", {"a.json": {"imgs": {"1": {"path": "a/1.jpg", "objects": [{"bbox": {}}]}}}}, "detect"),
    "Labelbox JSON": ("a/1.jpg", {"a.ndjson": {"data_row": {}, "annotations": {"bounding_box": {}}}}, "detect"),
    "Hasty JSON": ("a/1.jpg", {"a.json": {"export_format_version": "1.1", "label_classes": []}}, "detect"),
    "PaliGemma JSON lines": ("a/1.jpg", {"a.jsonl": {"image": "1.jpg", "prefix": "a", "suffix": "b"}}, "detect match"),
    "GeoJSON": ("a/1.tif", {"a.geojson": {"features": [{"type": "F", "geometry": {"coordinates": []}}]}}, "detect"),
    "text of boxes behind their number": ("a/1.jpg", {"b/1.jpg.txt": "2\n1 3 4 12 13\n3 13 14 22 23\n"}, "detect"),
    "VOC XML without a suffix": (
        "Images/n1-a/n1_1.jpg",
        {"Annotation/n1-a/n1_1": "<annotation>\n<object><name>a</name><bndbox/></object></annotation>"},
        "detect",
    ),
    "text of boxes behind file names": ("a/1.ppm", {"gt.txt": "1.ppm;3;4;12;13;11\n"}, "detect"),
}  # fmt: skip
OPEN: dict[str, Callable[[Path], object]] = {
    "classify": splits, "detect": open_objects, "segment": segment_splits, "match": open_captions,
}  # fmt: skip


@pytest.mark.parametrize("format", REFUSED)
def test_refused_in_one_short_line(tmp_path: Path, format: str):
    pictures, files, tasks = REFUSED[format]
    root = lay_out(tmp_path / "set", pictures, files)
    for task in tasks.split():
        with pytest.raises(DataError) as caught:
            OPEN[task](root)
        text = str(caught.value).replace(str(root), "set")
        assert f"{format} (" in text
        assert text.isprintable()
        assert len(text) <= LONGEST
    assert format in _said_by_the_doctor(root)


def _said_by_the_doctor(root: Path) -> str:
    """Its error, or its findings without notes."""
    try:
        findings = examine(root).report.findings
    except DataError as error:
        return str(error)
    return "".join(place for each in findings if each.severity != "note" for place in each.places)


def test_annotations_beside_class_folders_are_a_warning(tmp_path: Path):
    root = lay_out(tmp_path, "Images/cat/1.png Images/dog/2.png", {"lists/file_list.mat": "MATLAB"})
    assert ImageFolder(root).classes == ["cat", "dog"]
    kinds = {each.kind: each.severity for each in examine(root).report.findings}
    assert kinds["annotations unread"] == "warning"


def test_the_classes_of_a_table_are_not_said_to_be_unread(tmp_path: Path):
    """GTSRB's training set: class folders, each with a table of its pictures and their boxes."""
    header = "Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId\n"
    pictures = [f"Final_Training/Images/0000{c}/{i}.ppm" for c in (0, 1) for i in range(3)]
    tables: dict[str, object] = {}
    for c in (0, 1):
        rows = "".join(f"{i}.ppm;53;41;5;6;47;35;{c}\n" for i in range(3))
        tables[f"Final_Training/Images/0000{c}/GT-0000{c}.csv"] = header + rows
    root = lay_out(tmp_path, " ".join(pictures), tables)
    assert not any("not read for classes" in note for note in ImageFolder(root, split="train").notes)
    tests = " ".join(f"Final_Test/Images/{i}.ppm" for i in range(2))
    rows = "0.ppm;53;41;5;6;47;35;1\n1.ppm;53;41;5;6;47;35;0\n"
    lay_out(root, tests, {"Final_Test/Images/GT-final_test.csv": header + rows})
    test = ImageFolder(root, split="test")
    assert [test.classes[label] for label in test.labels] == ["00000", "00001"]
    assert [Path(name).name for name in test.names] == ["1.ppm", "0.ppm"]


def test_classes_are_not_the_letters_of_sun397(tmp_path: Path):
    pictures = [f"{name[0]}/{name}/{i}.jpg" for name in ("abbey", "airport", "bar") for i in range(2)]
    with pytest.raises(DataError, match=r"the folders a, b .* are the first letters of those in them"):
        ImageFolder(lay_out(tmp_path, " ".join(pictures), {}))


def test_a_folder_of_annotations_is_no_class(tmp_path: Path):
    """Caltech 101."""
    names = ("accordion", "anchor")
    pictures = " ".join(f"101_ObjectCategories/{name}/image_{i}.jpg" for name in names for i in range(2))
    files: dict[str, object] = {f"Annotations/{name}/annotation_1.mat": "MATLAB" for name in names}
    assert ImageFolder(lay_out(tmp_path, pictures, files)).classes == list(names)


def test_classes_in_the_names_of_pictures(tmp_path: Path):
    root = lay_out(tmp_path, "train/cat.0.jpg train/cat.1.jpg train/dog.0.jpg train/dog.1.jpg",
                   {"sampleSubmission.csv": "id,label\n1,0\n"})  # fmt: skip
    with pytest.raises(DataError, match=r"if the starts of their names \(cat, dog\) are classes, move them") as caught:
        ImageFolder(root)
    assert "sampleSubmission" not in str(caught.value)


def test_a_folder_of_pictures_beside_others_is_no_class(tmp_path: Path):
    with pytest.raises(DataError, match="holds the folder 'jpg' of pictures beside segmim"):
        ImageFolder(lay_out(tmp_path, "jpg/image_1.jpg jpg/image_2.jpg segmim/segmim_1.jpg segmim/segmim_2.jpg", {}))


@pytest.mark.parametrize(
    ("files", "classes"),
    [
        ({"labels.json": {"classes": ["cat", "dog"], "labels": {"1": 0, "2": 1, "3": 1, "4": 0}}}, "cat dog dog cat"),
        ({"labels.json": {"classes": None, "labels": {"1": "a", "2": "b", "3": "b", "4": "a"}}}, "a b b a"),
        ({"l.csv": "".join(f"{use},gs://x/{i}.jpg,{c}\n" for i, use, c in ((1, "TRAIN", "a"), (2, "TRAIN", "b"),
                                                                         (3, "TEST", "a"), (4, "TEST", "b")))}, "a b"),
    ],
    ids=["FiftyOne", "FiftyOne without numbers", "AutoML"],
)  # fmt: skip
def test_lists_of_classes(tmp_path: Path, files: dict[str, object], classes: str):
    root = lay_out(tmp_path, "data/1.jpg data/2.jpg data/3.jpg data/4.jpg", files)
    found = ImageFolder(root, split="train" if "l.csv" in files else None)
    by_name = {name: found.classes[label] for name, label in zip(found.names, found.labels.tolist(), strict=True)}
    assert [by_name[name] for name in sorted(by_name)] == classes.split()


def test_texts_of_pictures_are_no_classes(tmp_path: Path):
    pictures = " ".join(f"train/w{i}.jpg" for i in range(5))
    root = lay_out(tmp_path, pictures, {"gt_train.txt": "".join(f"train/w{i}.jpg\tword{i}\n" for i in range(5))})
    with pytest.raises(DataError, match=r"gt_train\.txt gives each of its pictures a class of its own"):
        splits(root)


def test_words_that_are_classes_by_themselves_are_several(tmp_path: Path):
    labels = ["haze", "clear", "haze clear", "hot dog"] * 2
    table = "image,label\n" + "".join(f"{i}.jpg,{label}\n" for i, label in enumerate(labels))
    root = lay_out(tmp_path, " ".join(f"img/{i}.jpg" for i in range(8)), {"train.csv": table})
    with pytest.raises(DataError, match=r"is multi-label: 2 of its 8 rows .*line 4 has the class 'haze clear'"):
        splits(root)


def test_areas_in_shares_go_with_boxes_in_shares(tmp_path: Path):
    """Azure's COCO: the boxes are shares of the sides, and so are the areas; they were read twice."""
    names = [f"images/{i}.jpg" for i in range(5)]
    document = {
        "images": [{"id": i, "file_name": name, "width": 53.0, "height": 41.0} for i, name in enumerate(names)],
        "annotations": [{"id": i, "image_id": i, "category_id": 1, "bbox": [0.1, 0.2, 0.25, 0.3], "area": 0.075}
                        for i in range(5)],
        "categories": [{"id": 1, "name": "can"}],
    }  # fmt: skip
    dataset = open_objects(lay_out(tmp_path, " ".join(names), {"a.json": document}))
    found = dataset.objects(0)
    assert found.boxes[0].tolist() == pytest.approx([5.3, 8.2, 18.55, 20.5], abs=1e-4)
    assert found.areas is not None
    assert float(found.areas[0]) == pytest.approx(0.075 * 53 * 41, rel=1e-5)
    assert len([note for note in dataset.notes if "boxes were read as" in note]) == 1


def test_rejected_captions_are_left_out(tmp_path: Path):
    """VizWiz."""
    captions = [{"id": 2 * i + k, "image_id": i, "caption": ("a can", "too dark")[k] + f" {i}", "is_rejected": bool(k)}
                for i in range(4) for k in range(2)]  # fmt: skip
    document = {"images": [{"id": i, "file_name": f"{i}.jpg"} for i in range(4)], "annotations": captions}
    train, val = caption_splits(lay_out(tmp_path, "0.jpg 1.jpg 2.jpg 3.jpg", {"a.json": document}))
    assert all(part.captions(i) == (f"a can {part.names[i][0]}",) for part in (train, val) for i in range(len(part)))
    assert "4 captions of a.json are marked is_rejected and were left out (VizWiz)" in train.notes


@pytest.mark.parametrize(
    "files",
    [
        {"ImageSets/2017/train.txt": "bear\nbus\n"},
        {"meta.json": {"videos": {"bear": {"objects": {"1": {"category": "bear", "frames": ["00000"]}}}}}},
        {"Annotation/bear.txt": "# Compatible with PASCAL Annotation Version 1.00\n"},
    ],
    ids=["DAVIS", "YouTube-VOS", "Penn-Fudan"],
)
def test_numbers_of_objects_are_no_classes(tmp_path: Path, files: dict[str, object]):
    pictures = [f"JPEGImages/480p/{v}/0000{i}.jpg" for v in ("bear", "bus") for i in range(3)]
    root = lay_out(tmp_path, " ".join(pictures), files)
    for v, count in (("bear", 1), ("bus", 2)):
        for i in range(3):
            mask = np.zeros((41, 53), np.uint8)
            for k in range(count):
                mask[3 + 11 * k : 10 + 11 * k, 5 + i : 17 + i] = k + 1
            save(root / f"Annotations/480p/{v}/0000{i}.png", mask, [0, 0, 0, 128, 0, 0, 0, 128, 0])
    train, _ = segment_splits(root)
    assert train.classes == ["background", "object"]
    assert {int(value) for i in range(len(train)) for value in train.mask(i).unique()} == {0, 1}


def test_lists_that_are_split_by_their_names(tmp_path: Path):
    """A table of boxes beside pictures in splits is read by the splits of their names."""
    pictures = " ".join(f"{s}/{s}{i}.jpg" for s in ("train", "valid") for i in range(3))
    header = "filename,width,height,class,xmin,ymin,xmax,ymax\n"
    files: dict[str, object] = {
        f"{s}/_annotations.csv": header + "".join(f"{s}{i}.jpg,53,41,cat,3,4,12,13\n" for i in range(3))
        for s in ("train", "valid")
    }
    train, val = object_splits(lay_out(tmp_path, pictures, files))
    assert train.names == [f"train/train{i}.jpg" for i in range(3)]
    assert len(val) == 3


def test_annotations_by_their_id(tmp_path: Path):
    """LIVECell."""
    rows = {str(i): {"id": i, "image_id": i, "category_id": 1, "bbox": [3, 5 + i, 17, 19]} for i in (1, 2)}
    document = {"images": [{"id": i, "file_name": f"{i}.tif"} for i in (1, 2)], "annotations": rows,
                "categories": [{"id": 1, "name": "cell"}]}  # fmt: skip
    root = lay_out(tmp_path, "a/1.tif a/2.tif", {"coco.json": document})
    dataset = open_objects(root, on_error="fail")
    assert [dataset.objects(i).boxes.tolist() for i in (0, 1)] == [[[3, 6, 20, 25]], [[3, 7, 20, 26]]]
    rows["2"]["id"] = 1
    with pytest.raises(DataError, match="annotations that are not a list"):
        open_objects(lay_out(tmp_path, "", {"coco.json": document}))


@pytest.mark.parametrize("kind", ["colour", "grey"])
def test_ade20k_in_full_is_no_set_of_greys(tmp_path: Path, kind: str):
    names = [f"images/training/a/abbey/ADE_train_0000000{i}" for i in range(3)]
    root = lay_out(tmp_path / "set", " ".join(f"{name}.jpg" for name in names), {})
    for name in names:
        mask = np.zeros((41, 53, 3), np.uint8)
        mask[7:19, 5:31] = (10, 10, 10) if kind == "grey" else (10, 20, 1)
        save(root / f"{name}_seg.png", mask)
    with pytest.raises(DataError, match=r"holds ADE20K in full, whose masks are not read: their red and green"):
        segment_splits(root)
    assert "ADE20K in full" in _said_by_the_doctor(root)
