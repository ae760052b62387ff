"""Areas as COCO JSON: what is written, decoded again, is the mask, by a peer and by the project's own readers."""

import json
import os
import tracemalloc
import warnings

import numpy as np
import pytest
import torch
from faster_coco_eval.core import COCO
from faster_coco_eval.core import mask as coder
from PIL import Image

from saccade.data import open_objects
from saccade.data.segments import IGNORE_INDEX
from saccade.data.segments.sets import open_segments
from saccade.errors import DataError
from saccade.tasks.segment.coco import categories, has_background, mask_to_coco_annotations, open_areas_writer

from .. import segment_masks

NAMES = ["background", "cell", "말", 'a "b" \\ c', "none of it"]


def written(tmp_path, masks, classes=NAMES, names=None):
    out = tmp_path / "areas.json"
    with open_areas_writer(out, classes, "made") as areas:
        for i, mask in enumerate(masks):
            areas.add(names[i] if names else f"{i}.png", mask)
    return json.loads(out.read_text(encoding="utf-8"))


def test_which_class_is_left_out():
    for name in ("background", "Background", "VOID", "null"):
        assert has_background([name, "cell"])
        assert categories([name, "cell", "tissue"]) == {1: 1, 2: 2}
    assert not has_background(["road", "background"])  # only the first stands for nothing
    assert categories(["road", "background"]) == {0: 1, 1: 2}
    assert not has_background([])


@pytest.mark.parametrize("classes", [NAMES, ["road", *NAMES[1:]]])
@pytest.mark.parametrize(
    "mask",
    [
        segment_masks.ring(), segment_masks.noise(5), segment_masks.noise(5, ignored=True),
        torch.full((7, 1), 3, dtype=torch.uint8), torch.zeros(1, 1, dtype=torch.uint8),
        torch.full((2, 3), IGNORE_INDEX, dtype=torch.uint8),
    ],
)  # fmt: skip
def test_decoded_it_is_the_mask(tmp_path, mask, classes):
    data = written(tmp_path, [mask], classes)
    ground = 0 if classes is NAMES else IGNORE_INDEX
    again = np.full(mask.shape, ground, np.uint8)
    index = {each["id"]: classes.index(each["name"]) for each in data["categories"]}
    for each in data["annotations"]:
        area = coder.decode(each["segmentation"]).astype(bool)
        again[area] = index[each["category_id"]]
        rows, columns = np.nonzero(mask.numpy() == index[each["category_id"]])  # slowly, from the definition
        assert each["area"] == len(rows)
        left, top, width, height = each["bbox"]
        assert (left, top) == (columns.min(), rows.min())
        assert (left + width - 1, top + height - 1) == (columns.max(), rows.max())
        assert each["iscrowd"] == 0
    expected = mask.numpy().copy()
    expected[expected == IGNORE_INDEX] = ground  # what no annotation covers
    np.testing.assert_array_equal(again, expected)
    assert len({each["category_id"] for each in data["annotations"]}) == len(data["annotations"])


def test_a_hole_survives_and_ids_are_those_of_coco(tmp_path):
    masks = [segment_masks.ring(), torch.zeros(3, 5, dtype=torch.uint8), segment_masks.noise(4)]
    data = written(tmp_path, masks)
    assert list(data) == ["info", "categories", "annotations", "images"]
    assert data["info"] == {"description": "made"}
    assert [each["id"] for each in data["categories"]] == [1, 2, 3, 4]
    assert [each["name"] for each in data["categories"]] == NAMES[1:]
    assert data["images"] == [
        {"id": 1, "file_name": "0.png", "width": 17, "height": 13},
        {"id": 2, "file_name": "1.png", "width": 5, "height": 3},
        {"id": 3, "file_name": "2.png", "width": 31, "height": 23},
    ]
    assert [each["id"] for each in data["annotations"]] == list(range(1, 7))
    assert [each["image_id"] for each in data["annotations"]] == [1, 1, 1, 3, 3, 3]
    cell = data["annotations"][0]
    assert coder.decode(cell["segmentation"])[5, 5] == 0
    assert cell["area"] == 81 - 25


