"""Broken segmentations are found where drawing them fails, and left out of a clean copy."""

import json
import re

import numpy as np
import pytest
from faster_coco_eval.core import mask as coder

from saccade.data.doctor import examine, write_clean
from saccade.data.doctor.coco_masks import decode_counts, segmentation_error
from saccade.data.objects.sets import open_objects
from saccade.errors import DataError

from ..objects.annotated_sets import coco, write_coco

SIZE = (53, 71)  # of the first picture
PIXELS = 53 * 71


def with_shape(root, shape) -> None:
    """A set of one picture with one object, which has the segmentation."""
    data = coco()
    data["images"], data["annotations"] = data["images"][:1], data["annotations"][:1]
    data["annotations"][0]["segmentation"] = shape
    write_coco(root, data)


def drawable(root) -> bool:
    try:
        return open_objects(root, on_error="fail").objects(0).masks is not None
    except DataError:
        return False


def random_mask(seed: int, share: float) -> np.ndarray:
    return np.asfortranarray(np.random.default_rng(seed).random(SIZE) < share, dtype=np.uint8)


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ([[1, 1, 9, 1, 9, 9.5]], ""),
        ([[1, 1, 9, 1, 9, 9], [0, 0, 500, 0, 2, 3, 1, 1]], ""),
        ([[1, 1, 9, 1]], "three corners or more"),
        ([[1, 1, 9, 1, 9, 9], 3], "three corners or more"),
        ([[1, 1, float("nan"), 1, 9, 9]], "not a finite number"),
        ([[1, 1, 10**400, 1, 9, 9]], "not a finite number"),
        ("x", "polygons or run lengths expected"),
        ({"size": [53, 71], "counts": [PIXELS]}, ""),
        ({"size": [53, 71], "counts": [3000, 763]}, ""),
        ({"size": [53, 71], "counts": [3000, 762]}, "of 3762 pixels in all; 71 x 53 expected"),
        ({"size": [53, 71], "counts": [3000, 764]}, "of 3764 pixels in all"),
        ({"size": [53, 71], "counts": [4000, PIXELS - 4000]}, "cannot be read"),
        ({"size": [53, 71], "counts": [10**4000, 1]}, "cannot be read"),
        ({"size": [71, 53], "counts": [PIXELS]}, "of 53 x 71 pixels, its picture has 71 x 53"),
        ({"size": "big", "counts": [PIXELS]}, r"of size big; \[rows, columns\] expected"),
        ({"size": [53, 71], "counts": "?"}, "of 15 pixels in all"),
        ({"size": [53, 71], "counts": "b"}, "cannot be read"),
        ({"size": [53, 71], "counts": "\x7f"}, "cannot be read"),
        ({"size": [53, 71], "counts": coder.encode(random_mask(0, 0.5))["counts"].decode()}, ""),
        ({"size": [53, 71]}, "cannot be read"),
    ],
)
def test_the_doctor_and_the_reader_agree(tmp_path, shape, words):
    root = tmp_path / "set"
    with_shape(root, shape)
    assert drawable(root) == (not words)
    examined = examine(root)
    places = [place for each in examined.report.findings if each.kind == "mask broken" for place in each.places]
    assert len(places) == bool(words)
    assert all(re.search(words, place) for place in places)
    changes = write_clean(examined, tmp_path / "out")
    assert ("mask broken: left out" in changes) is bool(words)
    assert examine(tmp_path / "out").report.sound
    (annotation,) = json.loads((tmp_path / "out" / "annotations" / "instances.json").read_text())["annotations"]
    assert ("segmentation" in annotation) == (not words)


def test_an_odd_number_of_coordinates():
    assert "three corners or more" in segmentation_error([[1, 1, 9, 1, 9, 9, 5]], SIZE)
    assert segmentation_error(None, SIZE) == ""
    assert segmentation_error({"size": [3, 5], "counts": [15]}, None) == ""


@pytest.mark.parametrize("share", [0.0, 0.001, 0.05, 0.5, 0.999, 1.0])
def test_text_gives_the_run_lengths_that_drew_it(share):
    mask = random_mask(7, share)
    flat = mask.ravel(order="F")
    runs = np.diff(np.concatenate([[0], np.flatnonzero(np.diff(flat)) + 1, [flat.size]])).tolist()
    expected = runs if not flat[0] else [0, *runs]
    assert decode_counts(coder.encode(mask)["counts"].decode()) == expected
