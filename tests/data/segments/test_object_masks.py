"""Pictures with several masks: a file for each object, or for each class."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from saccade.data.segments import layout
from saccade.data.segments.object_masks import read_object_mask
from saccade.data.segments.sets import open_segments, segment_splits
from saccade.data.store import open_store
from saccade.errors import DataError

SIZE = (29, 37)
PICTURES = 5


def area(i: int, which: int) -> np.ndarray:
    """Object `which` of picture i."""
    mask = np.zeros(SIZE, np.uint8)
    left = 3 + i + 17 * which
    mask[5 + which : 17, left : left + 11] = 255
    return mask


def write(root: Path, picture: str, masks: dict[str, int], make=area) -> Path:
    """masks: place -> object. Places have {i}."""
    for i in range(PICTURES):
        noise = np.random.default_rng(i).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
        for place, pixels in ((picture, noise), *((place, make(i, which)) for place, which in masks.items())):
            path = root / place.format(i=i)
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
    return root


OBJECTS = {
    "folder a picture": ("id{i}/images/id{i}.png", ["id{i}/masks/h{i}0.png", "id{i}/masks/h{i}1.png"]),
    "image and folder": ("id{i}/image.png", ["id{i}/masks/0.png", "id{i}/masks/1.png"]),
    "stage1_train": ("stage1_train/x{i}/images/x{i}.png", ["stage1_train/x{i}/masks/p{i}.png"]),
    "folder of masks": ("images/p{i}.jpg", ["masks/p{i}/0.png", "masks/p{i}/1.png"]),
    "numbered": ("images/p{i}.jpg", ["masks/p{i}_0.png", "masks/p{i}_1.png"]),
    "mask numbered": ("images/p{i}.jpg", ["masks/p{i}_mask_1.png", "masks/p{i}_mask_2.png"]),
    "beside": ("p ({i}).png", ["p ({i})_mask.png", "p ({i})_mask_1.png"]),
}
CLASSES = {
    "folders": ("images/p{i}.jpg", ["masks/green/p{i}.png", "masks/red/p{i}.png"]),
    "marked folders": ("images/p{i}.jpg", ["green_masks/p{i}.png", "red_masks/p{i}.png"]),
    "camel case": ("Xrays/p{i}.png", ["ManualMask/greenMask/p{i}.png", "ManualMask/redMask/p{i}.png"]),
    "suffixes": ("images/p{i}.jpg", ["masks/p{i}_green.png", "masks/p{i}_red.png"]),
    "suffixes that share a word": ("images/p{i}.jpg", ["masks/p{i}_type_green.png", "masks/p{i}_type_red.png"]),
}


@pytest.mark.parametrize("places", OBJECTS.values(), ids=OBJECTS)
def test_the_objects_of_a_picture_are_united(tmp_path, places):
    picture, masks = places
    dataset = open_segments(write(tmp_path / "set", picture, {place: k for k, place in enumerate(masks)}))
    assert (dataset.classes, len(dataset), dataset.skipped) == (["background", "object"], PICTURES, {})
    for i in range(PICTURES):
        expected = np.maximum.reduce([area(i, k) for k in range(len(masks))]) // 255
        assert np.array_equal(dataset.mask(i), expected)
    found = layout.find_mask_layout(open_store(tmp_path / "set")).paired.objects
    assert found.per_object
    parts = found.parts[next(iter(found.parts))]
    assert [part.label for part in parts] == [0] * len(masks)
    assert np.array_equal(read_object_mask(open_store(tmp_path / "set"), parts[-1].file), area(0, len(masks) - 1) > 0)


@pytest.mark.parametrize("places", CLASSES.values(), ids=CLASSES)
def test_a_mask_for_each_class(tmp_path, places):
    picture, (green, red) = places
    dataset = open_segments(write(tmp_path / "set", picture, {green: 0, red: 1}))
    assert dataset.classes == ["background", "green", "red"]
    for i in range(PICTURES):
        assert np.array_equal(dataset.mask(i), (area(i, 0) // 255) * 1 + (area(i, 1) // 255) * 2)
    assert not layout.find_mask_layout(open_store(tmp_path / "set")).paired.objects.per_object
    assert any("each mask file is of a class (green, red)" in note for note in dataset.notes)


def test_smaller_masks_lie_on_larger_ones(tmp_path):
    def disc_and_cup(i: int, which: int) -> np.ndarray:
        mask = np.zeros(SIZE, np.uint8)
        mask[5 + 3 * which : 23 - 3 * which, 7 + 3 * which : 29 - 3 * which] = 1
        return mask

    masks = {"masks/cup/p{i}.png": 1, "masks/disc/p{i}.png": 0}
    dataset = open_segments(write(tmp_path / "set", "images/p{i}.png", masks, disc_and_cup))
    assert dataset.classes == ["background", "cup", "disc"]
    assert np.array_equal(dataset.mask(0), np.where(disc_and_cup(0, 1), 1, 2 * disc_and_cup(0, 0)))


def test_splits_and_names_of_classes(tmp_path):
    root = tmp_path / "set"
    write(root, "train/images/p{i}.png", {"train/masks/p{i}/0.png": 0, "train/masks/p{i}/1.png": 1})
    write(root, "val/images/q{i}.png", {"val/masks/q{i}/0.png": 0, "val/masks/q{i}/1.png": 1})
    (root / "classes.txt").write_text("ground\ncell\n")
    train, val = segment_splits(root)
    assert train.classes == val.classes == ["ground", "cell"]
    assert (len(train), len(val), val.notes[-1]) == (PICTURES, PICTURES, "validation: the split val")


def test_one_mask_a_picture_stays_one_mask(tmp_path):
    for place in ("masks/lesion/p{i}.png", "masks/p{i}_lesion.png"):
        dataset = open_segments(write(tmp_path / place[:8].replace("/", "-"), "images/p{i}.png", {place: 0}))
        assert dataset.classes == ["class 0", "class 255"]
        assert np.array_equal(dataset.mask(3), area(3, 0) // 255)


@pytest.mark.parametrize(
    "make",
    [lambda i, which: 255 - area(i, which), lambda i, which: np.roll(area(i, 0), which, axis=1)],
    ids=["inverted", "two versions"],
)
def test_masks_that_cover_each_other_are_refused(tmp_path, make):
    masks = {"masks/p{i}/0.png": 0, "masks/p{i}/1.png": 1}
    with pytest.raises(DataError, match=r"two masks of a picture, such as masks/p0/0.png and masks/p0/1.png, cover"):
        open_segments(write(tmp_path / "set", "images/p{i}.png", masks, make))


def test_a_mask_of_several_values_is_not_of_one_object(tmp_path):
    root = write(tmp_path / "set", "images/p{i}.png", {"masks/p{i}/0.png": 0, "masks/p{i}/1.png": 1})
    Image.fromarray(np.arange(SIZE[0] * SIZE[1], dtype=np.uint8).reshape(SIZE)).save(root / "masks/p0/0.png")
    with pytest.raises(DataError, match=r"p0/0.png has 256 values \(0, 1, 2 and 253 more\); a mask of one object has"):
        open_segments(root).mask(0)
    Image.fromarray(area(0, 0)[:-1]).save(root / "masks/p0/0.png")
    with pytest.raises(
        DataError, match=r"masks/p0/0.png is a mask of 37 x 28 pixels and its picture images/p0.png has 37"
    ):
        open_segments(root).mask(0)