def test_a_peer_reads_it(tmp_path):
    written(tmp_path, [segment_masks.ring(), segment_masks.noise(4)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # the peer does not close the file
        read = COCO(str(tmp_path / "areas.json"))
    assert sorted(read.getImgIds()) == [1, 2]
    for image, mask in ((1, segment_masks.ring()), (2, segment_masks.noise(4))):
        for each in read.loadAnns(read.getAnnIds(imgIds=[image])):
            np.testing.assert_array_equal(read.annToMask(each), mask.numpy() == each["category_id"])


def test_our_own_readers_read_it(tmp_path):
    masks = [segment_masks.ring(), segment_masks.noise(5), torch.zeros(3, 5, dtype=torch.uint8)]
    (tmp_path / "pictures").mkdir()
    names = ["말.png", "two.png", "three.png"]
    for mask, name in zip(masks, names, strict=True):
        Image.new("RGB", mask.shape[::-1]).save(tmp_path / "pictures" / name)
    written(tmp_path, masks, names=names)
    areas = open_segments(tmp_path / "areas.json", classes=NAMES)
    found = {os.path.basename(name): i for i, name in enumerate(areas.names)}
    for mask, name in zip(masks, names, strict=True):
        torch.testing.assert_close(areas.mask(found[name]), mask)
    objects = open_objects(tmp_path / "areas.json")
    assert objects.classes == NAMES[1:]
    there = objects.objects(objects.names.index(next(n for n in objects.names if n.endswith("말.png"))))
    assert there.boxes[0].tolist() == [2, 1, 11, 10]
    torch.testing.assert_close(there.masks[0].bool(), masks[0] == 1)


def test_output_is_complete_or_absent(tmp_path):
    out = tmp_path / "areas.json"
    out.write_text("old")
    with pytest.raises(RuntimeError, match="on the way"), open_areas_writer(out, NAMES) as areas:  # noqa: PT012
        areas.add("a.png", segment_masks.ring())
        raise RuntimeError("on the way")
    assert out.read_text() == "old"
    assert os.listdir(tmp_path) == ["areas.json"]
    nowhere = open_areas_writer(tmp_path / "no" / "areas.json", NAMES)
    with pytest.raises(DataError, match=r"areas\.json cannot be written there"), nowhere:
        pass
    with pytest.raises(OSError, match="another file"), open_areas_writer(out, NAMES):
        raise OSError(2, "another file", str(tmp_path / "other.png"))  # must not be attributed to this one
    assert written(tmp_path, [])["images"] == []


def test_a_disk_that_is_full_is_named(tmp_path):
    class Full:
        def write(self, piece):
            raise OSError(28, "full")

    areas = open_areas_writer(tmp_path / "areas.json", NAMES)
    with pytest.raises(DataError, match=r"areas\.json cannot be written there \(full\)"), areas as file:  # noqa: PT012
        file._file._file = Full()
        file.add("a.png", segment_masks.ring())
    assert os.listdir(tmp_path) == []


def test_a_value_that_is_no_class():
    mask = segment_masks.ring()
    mask[0, 5] = 5
    with pytest.raises(DataError, match="holds 5; expected classes 0 to 4, or 255"):
        list(mask_to_coco_annotations(mask, categories(NAMES)))


def test_memory_does_not_grow_with_the_pictures(tmp_path):
    mask = segment_masks.noise(5)
    with open_areas_writer(tmp_path / "areas.json", NAMES) as areas:
        for i in range(20):
            areas.add(f"{i}.png", mask)
        tracemalloc.start()
        for i in range(150):
            areas.add(f"{i}.png", mask)
        grown, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert (tmp_path / "areas.json").stat().st_size > 150_000
    assert grown < 20_000
