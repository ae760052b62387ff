"""Objects of mask files: one file each, and numbers at every pixel."""

import numpy as np
import pytest
import torch
from PIL import Image

from saccade.data.objects import mask_files
from saccade.data.objects.sets import object_splits, open_objects
from saccade.data.store import open_store
from saccade.errors import DataError

SIZE = (23, 31)


def numbers(seed: int, count: int) -> np.ndarray:
    """Rectangles that do not touch, numbered from 1."""
    found = np.zeros(SIZE, np.uint16)
    places = np.random.default_rng(seed).permutation(20)[:count]
    for number, place in enumerate(places, start=1):
        top, left = 1 + 5 * (place // 5), 1 + 6 * (place % 5)
        found[top : top + 3, left : left + 2 + place % 3] = number
    return found


def write_dsb(root, sets):
    """root/SPLIT/ID/images/ID.png and masks/*.png."""
    for split, pictures in sets.items():
        for name, found in pictures.items():
            here = root / split / name
            (here / "images").mkdir(parents=True)
            (here / "masks").mkdir()
            Image.fromarray(np.uint8(found[..., None].repeat(4, 2) * 9 | 3), "RGBA").save(
                here / "images" / f"{name}.png"
            )
            for number in range(1, found.max() + 1):
                Image.fromarray(np.uint8(found == number) * 255).save(here / "masks" / f"{name[::-1]}{number}.png")
    return root


def ids(n: int) -> list[str]:
    return [f"{i:02}ab{7 * i:04x}" for i in range(n)]


@pytest.fixture
def dsb(tmp_path):
    train = {name: numbers(i, 3 + 2 * i) for i, name in enumerate(ids(5))}
    return write_dsb(tmp_path / "dsb", {"stage1_train": train}), train


def test_every_mask_file_is_an_object_with_its_box_area_and_pixels(dsb):
    root, train = dsb
    data = open_objects(root)
    assert (data.classes, len(data), data.skipped) == (["object"], 5, {})
    for i, name in enumerate(data.names):
        found = train[name.split("/")[-3] if name.count("/") > 2 else name.split("/")[0]]
        objects = data.objects(i)
        assert len(objects) == found.max()
        expected = [np.uint8(found == n) for n in range(1, found.max() + 1)]
        masks = {mask.numpy().tobytes(): row for row, mask in enumerate(objects.masks)}
        for mask in expected:
            row = masks[mask.astype(bool).tobytes()]
            y, x = mask.nonzero()
            assert objects.boxes[row].tolist() == [x.min(), y.min(), x.max() + 1, y.max() + 1]
            assert objects.areas[row] == mask.sum()
        compact = data.objects(i, "planes")
        assert compact.masks is None
        assert torch.equal(compact.planes.masks(), objects.masks)
    assert any("a mask file an object" in note for note in data.notes)


def test_the_test_split_without_masks_is_left_alone(dsb):
    root, _ = dsb
    (root / "stage1_test" / "ffee" / "images").mkdir(parents=True)
    Image.new("RGB", SIZE[::-1]).save(root / "stage1_test" / "ffee" / "images" / "ffee.png")
    train, val = object_splits(root, val_fraction=0.4)
    assert (len(train), len(val)) == (3, 2)
    assert not any("ffee" in name for name in [*train.names, *val.names])


def test_a_mask_of_nothing_and_one_of_another_size_are_left_out_by_name(dsb):
    root, train = dsb
    name = ids(5)[4]
    masks = sorted((root / "stage1_train" / name / "masks").iterdir())
    Image.new("L", SIZE[::-1]).save(masks[-1])
    Image.new("L", (7, 5), 255).save(masks[-2])
    data = open_objects(root)
    place = next(i for i, each in enumerate(data.names) if name in each)
    assert len(data.objects(place)) == train[name].max() - 2
    assert len(data.skipped) == 2
    assert {"the mask of nothing" in why or "7 x 5 pixels" in why for why in data.skipped.values()} == {True}
    with pytest.raises(DataError, match=r"mask of nothing|7 x 5"):
        open_objects(root, on_error="fail")


def test_label_images_are_objects_where_that_is_certain(tmp_path):
    """Each number one region, other counts in every picture."""
    for i in range(9):
        for part in ("images", "masks"):
            (tmp_path / part).mkdir(exist_ok=True)
        found = numbers(i, 4 + i)
        Image.fromarray(np.uint8(found * 9)).save(tmp_path / "images" / f"{i}.png")
        Image.fromarray(found).save(tmp_path / "masks" / f"{i}.png")
    data = open_objects(tmp_path)
    for i in range(9):
        found = numbers(i, 4 + i)
        masks = data.objects(i).masks
        assert torch.equal(masks, torch.from_numpy(found[None] == np.arange(1, 5 + i)[:, None, None]))
    assert any("masks that number objects" in note for note in data.notes)


@pytest.mark.parametrize("listed", [False, True])
def test_few_label_images_are_objects_where_a_list_says_so(tmp_path, listed):
    for i in range(2):
        for part in ("images", "masks"):
            (tmp_path / part).mkdir(exist_ok=True)
        Image.new("RGB", SIZE[::-1], (i, 7, 9)).save(tmp_path / "images" / f"{i}.png")
        Image.fromarray(numbers(i, 5 + i)).save(tmp_path / "masks" / f"{i}.png")
    if not listed:
        with pytest.raises(DataError):
            open_objects(tmp_path)
        return
    (tmp_path / "classes.txt").write_text("background\nnucleus\n")
    data = open_objects(tmp_path)
    assert data.classes == ["nucleus"]
    assert [len(data.objects(i)) for i in range(2)] == [5, 6]


def test_masks_of_classes_are_no_objects(tmp_path):
    for i in range(9):
        for part in ("images", "masks"):
            (tmp_path / part).mkdir(exist_ok=True)
        classes = np.zeros(SIZE, np.uint8)
        classes[:9], classes[9:15, ::2], classes[3:5, 4:9] = 1, 2, 2
        Image.new("RGB", SIZE[::-1], (i, 7, 9)).save(tmp_path / "images" / f"{i}.png")
        Image.fromarray(classes).save(tmp_path / "masks" / f"{i}.png")
    assert mask_files.find_dataset(open_store(tmp_path)) is None
    with pytest.raises(DataError, match="no boxes"):
        open_objects(tmp_path)


def test_pictures_without_masks_are_no_set_of_objects(tmp_path):
    Image.new("RGB", SIZE[::-1]).save(tmp_path / "a.png")
    assert mask_files.find_dataset(open_store(tmp_path)) is None
