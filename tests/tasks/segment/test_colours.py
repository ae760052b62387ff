"""Colours of classes, and index masks that carry them."""

import io
from itertools import combinations

import numpy as np
import pytest
import torch
from PIL import Image

from saccade.data.segments import IGNORE_INDEX
from saccade.errors import DataError
from saccade.tasks.drawing import PALETTE
from saccade.tasks.segment.colours import _lab, class_colours, index_png, resolve_colours


def apart(colours):
    """The least difference of any two in CIELAB."""
    return min(np.linalg.norm(a - b) for a, b in combinations(_lab(np.array(colours)), 2))


def test_colours_differ_however_many():
    assert apart(class_colours(21)) > 20
    assert apart(class_colours(255)) > 10  # five times what can just be seen
    assert tuple(class_colours(12)) == PALETTE
    assert class_colours(30) == class_colours(255)[:30]
    assert class_colours(0) == []


def test_colours_are_seen_on_black_and_on_white():
    lightness = _lab(np.array(class_colours(255)))[:, 0]
    assert lightness.min() > 40
    assert lightness.max() < 93


@pytest.mark.parametrize(
    ("rgb", "lab"),
    [
        ((255, 255, 255), (100, 0, 0)),
        ((0, 0, 0), (0, 0, 0)),
        ((255, 0, 0), (53.24, 80.09, 67.20)),
        ((0, 0, 255), (32.30, 79.19, -107.86)),
        ((0, 255, 0), (87.73, -86.18, 83.18)),
        ((10, 10, 10), (2.74, 0, 0)),
    ],
)
def test_lab_as_published(rgb, lab):
    assert _lab(np.array([rgb]))[0] == pytest.approx(lab, abs=0.06)


@pytest.mark.parametrize("colours", [None, [(1, 2, 3), (255, 0, 9)], class_colours(255)])
def test_an_index_mask_keeps_its_indices_in_eight_bits(colours):
    mask = torch.randint(0, 2, (13, 17), dtype=torch.uint8)
    mask[3, 5] = IGNORE_INDEX
    file = io.BytesIO()
    index_png(mask, colours).save(file, "PNG")
    assert file.getvalue()[24:26] == b"\x08\x03"  # eight bits, palette
    read = Image.open(file)
    assert (np.asarray(read) == mask.numpy()).all()
    seen = np.asarray(read.convert("RGB"))
    assert tuple(seen[3, 5]) == (224, 224, 192)  # VOC's of ignored pixels
    where = tuple(axis[0] for axis in (mask == 1).nonzero(as_tuple=True))
    assert tuple(seen[where]) == (colours[1] if colours else (128, 0, 0))


@pytest.mark.parametrize("colour", [(1, 2), (1, 2, 256), (-1, 0, 0), (0.5, 0, 0), "red"])
def test_invalid_colours_are_refused(colour):
    with pytest.raises(DataError, match=r"a colour is .*; expected red, green and blue"):
        index_png(torch.zeros(2, 3, dtype=torch.uint8), [colour])
    with pytest.raises(DataError, match="a colour is "):
        resolve_colours(["a"], [colour])


def test_numbers_of_colours():
    with pytest.raises(DataError, match="1 colours for 2 classes"):
        resolve_colours(["a", "b"], [(1, 2, 3)])
    with pytest.raises(DataError, match="256 classes to draw"):
        resolve_colours([str(i) for i in range(256)], None)
    with pytest.raises(DataError, match="256 colours of classes"):
        index_png(torch.zeros(2, 3, dtype=torch.uint8), [(1, 2, 3)] * 256)
    assert resolve_colours(["a"], [np.array([1, 2, 3], np.uint8)]) == [(1, 2, 3)]
