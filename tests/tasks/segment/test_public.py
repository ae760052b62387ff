"""Other people's segmenters as a task: scored on a set with known masks like ours."""

import pytest
import torch
from PIL import Image

import saccade
from saccade.data import read_image
from saccade.device import Device
from saccade.errors import DataError
from saccade.tasks.segment.public import PublicSegmentTask
from saccade.tasks.segment.task import BaseSegmentTask

pytest.importorskip("transformers")
from ...checkpoints.tiny_segmenters import NAMES, write


class Three:
    """Pictures of different sizes, the second of which cannot be read."""

    title, on_error, classes = "three pictures", "skip", NAMES
    names = ("a", "b", "c")

    def __init__(self):
        self.skipped, self.notes = {}, []

    def __len__(self):
        return 3

    def picture(self, index):
        if index == 1:
            raise DataError("b is torn")
        return read_image(Image.new("RGB", (83 + index, 61), (200, 90 * index, 30)))

    def mask(self, index):
        return torch.full((61, 83 + index), index, dtype=torch.uint8)


def test_a_set_is_scored(tmp_path):
    task, data = saccade.load(write("segformer", tmp_path / "tiny")), Three()
    assert isinstance(task, PublicSegmentTask)
    assert isinstance(task, BaseSegmentTask)
    assert task.parameters == sum(p.numel() for p in task.model.parameters()) > 10_000
    found = list(task.val(data, Device(torch.device("cpu"), bf16=False, rank=0, world=1)))
    assert [index for index, *_ in found] == [0, 2]
    for index, predicted, true in found:
        assert torch.equal(predicted, task.segment(data.picture(index)))
        assert torch.equal(predicted, task.predict(data.picture(index).image).mask)
        assert torch.equal(true, data.mask(index))
    assert list(data.skipped) == ["b"]
