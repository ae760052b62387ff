"""Masks are placed where their pictures do; what cannot be read is left out; streams give what arrays give."""

import numpy as np
import pytest
import torch
from PIL import Image

from saccade.data import Preprocess, Streamed
from saccade.data.preprocess import Placement
from saccade.data.segments import IGNORE_INDEX
from saccade.data.segments.arrays import to_segment_arrays
from saccade.data.segments.sets import open_segments
from saccade.errors import DataError

from .masked_sets import NAMES, SIZES, coloured, grey, indices, write

FIT = Preprocess((29, 37), resize="letterbox")


def slow(mask: np.ndarray, fit: Preprocess) -> np.ndarray:
    """From the definition: each pixel of the result looks up the picture's pixel under its centre."""
    place = fit.placement(*mask.shape)
    out = np.full(fit.size, 255, np.uint8)
    for row in range(fit.size[0]):
        for column in range(fit.size[1]):
            y = int(np.floor((row + 0.5 - place.offset_y) / place.scale_y))
            x = int(np.floor((column + 0.5 - place.offset_x) / place.scale_x))
            if 0 <= y < mask.shape[0] and 0 <= x < mask.shape[1]:
                out[row, column] = mask[y, x]
    return out


@pytest.mark.parametrize("resize", ["letterbox", "stretch", "crop"])
@pytest.mark.parametrize("budget", [1 << 30, 100])
def test_arrays(tmp_path, resize, budget):
    dataset = open_segments(write(tmp_path / "set"))
    fit = Preprocess((29, 37), resize=resize)
    data = to_segment_arrays(dataset, fit, budget)
    assert isinstance(data, Streamed) == (budget == 100)
    assert (len(data), data.names) == (5, dataset.names)
    pictures, masks = data[range(5)]
    assert (pictures.shape, pictures.dtype) == ((5, 3, 29, 37), torch.uint8)
    assert (masks.shape, masks.dtype) == ((5, 29, 37), torch.uint8)
    for i in range(5):
        assert np.array_equal(masks[i], slow(indices(i), fit))
        assert np.array_equal(pictures[i].permute(1, 2, 0), fit.resize_and_crop(dataset.picture(i).image))
        assert all(torch.equal(a, b) for a, b in zip(data[i], (pictures[i], masks[i]), strict=True))
    assert torch.equal(data[torch.tensor([3, 1])][1], masks[[3, 1]])


def test_padding_is_ignored_and_nothing_else(tmp_path):
    dataset = open_segments(write(tmp_path / "set", masks=lambda i: indices(i, ignored=False)))
    for i in range(5):
        _, mask = to_segment_arrays(dataset, FIT)[i]
        height, width = SIZES[i]
        factor = min(29 / height, 37 / width)
        assert int((mask != 255).sum()) == round(height * factor) * round(width * factor)


def test_an_exact_enlargement_repeats_pixels():
    mask = torch.arange(6, dtype=torch.uint8).view(2, 3)
    found = Placement(2.0, 2.0, 1.0, 0.0).masks_to_model(mask, (4, 8), IGNORE_INDEX)
    assert found.tolist() == [[255, 0, 0, 1, 1, 2, 2, 255]] * 2 + [[255, 3, 3, 4, 4, 5, 5, 255]] * 2


@pytest.mark.parametrize("budget", [1 << 30, 100])
def test_unreadable_pictures_are_left_out(tmp_path, budget):
    root = write(tmp_path / "set")
    grey(indices(1)[1:]).save(root / "masks" / "b.png")
    (root / "images" / "d.png").write_bytes(b"nothing")
    dataset = open_segments(root)
    data = to_segment_arrays(dataset, FIT, budget)
    assert data.names == ["images/a.png", "images/c.png", "images/e.png"]
    assert sorted(dataset.skipped) == ["images/b.png", "images/d.png"]
    assert np.array_equal(data[[0, 1, 2]][1][2], slow(indices(4), FIT))
    with pytest.raises(DataError, match=r"masks/b.png is a mask of|images/d.png is not a picture"):
        to_segment_arrays(open_segments(root, on_error="fail"), FIT, budget)
    for i, name in enumerate("abcde"):
        grey(indices(i) + 50).save(root / "masks" / f"{name}.png")
    with pytest.raises(DataError, match=r"no picture of .*set could be read: masks/a.png has the values"):
        to_segment_arrays(open_segments(root), FIT, budget)


def test_a_set_whose_masks_have_other_sizes(tmp_path):
    dataset = open_segments(write(tmp_path / "set"))
    dataset.picture = lambda index: type("P", (), {"image": Image.new("RGB", (3, 5))})()
    dataset.on_error = "fail"
    with pytest.raises(DataError, match=r"has 3 x 5 pixels and its mask \d+ x \d+; the same expected"):
        to_segment_arrays(dataset, FIT)


def test_a_set_with_nothing_to_learn_from_is_refused(tmp_path):
    blank = open_segments(write(tmp_path / "blank", masks=lambda i: indices(i, ignored=False) * 0))
    with pytest.raises(DataError, match=r"every pixel of .*blank is 'sky' \(5 masks\): there is nothing to tell apart"):
        to_segment_arrays(blank, Preprocess((11, 13), "letterbox"))


def test_what_is_doubtful_about_a_set_is_noted(tmp_path):
    dataset = open_segments(write(tmp_path / "set", masks=lambda i: indices(i, 2), classes="sky\nroad\ncar\n"))
    for i, name in enumerate(NAMES):
        coloured(indices(i, 2)).save(tmp_path / "set" / "images" / f"{name}.png")
    to_segment_arrays(dataset, Preprocess((11, 13), "letterbox"))
    assert any("no pixel is of car (1 of 3 classes)" in note for note in dataset.notes)
    assert any("images/a.png have one colour for each class: they show masks" in note for note in dataset.notes)


def test_inverted_masks_are_noted(tmp_path):
    def inverted(i: int) -> np.ndarray:
        mask = np.ones(SIZES[i], np.uint8)
        mask[1:-1, 2:5] = 0
        return mask

    dataset = open_segments(write(tmp_path / "set", masks=inverted, classes="background\ncell\n"))
    to_segment_arrays(dataset, Preprocess((11, 13), "letterbox"))
    assert dataset.notes[-1].endswith("'cell' lies along the sides of most pictures: are the masks inverted?")
