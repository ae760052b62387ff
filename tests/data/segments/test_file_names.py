"""What names of folders and files say: pictures, masks, splits, and what is neither."""

import numpy as np
import pytest
from PIL import Image

from saccade.data.segments.file_names import parse_file_name
from saccade.data.segments.sets import open_segments, segment_splits
from saccade.errors import DataError

SIZE = (23, 31)
COLOURS = np.array([[0, 0, 0], [128, 0, 0], [0, 128, 0]], np.uint8)


def truth(i: int) -> np.ndarray:
    mask = np.zeros(SIZE, np.uint8)
    mask[3:11, 2 + i : 17 + i], mask[13:19, 5:23] = 1, 2
    return mask


def picture(i: int) -> np.ndarray:
    return np.random.default_rng(i).integers(0, 256, (*SIZE, 3), dtype=np.uint8)


def save(root, place: str, make, pictures=range(5)) -> None:
    for i in pictures:
        path = root / place.format(i=i)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(make(i)).save(path)


def check(dataset, n: int, first: str) -> None:
    assert (len(dataset), dataset.classes) == (n, ["class 0", "class 1", "class 2"])
    assert dataset.names[0].endswith(first)
    for k, name in enumerate(dataset.names):
        i = int("".join(c for c in name.rsplit("/", 1)[-1].split(".")[0].removesuffix("_0000") if c.isdigit()))
        assert np.array_equal(dataset.mask(k), truth(i))


FOLDERS = [
    ("img_dir/p{i}.jpg", "ann_dir/p{i}.png"),
    ("image/p{i}.jpg", "label/p{i}.png"),
    ("Imgs/p{i}.jpg", "Masks/p{i}.png"),
    ("X/p{i}.jpg", "Y/p{i}.png"),
    ("data/x/p{i}.jpg", "data/y/p{i}.png"),
    ("inputs/p{i}.png", "targets/p{i}.png"),
    ("img/p{i}.png", "gt/p{i}.png"),
    ("rgb/p{i}.png", "seg/p{i}.png"),
    ("color/p{i}.jpg", "label/p{i}.png"),
    ("JPEGImages/p{i}.jpg", "annotations/trimaps/p{i}.png"),
    ("images/2{i}_training.tif", "1st_manual/2{i}_manual1.gif"),
    ("s{i}/image.png", "s{i}/mask.png"),
    ("s{i}_json/img.png", "s{i}_json/label.png"),
    ("{i}_img.png", "{i}_masks.png"),
    ("images/img_{i}.jpg", "masks/mask_{i}.png"),
    ("images/P{i}.jpg", "masks/p{i}.PNG"),
    ("images/p{i}.jpg", "masks/p{i}.jpg.png"),
    ("images_jpg/p{i}.jpg", "masks_tif/p{i}.tif"),
]


@pytest.mark.parametrize(("pictures", "masks"), FOLDERS)
def test_words_for_pictures_and_masks(tmp_path, pictures, masks):
    save(tmp_path, pictures, picture)
    save(tmp_path, masks, truth)
    dataset = open_segments(tmp_path, on_error="fail")
    assert len(dataset) == 5
    expected = {truth(i).tobytes() for i in range(5)}
    assert {dataset.mask(k).numpy().tobytes() for k in range(5)} == expected


SPLITS = [
    ("img_dir/{split}/p{i}.jpg", "ann_dir/{split}/p{i}.png", ("train", "val")),
    ("images{split}/p{i}_0000.png", "labels{split}/p{i}.png", ("Tr", "Val")),
    ("{split}Images/p{i}.png", "{split}Masks/p{i}.png", ("Train", "Val")),
    ("{split}/x/p{i}.png", "{split}/y/p{i}.png", ("training", "validation")),
    ("{split}_set/Images/p{i}.png", "{split}_set/Ground_truth/p{i}.png", ("TRAIN", "VAL")),
    ("{split}/Urban/images_png/p{i}.png", "{split}/Urban/masks_png/p{i}.png", ("Train", "Val")),  # LoveDA
]


