"""Layouts in which public sets for classification come: lists, tables and numbers beside pictures."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from saccade.data import splits
from saccade.data.doctor import examine
from saccade.data.recognise_formats import recognise_formats
from saccade.data.store import open_store
from saccade.errors import DataError

Make = Callable[..., Path]


def classes_of(root: Path) -> tuple[dict[str, str], dict[str, str]]:
    """File name -> class, of the training and of the validation part."""
    parts = splits(root)
    named = ({Path(n).name: part.classes[i] for n, i in zip(part.names, part.labels, strict=True)} for part in parts)
    train, val = named
    return train, val


def test_numbered_splits_and_boxes_of_cub(make_folder: Make):
    root = make_folder({"images/001.Albatross": 5, "images/002.Auk": 5})
    names = [f"{folder}/{i}.png" for folder in ("001.Albatross", "002.Auk") for i in range(1, 6)]
    lines = {"images": names, "train_test_split": [int(n[-5] in "123") for n in names]}
    for file, values in lines.items():
        (root / f"{file}.txt").write_text("".join(f"{i} {value}\n" for i, value in enumerate(values, 1)))
    (root / "bounding_boxes.txt").write_text("".join(f"{i} 3.0 4.0 20.0 21.0\n" for i in range(1, 11)))
    train, _ = splits(root)
    assert {int(Path(name).stem) for name in train.names} <= {1, 2, 3}  # of which some are held out
    assert [each.format for each in recognise_formats(open_store(root))] == ["CUB text"]
    (root / "train_test_split.txt").write_text("1 1\n2 0\n")
    with pytest.raises(DataError, match=r"train_test_split.txt and images.txt number different pictures"):
        splits(root)


@pytest.mark.parametrize("box", ["", " 1 2 9 9 "])
def test_a_split_without_class_folders_has_a_table_of_classes(make_folder: Make, box: str):
    """val_annotations.txt of Tiny ImageNet, LOC_val_solution.csv of Kaggle's ImageNet."""
    root = make_folder({"train/n01": 4, "train/n02": 4, "val/images": 3})
    if box:
        (root / "solution.csv").write_text(f"ImageId,PredictionString\n1,n01{box}\n2,n02{box}n02{box}\n3,n01{box}\n")
    else:
        (root / "val/annotations.txt").write_text(
            "1.png\tn01\t0\t9\t4\t8\n2.png\tn02\t0\t9\t4\t8\n3.png\tn01\t0\t1\t2\t3\n"
        )
    _, val = classes_of(root)
    assert val == {"1.png": "n01", "2.png": "n02", "3.png": "n01"}
    assert examine(root).report.sound


def test_classes_with_spaces_behind_pictures(make_folder: Make):
    root = make_folder({"images": 12})
    for split, numbers in {"train": range(1, 7), "val": range(7, 13)}.items():
        rows = [f"{i} {('707-320', 'Cessna 172', 'A 300 B4')[i % 3]}\n" for i in numbers]
        (root / f"images_variant_{split}.txt").write_text("".join(rows))
    train, val = classes_of(root)
    assert train["1.png"] == "Cessna 172"
    assert val == {f"{i}.png": ("707-320", "Cessna 172", "A 300 B4")[i % 3] for i in range(7, 13)}


def test_several_numbers_behind_pictures_are_refused(make_folder: Make):
    root = make_folder({"photos": 6})
    for path in (root / "photos").iterdir():
        path.rename(path.with_name(f"cat_{path.name}"))
    (root / "trainval.txt").write_text("".join(f"cat_{i} {i % 2 + 1} 1 {i % 2 + 1}\n" for i in range(1, 7)))
    with pytest.raises(
        DataError, match=r"trainval.txt has 4 columns without headings: none is known to hold the class"
    ):
        splits(root)


def coco(folder: str, numbers: range, **more: object) -> str:
    images = [{"id": i, "file_name": f"{folder}/{i}.png"} for i in numbers]
    rows = [{"id": i, "image_id": i, "category_id": i % 2, **more} for i in numbers]
    names = [{"id": 0, "name": "Passer"}, {"id": 1, "name": "Amanita"}]
    return json.dumps({"images": images, "annotations": rows, "categories": names})


def test_coco_with_a_class_for_whole_pictures(make_folder: Make):
    root = make_folder({"photos/all": 11})
    (root / "train2019.json").write_text(coco("photos/all", range(1, 8)))
    (root / "val2019.json").write_text(coco("photos/all", range(8, 12)))
    train, val = classes_of(root)
    assert train == {f"{i}.png": ("Passer", "Amanita")[i % 2] for i in range(1, 8)}
    assert val.keys() == {"8.png", "9.png", "10.png", "11.png"}
    assert examine(root).subject.kind == "classes"
    (root / "val2019.json").write_text(coco("photos/all", range(8, 12), bbox=[1, 1, 2, 2]))
    assert examine(root).subject.kind == "boxes"


def test_folders_that_are_parts_or_groups_of_classes(make_folder: Make):
    root = make_folder({"part_1": 4, "part_2": 4})
    rows = [f"part_{p}/{i}.png,{'nv' if i % 2 else 'mel'}\n" for p in (1, 2) for i in range(1, 5)]
    (root / "metadata.csv").write_text("image,dx\n" + "".join(rows))
    train, _ = splits(root)
    assert train.classes == ["mel", "nv"]
    assert train.notes[-1] == "the folders part_1, part_2 are parts of the set"


def test_masks_inside_class_folders_are_no_pictures(make_folder: Make):
    root = make_folder({f"{place}/{kind}": 3 for place in ("rural", "urban") for kind in ("images_png", "masks_png")})
    with pytest.raises(DataError, match=r"the folder rural/ holds images_png/ and masks_png/: masks of pictures"):
        splits(root)


def test_masks_named_after_their_folder_are_no_class(tmp_path: Path):
    colours = np.random.default_rng(3).integers(0, 256, (5, 17, 13, 3), dtype=np.uint8)
    for folder, pictures in {"tr_im": colours, "tr_mask": colours[..., 0] // 128}.items():
        (tmp_path / folder).mkdir()
        for i, picture in enumerate(pictures):
            Image.fromarray(picture).save(tmp_path / folder / f"{folder}_{i}.png")
    with pytest.raises(DataError, match=r"the folder tr_mask/ holds masks of the pictures in tr_im/"):
        splits(tmp_path)
