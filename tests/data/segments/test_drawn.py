"""COCO's outlines as masks of classes."""

import json

import numpy as np
import pytest
from PIL import Image

from saccade.data.segments.sets import open_segments, segment_splits
from saccade.errors import DataError

SIZE = (41, 53)


def square(x: int, y: int, side: int) -> list[list[int]]:
    return [[x, y, x + side, y, x + side, y + side, x, y + side]]


def runs(mask: np.ndarray) -> dict:
    """Uncompressed run lengths, by columns, zeros first (COCO API, mask.py)."""
    flat = mask.T.ravel().tolist()
    counts, last = [0], 0
    for value in flat:
        if value != last:
            counts.append(0)
            last = value
        counts[-1] += 1
    return {"size": list(mask.shape), "counts": counts}


def write(root, rows, categories=((7, "cat"), (3, "dog")), pictures=1):
    (root / "images").mkdir(parents=True)
    images = []
    for i in range(pictures):
        Image.new("RGB", SIZE[::-1], (i, 9, 9)).save(root / "images" / f"{i}.png")
        images.append({"id": i, "file_name": f"{i}.png", "height": SIZE[0], "width": SIZE[1]})
    annotations = [
        {"id": i + 1, "image_id": 0, "iscrowd": 0, "bbox": [0, 0, 1, 1], **row} for i, row in enumerate(rows)
    ]
    data = {"images": images, "annotations": annotations, "categories": [{"id": i, "name": n} for i, n in categories]}
    (root / "annotations.json").write_text(json.dumps(data))
    return root


def test_smaller_objects_lie_on_larger_ones_and_later_on_earlier(tmp_path):
    ring = np.zeros(SIZE, np.uint8)
    ring[30:35, 30:39], ring[32, 33] = 1, 0
    rows = [
        {"category_id": 3, "segmentation": square(10, 10, 4)},  # within the next, and smaller
        {"category_id": 7, "segmentation": square(5, 5, 20)},
        {"category_id": 3, "segmentation": square(22, 5, 6)},  # of equal size, the next above
        {"category_id": 7, "segmentation": square(25, 5, 6)},
        {"category_id": 3, "segmentation": runs(ring)},
        {"category_id": 7, "segmentation": square(0, 28, 12), "iscrowd": 1},
        {"category_id": 3, "segmentation": square(2, 30, 3)},  # an object in the crowd
        {"category_id": 3, "bbox": [40, 2, 5.5, 7]},
    ]
    expected = np.zeros(SIZE, np.uint8)
    expected[28:40, 0:12] = 255
    expected[2:9, 40:46] = 255
    expected[5:25, 5:25] = 2
    expected[5:11, 22:28] = 1
    expected[5:11, 25:31] = 2
    expected[30:33, 2:5] = 1
    expected[10:14, 10:14] = 1
    expected[ring == 1] = 1
    dataset = open_segments(write(tmp_path / "set", rows))
    assert dataset.classes == ["background", "dog", "cat"]
    assert np.array_equal(dataset.mask(0), expected)
    assert "read as COCO: 1 picture, 3 classes" in dataset.notes[0]
    assert {"1 objects have no outline: their boxes are ignored", "crowd regions are ignored"} <= set(dataset.notes)
    assert np.array_equal(open_segments(tmp_path / "set" / "annotations.json").mask(0), expected)
    reordered = open_segments(tmp_path / "set", classes=["cat", "background", "bird", "dog"])
    assert np.array_equal(reordered.mask(0), np.array([1, 3, 0, *[255] * 253], np.uint8)[expected])


def test_a_category_called_background_is_the_background(tmp_path):
    rows = [{"category_id": 1, "segmentation": square(3, 3, 30)}, {"category_id": 0, "segmentation": square(5, 5, 6)}]
    dataset = open_segments(write(tmp_path / "set", rows, ((0, "background"), (1, "cat"))))
    assert dataset.classes == ["background", "cat"]
    assert dataset.mask(0)[:, 5].tolist() == [0] * 3 + [1] * 2 + [0] * 6 + [1] * 22 + [0] * 8


def test_hold_out(tmp_path):
    train, val = segment_splits(
        write(tmp_path / "set", [{"category_id": 3, "segmentation": square(1, 1, 9)}], pictures=5)
    )
    assert (len(train), len(val)) == (4, 1)


def test_unusable_input_is_refused(tmp_path):
    root = write(tmp_path / "set", [{"category_id": 3}])
    with pytest.raises(DataError, match=r"holds boxes only \(COCO\); a polygon or run lengths"):
        open_segments(root)
    for name, shape, message in (
        ("broken", [[1, 2, 3]], "annotation 1: polygon 1 of its segmentation has 3 numbers"),
        ("size", runs(np.zeros((3, 5), np.uint8)), "run lengths are of 5 x 3 pixels, its picture has 53 x 41"),
    ):
        root = write(tmp_path / name, [{"category_id": 3, "segmentation": shape}])
        with pytest.raises(DataError, match=rf"has no outline that can be read: images/0.png, .*{message}"):
            open_segments(root)


def test_a_bad_part_of_an_outline_is_left_out_and_counted(tmp_path):
    rows = [
        {"category_id": 3, "segmentation": [*square(2, 3, 9), [], [1, 2, 3, 4], *square(20, 20, 5)]},
        {"category_id": 7, "segmentation": [[5, 5, 6]], "bbox": [30, 2, 7, 6]},
        {"category_id": 7, "segmentation": square(32, 20, 7)},
    ]
    root = write(tmp_path / "set", rows)
    dataset = open_segments(root)
    expected = np.zeros(SIZE, np.uint8)
    expected[3:12, 2:11] = expected[20:25, 20:25] = 1
    expected[2:8, 30:37] = 255
    expected[20:27, 32:39] = 2
    assert np.array_equal(dataset.mask(0), expected)
    assert list(dataset.skipped) == ["images/0.png, annotation 1", "images/0.png, annotation 2"]
    assert "polygon 2 and 1 more of its segmentation has 0 numbers" in dataset.skipped["images/0.png, annotation 1"]
    with pytest.raises(DataError, match="annotation 1: polygon 2 and 1 more"):
        open_segments(root, on_error="fail")
