"""Outlines in the forms that tools write, drawn exactly."""

import json

import numpy as np
import pytest
from faster_coco_eval.core import mask as coder

from saccade.data.doctor import examine, write_clean
from saccade.data.objects.outlines import decode_counts, draw_outline, outline_box, parse_outline, scale_outline

from .annotated_sets import coco, write_coco

SIZE = (53, 71)  # of the first picture
PIXELS = 53 * 71
CORNERS = [[3, 5], [20, 5], [20, 31], [3, 31]]
FLAT = [3, 5, 20, 5, 20, 31, 3, 31]
HOLE = [[7, 9], [12, 9], [12, 17], [7, 17]]


def random_mask(seed: int, share: float) -> np.ndarray:
    return np.asfortranarray(np.random.default_rng(seed).random(SIZE) < share, dtype=np.uint8)


def runs(mask: np.ndarray) -> list[int]:
    flat = mask.ravel(order="F")
    found = np.diff(np.concatenate([[0], np.flatnonzero(np.diff(flat)) + 1, [flat.size]])).tolist()
    return found if not flat[0] else [0, *found]


def rectangle(left: int, top: int, right: int, bottom: int) -> np.ndarray:
    mask = np.zeros(SIZE, np.uint8)
    mask[top:bottom, left:right] = 1
    return mask


TEXT = coder.encode(np.asfortranarray(rectangle(3, 5, 20, 31)))["counts"].decode()


@pytest.mark.parametrize(
    "value",
    [
        [FLAT],
        FLAT,
        CORNERS,
        [CORNERS],
        [[str(value) for value in FLAT]],
        {"exterior": CORNERS, "interiors": []},
        [{"exterior": CORNERS}],
        {"size": list(SIZE), "counts": runs(rectangle(3, 5, 20, 31))},
        {"size": [53.0, 71.0], "counts": [float(value) for value in runs(rectangle(3, 5, 20, 31))]},
        {"size": list(SIZE), "counts": TEXT},
        [{"size": list(SIZE), "counts": TEXT}],
        {"size": list(SIZE), "counts": str(TEXT.encode())},
    ],
)
def test_every_form_is_the_same_rectangle(value):
    outline, fault = parse_outline(value, SIZE)
    assert fault == ""
    assert np.array_equal(draw_outline(outline, SIZE), rectangle(3, 5, 20, 31))
    assert outline_box(outline) == (3, 5, 20, 31)


def test_holes_and_islands_in_them():
    lake = {"exterior": CORNERS, "interiors": [HOLE]}
    expected = rectangle(3, 5, 20, 31) - rectangle(7, 9, 12, 17)
    assert np.array_equal(draw_outline(parse_outline(lake, SIZE)[0], SIZE), expected)
    island = [9, 11, 11, 11, 11, 14, 9, 14]
    outline, fault = parse_outline([lake, island], SIZE)
    assert (fault, outline_box(outline)) == ("", (3, 5, 20, 31))
    assert np.array_equal(draw_outline(outline, SIZE), expected + rectangle(9, 11, 11, 14))
    half = scale_outline(outline, 0.5, 2)
    assert outline_box(half) == (1.5, 10, 10, 62)
    assert half[0].interiors == [[3.5, 18, 6, 18, 6, 34, 3.5, 34]]


