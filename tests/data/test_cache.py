"""Decoding a set once into memory, and decoding it ahead of the step."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from saccade.data import (
    Arrays,
    ImageFolder,
    Preprocess,
    Streamed,
    drop_unreadable,
    prepare,
    to_arrays,
)
from saccade.data.cache import prepare_readable, stream
from saccade.errors import DataError

from .conftest import noise

Make = Callable[..., Path]
COUNTS = {"cat": 11, "dog": 7, "eel": 13}


def test_arrays_hold_the_pictures(make_folder: Make):
    data = ImageFolder(make_folder(COUNTS))
    pictures, labels = to_arrays(data, Preprocess((5, 7)))
    assert (pictures.shape, pictures.dtype, labels.dtype) == ((31, 3, 5, 7), torch.uint8, torch.int64)
    assert labels.tolist() == data.labels.tolist()
    for i in (0, 12, 30):
        assert torch.equal(pictures[i], pixels(data[i][0].image))


def test_streamed_equals_arrays(make_folder: Make):
    data = ImageFolder(make_folder(COUNTS))
    need = 31 * 3 * 13 * 11
    held, streamed = (
        prepare(data, Preprocess((13, 11)), budget=need),
        prepare(data, Preprocess((13, 11)), budget=need - 1),
    )
    assert isinstance(held, Arrays)
    assert isinstance(streamed, Streamed)
    assert len(held) == len(streamed) == 31
    index = torch.randperm(31, generator=torch.Generator().manual_seed(0)).split(7)
    for some in [*index, [3, 5], index[0].tolist()]:
        assert torch.equal(held[some][0], streamed[some][0])
        assert torch.equal(held[some][1], streamed[some][1])
    assert torch.equal(held[3][0], streamed[3][0])
    assert held[3][1] == streamed[3][1]


@pytest.mark.parametrize("on_error", ["skip", "fail"])
def test_what_fits_is_held_and_the_rest_is_decoded_again(make_folder: Make, monkeypatch, on_error):
    folder, decoded = make_folder(COUNTS), []
    if on_error == "skip":
        spoil(folder)
    data = ImageFolder(folder, on_error=on_error)
    whole = prepare(ImageFolder(folder, on_error=on_error), Preprocess((13, 11)))
    part = prepare(data, Preprocess((13, 11)), budget=17 * 3 * 13 * 11 + 5)
    assert isinstance(part, Streamed)
    assert part.held is not None
    assert len(part.held) == (15 if on_error == "skip" else 17)  # those that cannot be read leave theirs
    assert part.held.pictures.untyped_storage().nbytes() <= 17 * 3 * 13 * 11
    assert len(part) == len(whole) == (29 if on_error == "skip" else 31)
    read = part.decode
    monkeypatch.setattr(part, "decode", lambda i: decoded.append(i) or read(i))
    order = torch.randperm(len(part), generator=torch.Generator().manual_seed(0))
    for _ in range(2):
        assert all(map(torch.equal, part[order], whole[order]))
    assert sorted(decoded) == sorted(2 * list(range(len(part.held), len(part))))
    assert all(torch.equal(part[i][0], whole[i][0]) for i in range(len(part)))


def test_items_of_any_kind_are_held_as_far_as_they_fit():
    class Numbers:
        names, on_error = [str(i) for i in range(11)], "skip"

        def __init__(self) -> None:
            self.skipped: dict[str, str] = {}

        def __len__(self) -> int:
            return 11

    def decode(index: int) -> np.ndarray:
        if index in (2, 9):
            raise DataError("unreadable")
        return np.full((2, 3, 5), index, np.uint8)

    for budget, held in ((0, 0), (29, 0), (4 * 30, 3), (10**6, 9)):
        data, kept = prepare_readable(Numbers(), "numbers", (2, 3, 5), decode, budget)
        assert kept == [0, 1, 3, 4, 5, 6, 7, 8, 10]
        values, places = data[range(9)]
        assert values[:, 0, 0, 0].tolist() == kept
        assert places.tolist() == list(range(9))
        assert len(data if isinstance(data, Arrays) else data.held) == held


def test_streamed_in_an_ordinary_loader(make_folder: Make):
    streamed = stream(ImageFolder(make_folder(COUNTS)), Preprocess((5, 7)))
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
        to_arrays(ImageFolder(folder), Preprocess((5, 7)))
    data = ImageFolder(folder, on_error="skip")
    pictures, labels = to_arrays(data, Preprocess((5, 7)))
    assert len(pictures) == len(labels) == 29
    assert labels.bincount().tolist() == [10, 6, 13]
    assert sorted(data.skipped) == ["cat/2.png", "dog/1.png"]
    assert "cut short" in data.skipped["dog/1.png"]
    assert torch.equal(pictures[1], pixels(data[2][0].image))

    with pytest.raises(DataError, match=r"dog/1\.png is damaged"):
        stream(ImageFolder(folder), Preprocess((5, 7)))[[0, 11]]


def test_a_streamed_set_leaves_unreadable_pictures_out_beforehand(make_folder: Make):
    folder = make_folder(COUNTS)
    spoil(folder)
    data = ImageFolder(folder, on_error="skip")
    streamed = prepare(data, Preprocess((5, 7)), budget=0)
    assert len(streamed) == 29
    assert sorted(data.skipped) == ["cat/2.png", "dog/1.png"]
    assert torch.equal(streamed[range(29)][0], to_arrays(ImageFolder(folder, on_error="skip"), Preprocess((5, 7)))[0])
    with pytest.raises(DataError, match=r"cat/2\.png is not a picture"):
        drop_unreadable(ImageFolder(folder))


def test_a_class_without_readable_pictures(make_folder: Make):
    folder = make_folder({"cat": 2, "dog": 1})
    (folder / "dog" / "1.png").write_bytes(b"x")
    with pytest.raises(DataError, match="no picture of class dog could be read"):
        to_arrays(ImageFolder(folder, on_error="skip"), Preprocess((5, 7)))


def test_a_draft_is_near(tmp_path: Path):
    """Only large JPEGs are decoded smaller, and then never below twice the size wanted."""
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        noise(97, 89).resize((970, 890), Image.Resampling.BICUBIC).save(tmp_path / name / "1.jpg", quality=95)
    data, fit = ImageFolder(tmp_path), Preprocess((31, 29))
    exact, draft = to_arrays(data, fit)[0].float(), to_arrays(data, fit, draft=True)[0].float()
    assert 0 < (exact - draft).abs().mean() < 6


def test_what_is_kept_is_what_a_model_is_given(make_folder: Make):
    data = ImageFolder(make_folder(COUNTS))
    fit = Preprocess((13, 11), "crop", mean=(0.3, 0.4, 0.5), std=(0.2, 0.3, 0.7))
    pictures, _ = to_arrays(data, fit)
    for i in (0, 12, 30):
        assert torch.equal(fit.normalize(pictures[i]), fit(data[i][0].image))


def pixels(image: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)
