"""Some of the classes of a set."""

import copy

import pytest
import torch

from saccade.data import ImageFolder
from saccade.data.class_subset import ObjectClassSubset, SegmentClassSubset, keep_classes
from saccade.data.scenes import Scenes
from saccade.data.scenes.scenes import SceneSegments
from saccade.data.segments import IGNORE_INDEX
from saccade.errors import DataError

from ..tasks import tiny


def test_pictures_of_some_classes(tmp_path):
    whole = ImageFolder(tiny.folder(tmp_path / "set", each=3))
    part = keep_classes(whole, ["red", "blue"])
    assert part.classes == ["red", "blue"]
    assert [(name.split("/")[0], part.classes[label]) for name, label in zip(part.names, part.labels, strict=True)] == [
        (color, color) for color in ["blue"] * 3 + ["red"] * 3
    ]
    assert part[4][0].name == whole[7][0].name
    scored = keep_classes(whole, ["green"], ["red", "green", "blue"])
    assert (scored.classes, scored.labels.tolist()) == (["red", "green", "blue"], [1, 1, 1])
    assert whole.classes == ["blue", "green", "red"]
    with pytest.raises(DataError, match="has no class 'pink'; it has blue, green, red"):
        keep_classes(whole, ["pink", "red"])
    with pytest.raises(DataError, match="name two or more"):
        keep_classes(whole, ["red"])


def test_objects_of_some_classes():
    whole = Scenes(5, 48, seed=3)
    kept = [whole.classes[4], whole.classes[1]]
    part = ObjectClassSubset(whole, kept)
    assert (part.classes, len(part), part.names) == (kept, 5, whole.names)
    for i in range(5):
        every, some = whole.objects(i), part.objects(i)
        names = [whole.classes[label] for label in every.labels]
        keep = torch.tensor([name in kept for name in names])
        assert torch.equal(some.boxes, every.boxes[keep])
        assert [kept[label] for label in some.labels] == [name for name in names if name in kept]
    assert part.picture(0).image.tobytes() == whole.picture(0).image.tobytes()
    assert copy.copy(part).relations == whole.relations
    scored = ObjectClassSubset(whole, kept, whole.classes)
    assert scored.classes == whole.classes
    assert set(scored.objects(0).labels.tolist()) <= {4, 1}


def test_masks_of_some_classes():
    whole = SceneSegments(Scenes(3, 48, seed=3))
    assert whole.classes[0] == "background"
    kept = [whole.classes[7], whole.classes[2]]
    part = SegmentClassSubset(whole, kept)
    assert part.classes == ["background", *kept]
    for i in range(3):
        expected = torch.zeros(48, 48, dtype=torch.uint8)
        expected[whole.mask(i) == 7], expected[whole.mask(i) == 2] = 1, 2
        assert torch.equal(part.mask(i), expected)


class Roads:
    classes, title = ("road", "car", "sky"), "roads"

    def mask(self, index):
        return torch.tensor([[0, 1, 2, IGNORE_INDEX]], dtype=torch.uint8)


def test_masks_without_a_background_get_one():
    part = SegmentClassSubset(Roads(), ["car", "road"])
    assert part.classes == ["background", "car", "road"]
    assert part.mask(0).tolist() == [[2, 1, 0, IGNORE_INDEX]]
    scored = SegmentClassSubset(Roads(), ["car"], ["road", "car", "sky"])
    assert scored.mask(0).tolist() == [[IGNORE_INDEX, 1, IGNORE_INDEX, IGNORE_INDEX]]
    of_subset = SegmentClassSubset(Roads(), ["car"], ["background", "car"])
    assert of_subset.mask(0).tolist() == [[0, 1, 0, IGNORE_INDEX]]
    with pytest.raises(DataError, match="roads has no class 'bus'"):
        SegmentClassSubset(Roads(), ["bus"])
