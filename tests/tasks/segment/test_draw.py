"""Pictures of what a segmenter says, and of what it confuses."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageChops

from saccade.data.segments import IGNORE_INDEX
from saccade.errors import DataError
from saccade.tasks.drawing import PALETTE
from saccade.tasks.segment import draw as segment_draw
from saccade.tasks.segment.draw import class_shares, draw_segment_confusion, draw_segmentation, percent

CLASSES = ["road", "sky", "사람", "car"]
GREY = (120, 130, 140)


def plain(width=640, height=480, colour=GREY):
    return Image.new("RGB", (width, height), colour)


def pixels(picture):
    return np.asarray(picture).astype(int)


def halves(width=640, height=480, left=0, right=1):
    mask = torch.full((height, width), left, dtype=torch.uint8)
    mask[:, width // 2 :] = right
    return mask


@pytest.mark.parametrize("opacity", [0.0, 0.3, 1.0])
def test_regions_are_tinted_with_their_class(opacity):
    drawn = pixels(draw_segmentation(plain(), halves(), CLASSES, opacity=opacity))
    for x, index in ((100, 0), (500, 1)):
        tint = opacity * np.array(PALETTE[index]) + (1 - opacity) * np.array(GREY)
        assert np.abs(drawn[200, x] - tint).max() <= 2


@pytest.mark.parametrize("ground", [(0, 0, 0), (255, 255, 255), PALETTE[0], PALETTE[1]])
def test_a_border_is_seen_on_any_picture(ground):
    """Dark, with the classes' full colours on both sides; and the edge of the picture is no border."""
    drawn = pixels(draw_segmentation(plain(colour=ground), halves(), CLASSES))
    row = drawn[200]
    assert (row[319:321] < 90).all()
    assert tuple(row[318]) == PALETTE[0]
    assert tuple(row[321]) == PALETTE[1]
    assert (row[317] == row[0]).all()
    assert (drawn[0, :318] == drawn[200, :318]).all()


def test_the_background_is_left_as_it_is_unless_it_has_a_colour():
    names = ["Background", "cat"]
    drawn = pixels(draw_segmentation(plain(), halves(), names))
    assert (drawn[:480, :319] == GREY).all()
    assert (drawn[:480, 319:321] < 90).all()  # the line is on both sides all the same
    assert (drawn[:480, 322:] != GREY).any(axis=2).all()
    coloured = pixels(draw_segmentation(plain(), halves(), names, [(0, 200, 0), (200, 0, 0)], opacity=1))
    assert (coloured[:480, :318] == (0, 200, 0)).all()


def test_ignored_pixels_are_striped():
    drawn = pixels(draw_segmentation(plain(), halves(right=IGNORE_INDEX), CLASSES, opacity=1))
    assert {tuple(pixel) for pixel in drawn[10, 330:]} == {(70, 70, 70), (150, 150, 150)}


@pytest.mark.parametrize("size", [(1, 1), (7, 3), (128, 97), (640, 480), (2500, 1201), (30, 700)])
def test_small_pictures_are_drawn_larger_and_large_ones_as_they_are(size):
    width, height = size
    bare, full = (draw_segmentation(plain(*size), halves(*size), CLASSES, legend=legend) for legend in (False, True))
    assert bare.width * height == bare.height * width
    assert max(bare.size) >= 480
    if max(size) >= 640:
        assert bare.size == size
    assert full.height > bare.height
    assert full.width >= bare.width
    assert ImageChops.difference(full.crop((0, 0, *bare.size)), bare).getbbox() is None


def test_borders_of_an_enlarged_picture_lie_where_they_are():
    drawn = pixels(draw_segmentation(plain(64, 48), halves(64, 48), CLASSES, legend=False))
    assert (drawn[100, 319:321] < 90).all()
    assert tuple(drawn[100, 318]) == PALETTE[0]


