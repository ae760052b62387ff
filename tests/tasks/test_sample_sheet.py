"""The sheet of what was read of a data set."""

import numpy as np
import pytest
from PIL import Image

from saccade.data.captions.sets import CaptionSet, open_captions
from saccade.data.folders import ImageFolder
from saccade.data.objects.sets import open_objects
from saccade.data.scenes import Scenes
from saccade.data.scenes.scenes import SceneSegments
from saccade.data.segments.sets import open_segments
from saccade.errors import DataError
from saccade.tasks import captioned_example
from saccade.tasks.classify import example as labelled_example
from saccade.tasks.detect import example as object_example
from saccade.tasks.sample_sheet import MOST, SIDE, Example, draw_sample_sheet, thumbnail
from saccade.tasks.segment import example as segment_example

from ..data.objects.annotated_sets import write_coco
from . import tiny


class Numbers:
    """A set whose pictures are their index, with one that cannot be read."""

    title = "numbers"

    def __init__(self, count: int) -> None:
        self.count = count
        self.read: list[int] = []

    def __len__(self) -> int:
        return self.count


def draw_number(dataset: Numbers, index: int) -> Example:
    dataset.read.append(index)
    if index == 2:
        raise DataError("two\x1b[31m cannot be read")
    return Example(Image.new("RGB", (SIDE, 40), (index, 0, 0)), [str(index), "a\nb" * 200])


def test_pictures_are_spread_over_all_sets():
    train, val, empty = Numbers(1000), Numbers(3), Numbers(0)
    sheet = draw_sample_sheet({"train": train, "val": val, "test": empty}, draw_number, "numbers")
    assert len(train.read) == MOST // 2
    assert np.diff(train.read).min() >= 1000 // (MOST // 2) - 1
    assert (min(train.read), max(train.read)) == (41, 958)
    assert (val.read, empty.read) == ([0, 1, 2], [])
    assert sheet.mode == "RGB"
    alone = Numbers(5)
    draw_sample_sheet({"all": alone}, draw_number, "five")
    assert alone.read == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("size", [(7, 11), (1, 1), (299, 301), (5000, 3), (640, 480)])
def test_thumbnails_keep_their_aspect(size):
    small, scale = thumbnail(Image.new("L", size))
    assert max(small.size) <= max(SIDE, 2 * max(size))
    assert small.size == tuple(max(1, round(side * scale)) for side in size)


def test_boxes_are_drawn_on_their_objects(tmp_path):
    dataset = open_objects(write_coco(tmp_path / "set"))
    for i in range(len(dataset)):
        drawn = object_example.draw_example(dataset, i)
        objects = dataset.objects(i)
        assert drawn.wrong == (len(objects) == 0)
        before, scale = thumbnail(dataset.picture(i).image)
        assert drawn.picture is not None
        changed = np.asarray(drawn.picture) != np.asarray(before)
        if not len(objects):
            assert not changed.any()
            continue
        left, top, _, bottom = (round(value * scale) for value in objects.boxes[0].tolist())
        rows = changed[top:bottom, max(0, left - 1) : left + 2].any((1, 2))
        assert rows.mean() > 0.9


def test_masks_and_relations_of_scenes():
    scenes = Scenes(3, size=(64, 80))
    boxes = object_example.draw_example(scenes, 1)
    assert boxes.lines[1] == scenes.names[1]
    segments = segment_example.draw_example(SceneSegments(scenes), 1)
    assert not segments.wrong
    captions = captioned_example.draw_example(scenes, 1)
    assert captions.lines[:2] == list(scenes.scene(1).captions.values())


def test_classes_and_masks_of_files(tmp_path):
    dataset = ImageFolder(tiny.folder(tmp_path / "classes"))
    drawn = labelled_example.draw_example(dataset, 5)
    assert drawn.lines == ["green", f"class 1, {dataset.names[5]}"]
    for i in range(2):
        for folder, mode in (("images", "RGB"), ("masks", "L")):
            (tmp_path / "set" / folder).mkdir(parents=True, exist_ok=True)
            pixels = np.full((13, 11), 255 if i and mode == "L" else 1, np.uint8)
            pixels[:5] = 255 if i and mode == "L" else 0
            Image.fromarray(pixels).convert(mode).save(tmp_path / "set" / folder / f"{i}.png")
    (tmp_path / "set" / "classes.txt").write_text("back\nfront\n")
    segments = open_segments(tmp_path / "set")
    assert [segment_example.draw_example(segments, i).wrong for i in range(2)] == [False, True]


def test_captions_of_files(tmp_path):
    for i in range(2):
        Image.new("RGB", (20, 10), (i, 0, 0)).save(tmp_path / f"{i}.png")
    (tmp_path / "metadata.csv").write_text("file_name,text\n0.png,a star\n1.png,a ring\n")
    dataset = open_captions(tmp_path)
    assert isinstance(dataset, CaptionSet)
    assert captioned_example.draw_example(dataset, 1).lines == ["a ring", "1.png"]