@pytest.mark.parametrize("nothing", [None, [], "", {}])
def test_no_outline(nothing):
    assert parse_outline(nothing, SIZE) == (None, "")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([[1, 1, 9, 1]], "polygon 1 of its segmentation has 4 numbers"),
        ([[1, 1, 9, 1, 9, 9, 5]], "has 7 numbers"),
        ([[1, 1, 9, 1, 9, 9], 3], "polygon 2 of its segmentation is 3"),
        ([[1, 1, float("nan"), 1, 9, 9]], "not a finite number"),
        ([[1, 1, 10**400, 1, 9, 9]], "not a finite number"),
        ([[4, 1, 4, 8, 4, 2]], "has no area"),
        ("x", "polygons or run lengths expected"),
        (7, "polygons or run lengths expected"),
        ({"exterior": [[1, 2]]}, "has 1 numbers"),
        ({"exterior": CORNERS, "interiors": [[3]]}, "has 1 numbers"),
        ({"exterior": CORNERS, "interiors": 7}, "has holes 7"),
        ({"size": [53, 71], "counts": [3000, 762]}, "of 3762 pixels in all; 71 x 53 expected"),
        ({"size": [53, 71], "counts": [4000, PIXELS - 4000]}, "cannot be read"),
        ({"size": [53, 71], "counts": [10**4000, 1]}, "cannot be read"),
        ({"size": [53, 71], "counts": [PIXELS]}, "mark no pixel"),
        ({"size": [71, 53], "counts": [0, PIXELS]}, "of 53 x 71 pixels, its picture has 71 x 53"),
        ({"size": "big", "counts": [PIXELS]}, r"of size big; [rows, columns] expected"),
        ({"size": [1e9, 1e9], "counts": [0, 10**18]}, "of size"),
        ({"size": [53, 71], "counts": "?"}, "of 15 pixels in all"),
        ({"size": [53, 71], "counts": "b"}, "cannot be read"),
        ({"size": [53, 71], "counts": "b'\\"}, "cannot be read"),
        ({"size": [53, 71], "counts": "\x7f"}, "cannot be read"),
        ({"size": [53, 71], "counts": "P" * 99 + "0"}, "cannot be read"),
        ({"size": [53, 71]}, "cannot be read"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, value, words):
    outline, fault = parse_outline(value, SIZE)
    assert words in fault
    assert outline is None or words.startswith("polygon 2")
    data = coco()
    data["images"], data["annotations"] = data["images"][:1], data["annotations"][:1]
    data["annotations"][0]["segmentation"] = value
    examined = examine(write_coco(tmp_path / "set", data))
    assert any(
        words in place for each in examined.report.findings if each.kind == "mask broken" for place in each.places
    )
    assert write_clean(examined, tmp_path / "out")["mask broken: left out"] == 1
    (annotation,) = json.loads((tmp_path / "out" / "annotations" / "instances.json").read_text())["annotations"]
    assert "segmentation" not in annotation


@pytest.mark.parametrize("share", [0.001, 0.05, 0.5, 0.999, 1.0])
def test_text_gives_the_run_lengths_that_drew_it(share):
    mask = random_mask(7, share)
    text = coder.encode(mask)["counts"].decode()
    assert decode_counts(text).tolist() == runs(mask)
    outline, fault = parse_outline({"size": list(SIZE), "counts": text}, SIZE)
    assert fault == ""
    rows, columns = mask.any(1).nonzero()[0], mask.any(0).nonzero()[0]
    assert outline_box(outline) == (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)


def test_what_lies_outside_of_the_picture_is_cut_off():
    """Not moved to its border, which would bend the edges."""
    height, width = 100, 100
    y, x = np.mgrid[:height, :width] + 0.5

    def inside(polygon):
        return draw_outline([polygon], (height, width)).astype(bool)

    assert inside([50, -50, 150, 50, 50, 150, -50, 50]).all(), "a square on its corner around the picture"
    corner = inside([-100, 50, 50, -100, 50, 50])
    assert (corner ^ ((x < 50) & (y < 50) & (x + y > -50))).sum() <= 50
    # A triangle from (0, 50) with its right side far outside of the window that polygons are clipped to.
    far = inside([0, 50, 2e6, 50 - 1e6, 2e6, 50 + 1e6])
    assert (far ^ (abs(y - 50) < x / 2)).sum() <= 200, "its edges are as steep as before"
    assert not inside([150, 10, 900, 10, 900, 80]).any()
    assert not inside([1e9, 1e9, 2e9, 1e9, 2e9, 2e9]).any()


@pytest.mark.parametrize("seed", range(20))
def test_a_polygon_cut_by_the_border_is_that_of_a_larger_picture(seed):
    rng = np.random.default_rng(seed)
    height, width, margin = *rng.integers(20, 60, 2).tolist(), 400
    points = rng.uniform(-5, 6, (int(rng.integers(3, 8)), 2)) * [width, height]
    found = draw_outline([points.ravel().tolist()], (height, width))
    whole = draw_outline([(points + margin).ravel().tolist()], (height + 2 * margin, width + 2 * margin))
    part = whole[margin : margin + height, margin : margin + width]
    assert (found != part).mean() < 0.08, "but for pixels along the edges"


def test_a_far_corner_takes_no_memory():
    outline, _ = parse_outline([[0, 0, 1e12, 0, 1e12, 1e12, 0, 1e12]], SIZE)
    assert draw_outline(outline, SIZE).all()
