"""Decoding a set once into memory, and decoding it ahead of the step."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from saccade.data import Arrays, ImageFolder, Streamed, prepare, readable, resize_image, to_arrays, to_tensor
from saccade.errors import DataError

from .conftest import noise

Make = Callable[..., Path]
COUNTS = {"cat": 11, "dog": 7, "eel": 13}


def test_arrays_hold_the_pictures(make_folder: Make):
    data = ImageFolder(make_folder(COUNTS))
    pictures, labels = to_arrays(data, (5, 7))
    assert (pictures.shape, pictures.dtype, labels.dtype) == ((31, 3, 5, 7), torch.uint8, torch.int64)
    assert labels.tolist() == data.labels.tolist()
    for i in (0, 12, 30):
        assert torch.equal(pictures[i], to_tensor(data[i][0].image))


def test_streamed_equals_arrays(make_folder: Make):
    data = ImageFolder(make_folder(COUNTS))
    need = 31 * 3 * 13 * 11
    held, streamed = prepare(data, (13, 11), budget=need), prepare(data, (13, 11), budget=need - 1)
    assert isinstance(held, Arrays)
    assert isinstance(streamed, Streamed)
    assert len(held) == len(streamed) == 31
    index = torch.randperm(31, generator=torch.Generator().manual_seed(0)).split(7)
    for some in [*index, [3, 5], index[0].tolist()]:
        assert torch.equal(held[some][0], streamed[some][0])
        assert torch.equal(held[some][1], streamed[some][1])
    assert torch.equal(held[3][0], streamed[3][0])
    assert held[3][1] == streamed[3][1]


def test_streamed_in_an_ordinary_loader(make_folder: Make):
    streamed = Streamed(ImageFolder(make_folder(COUNTS)), (5, 7))
    load = torch.utils.data.DataLoader
    whole = torch.utils.data.BatchSampler(range(31), 4, drop_last=False)  # asks for a batch at a time
    for loader in (load(streamed, batch_size=4), load(streamed, batch_size=None, sampler=whole)):
        pictures, labels = next(iter(loader))
        assert (pictures.shape, labels.shape) == ((4, 3, 5, 7), (4,))


def spoil(folder: Path) -> None:
    (folder / "cat" / "2.png").write_bytes(b"not a picture")
    (folder / "dog" / "1.png").write_bytes((folder / "dog" / "1.png").read_bytes()[:60])


def test_unreadable_pictures_fail_or_are_skipped_and_named(make_folder: Make):
    folder = make_folder(COUNTS)
    spoil(folder)
    with pytest.raises(DataError, match=r"cat/2\.png is not a picture"):
        to_arrays(ImageFolder(folder), (5, 7))
    data = ImageFolder(folder, bad="skip")
    pictures, labels = to_arrays(data, (5, 7))
    assert len(pictures) == len(labels) == 29
    assert labels.bincount().tolist() == [10, 6, 13]
    assert sorted(data.skipped) == ["cat/2.png", "dog/1.png"]
    assert "cut short" in data.skipped["dog/1.png"]
    assert torch.equal(pictures[1], to_tensor(data[2][0].image))

    with pytest.raises(DataError, match=r"dog/1\.png is damaged"):
        Streamed(ImageFolder(folder), (5, 7))[[0, 11]]


def test_a_streamed_set_leaves_unreadable_pictures_out_beforehand(make_folder: Make):
    folder = make_folder(COUNTS)
    spoil(folder)
    data = ImageFolder(folder, bad="skip")
    streamed = prepare(data, (5, 7), budget=0)
    assert len(streamed) == 29
    assert sorted(data.skipped) == ["cat/2.png", "dog/1.png"]
    assert torch.equal(streamed[range(29)][0], to_arrays(ImageFolder(folder, bad="skip"), (5, 7))[0])
    with pytest.raises(DataError, match=r"cat/2\.png is not a picture"):
        readable(ImageFolder(folder))


def test_a_class_without_readable_pictures(make_folder: Make):
    folder = make_folder({"cat": 2, "dog": 1})
    (folder / "dog" / "1.png").write_bytes(b"x")
    with pytest.raises(DataError, match="no picture of class dog could be read"):
        to_arrays(ImageFolder(folder, bad="skip"), (5, 7))


def test_resize_image():
    image = noise(40, 20)
    assert resize_image(image, (40, 20)) is image
    stretched = resize_image(image, (10, 10), "stretch", "bilinear")
    assert list(stretched.getdata()) == list(image.resize((10, 10), Image.Resampling.BILINEAR).getdata())
    middle = resize_image(image, (20, 20), "crop")
    np.testing.assert_array_equal(np.asarray(middle), np.asarray(image.crop((0, 10, 20, 30))))
    assert resize_image(noise(1, 1), (3, 5), "crop").size == (5, 3)


def test_antialiasing():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    small = np.asarray(resize_image(Image.fromarray(stripes), (8, 8), filter="bilinear"))
    assert abs(int(small.min()) - 127) < 9
    assert abs(int(small.max()) - 127) < 9