@pytest.mark.parametrize(("pictures", "masks", "splits"), SPLITS)
def test_splits_in_the_names_of_folders(tmp_path, pictures, masks, splits):
    for split, members in zip(splits, (range(3), range(3, 5)), strict=True):
        save(tmp_path, pictures.replace("{split}", split), picture, members)
        save(tmp_path, masks.replace("{split}", split), truth, members)
    train, val = segment_splits(tmp_path, on_error="fail")
    assert (len(train), len(val)) == (3, 2)
    assert all(np.array_equal(val.mask(k), truth(3 + k)) for k in range(2))


COMPANIONS = ["trimaps", "semantic_rgb", "edges", "depth", "instance", "masks_color", "overlay", "Segmentation_vis"]


@pytest.mark.parametrize("companion", COMPANIONS)
def test_other_folders_are_no_pictures(tmp_path, companion):
    save(tmp_path, "train/image_2/p{i}.png", picture)
    save(tmp_path, "train/semantic/p{i}.png", truth)
    save(tmp_path, f"train/{companion}/p{{i}}.png", lambda i: COLOURS[truth(i)])
    dataset = open_segments(tmp_path, on_error="fail")
    check(dataset, 5, "image_2/p0.png")
    left = f"left out: train/{companion}" + " (5)" * (companion != "trimaps")  # another folder of masks
    assert any(left in note for note in dataset.notes)


def test_the_picture_of_a_mask_by_its_colours(tmp_path):
    save(tmp_path, "pets/p{i}.png", picture)
    save(tmp_path, "masks/p{i}.png", truth)
    save(tmp_path, "fancy/p{i}.png", lambda i: COLOURS[truth(i)])
    check(open_segments(tmp_path, on_error="fail"), 5, "pets/p0.png")
    save(tmp_path, "cats/p{i}.png", lambda i: picture(i + 9))
    with pytest.raises(DataError, match=r"cats/p0.png and pets/p0.png have the same mask, masks/p0.png; one"):
        open_segments(tmp_path)


def test_drawings_beside_pictures(tmp_path):
    save(tmp_path, "p{i}.jpg", picture)
    save(tmp_path, "p{i}_mask.png", truth)
    save(tmp_path, "p{i}_color.png", lambda i: COLOURS[truth(i)])
    save(tmp_path, "p{i}_overlay.png", picture)
    check(open_segments(tmp_path, on_error="fail"), 5, "p0.jpg")


def test_two_files_of_one_picture_are_one(tmp_path):
    save(tmp_path, "images/p{i}.png", picture)
    save(tmp_path, "images/p{i}.jpg", picture)
    save(tmp_path, "masks/p{i}.png", truth)
    check(open_segments(tmp_path, on_error="fail"), 5, "p0.jpg")


def test_names_without_anything_in_common(tmp_path):
    save(tmp_path, "images/a{i}.png", picture)
    save(tmp_path, "masks/b{i}.png", truth)
    with pytest.raises(DataError, match=r"pictures \(such as images/a0.png\) and masks"):
        open_segments(tmp_path)


def test_labels_of_instances_are_read_where_there_is_nothing_else(tmp_path):
    save(tmp_path, "images/p{i}.png", picture)
    save(tmp_path, "instance_masks/p{i}.png", truth)
    assert len(open_segments(tmp_path)) == 5


@pytest.mark.parametrize(
    ("name", "key", "kind"),
    [
        ("VOC2012/SegmentationClassRaw/a.png", ("voc2012", "a"), "segmentationclass"),
        ("masks_train/a.png", ("train", "a"), "mask"),
        ("labelsTr/a.png", ("train", "a"), "label"),
        ("trainannot/a.png", ("train", "a"), "annot"),
        ("images/A.png", ("A",), ""),
        ("gtFine/val/b/c_gtFine_labelIds.png", ("val", "b", "c_gtFine_labelIds"), "gtfine"),
    ],
)
def test_keys(name, key, kind):
    found = parse_file_name(name)
    assert (found.key, found.kind) == (key, kind)
