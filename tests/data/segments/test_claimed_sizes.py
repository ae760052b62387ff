"""Annotations that claim a larger picture than there is."""

import json
import tracemalloc

import pytest
from PIL import Image

from saccade.data.segments.sets import open_segments
from saccade.errors import DataError


def test_outlines_take_no_memory_of_a_claimed_size(tmp_path):
    (tmp_path / "images").mkdir()
    Image.new("RGB", (24, 18)).save(tmp_path / "images" / "1.png")
    document = {
        "images": [{"id": 1, "file_name": "1.png", "width": 50_000, "height": 50_000}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "bbox": [3, 2, 9, 8], "iscrowd": 0,
             "segmentation": [[3, 2, 12, 2, 12, 10, 3, 10]]},
        ],
        "categories": [{"id": 1, "name": "red"}],
    }  # fmt: skip
    (tmp_path / "instances.json").write_text(json.dumps(document))
    tracemalloc.start()
    with pytest.raises(DataError, match=r"50000 x 50000 pixels and its picture images/1.png has 24 x 18"):
        open_segments(tmp_path).mask(0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50_000_000