def test_the_legend_names_what_is_there(monkeypatch):
    written = []

    def write(lines, *rest):
        written.append(list(lines))
        return draw_legend(lines, *rest)

    draw_legend = segment_draw.draw_legend
    monkeypatch.setattr(segment_draw, "draw_legend", write)
    mask = halves(left=3)
    mask[0], mask[1, 0] = IGNORE_INDEX, 2
    draw_segmentation(plain(), mask, CLASSES)
    tenth = 100 / 480
    assert written[-1] == [
        (1, f"sky  {50 - tenth / 2:.1f}%"), (3, f"car  {50 - tenth / 2:.1f}%"), (2, "사람  <0.1%"),
        (IGNORE_INDEX, f"(ignored)  {tenth:.1f}%"),
    ]  # fmt: skip
    many = torch.arange(200, dtype=torch.uint8)[None].repeat(100, 1)
    draw_segmentation(plain(200, 100), many, [f"class {i}" for i in range(200)])
    assert len(written[-1]) == segment_draw.MAX_LEGEND + 1
    assert written[-1][-1][1] == f"{200 - segment_draw.MAX_LEGEND} more  {(200 - 24) / 2:.1f}%"


def test_shares():
    counts = [0] * 256
    counts[1], counts[3], counts[IGNORE_INDEX] = 1, 5, 4
    assert class_shares(counts, CLASSES) == [(3, "car", 0.5), (1, "sky", 0.1), (IGNORE_INDEX, "(ignored)", 0.4)]
    assert [percent(share) for share in (1, 0.1234, 0.0005, 0.0001)] == ["100.0%", "12.3%", "0.1%", "<0.1%"]


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK", "I;16"])
def test_pictures_of_other_modes_and_as_they_were_given(mode):
    given = Image.new(mode, (64, 48))
    copy = given.copy()
    assert draw_segmentation(given, halves(64, 48), CLASSES).mode == "RGB"
    assert given.mode == mode
    assert given.tobytes() == copy.tobytes()


def test_the_mask_given_stays_as_it_is():
    mask = halves()
    draw_segmentation(plain(), mask, CLASSES)
    assert (mask == halves()).all()


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (halves(480, 640), "the mask is 480 x 640 uint8; expected 640 x 480 uint8"),
        (halves().long(), "the mask is 640 x 480 int64"),
        (halves()[None], "the mask is 640 x 480 x 1 uint8"),
        (halves(right=4), "the mask holds 4; expected classes 0 to 3, or 255"),
    ],
)
def test_masks_that_cannot_be_drawn(mask, message):
    with pytest.raises(DataError, match=message):
        draw_segmentation(plain(), mask, CLASSES)
    with pytest.raises(DataError, match="2 colours for 4 classes"):
        draw_segmentation(plain(), halves(), CLASSES, [(1, 2, 3)] * 2)


def drawn_with(monkeypatch, matrix, classes, **more):
    """What `draw_segment_confusion` hands to the drawing of any confusion: names, numbers, note."""
    seen = []

    def draw(matrix, labels, columns=None, share=None, note=""):
        seen.append((list(labels), share, note))
        return original(matrix, labels, columns, share, note)

    original = segment_draw.draw_confusion
    monkeypatch.setattr(segment_draw, "draw_confusion", draw)
    draw_segment_confusion(matrix, classes, **more)
    return seen[0]


def test_confusion_is_in_percent_of_the_row(monkeypatch):
    matrix = torch.tensor([[6, 2, 0, 0], [0, 5, 0, 0], [0, 0, 0, 0], [3, 0, 0, 1]])
    names, share, note = drawn_with(monkeypatch, matrix, CLASSES)
    assert names == CLASSES
    assert share.tolist() == [[0.75, 0.25, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0], [0.75, 0, 0, 0.25]]
    assert "not shown" not in note


def test_of_many_classes_the_most_confused_are_shown(monkeypatch):
    matrix = 100 * torch.eye(150, dtype=torch.int64)
    matrix[7, 90], matrix[140, 7], matrix[3, 149], matrix[20, 21] = 900, 400, 300, 1
    names, share, note = drawn_with(monkeypatch, matrix, [f"c{i}" for i in range(150)], most=5)
    assert names == ["c3", "c7", "c90", "c140", "c149"]
    assert share[1].tolist() == pytest.approx([0, 0.1, 0.9, 0, 0])
    assert "the 5 most confused of 150 classes" in note


def test_of_many_classes_of_which_none_is_confused(monkeypatch):
    names, _, note = drawn_with(monkeypatch, torch.eye(50, dtype=torch.int64), [f"c{i}" for i in range(50)], most=3)
    assert names == ["c0", "c1", "c2"]
    assert "no class is confused with another\nthe first 3 of 50 classes" in note
