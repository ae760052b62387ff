"""Detection as a task: from a network's answer to named objects in pixels of the picture, and its folder."""

import json

import pytest
import torch
from PIL import Image

from saccade.data.images import Picture
from saccade.data.objects import ObjectAnnotations
from saccade.data.scenes import Scenes
from saccade.device import init_device
from saccade.errors import CheckpointError, DataError, SaccadeError
from saccade.tasks import load
from saccade.tasks.detect.task import DetectTask, filter_by_score, postprocess

from .. import finder


def picture(width: int = 61, height: int = 47, seed: int = 0) -> Image.Image:
    pixels = torch.randint(0, 256, (height, width, 3), generator=torch.Generator().manual_seed(seed))
    return Image.fromarray(pixels.byte().numpy())


def test_an_answer_is_read_surest_first_in_pixels():
    logits = torch.tensor([[[-2.0, 1.0, 0.0], [3.0, -1.0, 0.0]]])
    boxes = torch.tensor([[[0.5, 0.5, 0.2, 0.4], [0.9, 0.1, 0.4, 0.4]]])
    (found,) = postprocess(finder.answer(logits, boxes), (30, 40))
    assert found.labels.tolist() == [0, 1]
    assert found.scores.tolist() == pytest.approx(torch.tensor([3.0, 1.0]).sigmoid().tolist())
    assert found.boxes[0].tolist() == pytest.approx([28.0, 0.0, 40.0, 9.0])  # cut at the picture's edge
    assert found.boxes[1].tolist() == pytest.approx([16.0, 9.0, 24.0, 21.0])
    assert found.queries is not None
    assert found.queries.tolist() == [1, 0]


def test_triplets_are_as_sure_as_the_relation_and_both_objects():
    logits = torch.tensor([[[2.0], [0.0]]])
    relations = torch.full((1, 2, 2, 2), -9.0)
    relations[0, 1, 0, 1] = 1.0  # of query 1 to query 0, which is the surest object
    relations[0, 0, 0, 0] = 9.0  # nothing relates to itself
    (found,) = postprocess(finder.answer(logits, torch.rand(1, 2, 4), relations), (30, 40))
    assert found.relations is not None
    assert found.relation_scores is not None
    assert found.relations[0].tolist() == [1, 1, 0]
    sure = torch.tensor([1.0, 2.0, 0.0]).sigmoid().prod().item()
    assert found.relation_scores[0].item() == pytest.approx(sure)
    assert len(found.relations) == 4  # two kinds, there and back
    assert (found.relations[:, 0] != found.relations[:, 2]).all()


def test_an_answer_that_is_no_number_is_refused():
    with pytest.raises(SaccadeError, match="not a number"):
        postprocess(finder.answer(torch.full((1, 2, 3), torch.nan), torch.rand(1, 2, 4)), (30, 40))


def test_a_threshold_keeps_objects_and_their_relations():
    logits = torch.tensor([[[2.0], [0.0], [-2.0]]])
    relations = torch.full((1, 3, 3, 1), 6.0)
    (found,) = postprocess(finder.answer(logits, torch.rand(1, 3, 4), relations), (30, 40))
    less = filter_by_score(found, 0.4)
    assert len(less) == 2
    assert less.relations is not None
    assert sorted(less.relations.tolist()) == [[0, 0, 1], [1, 0, 0]]


def test_boxes_come_back_to_the_pixels_of_any_picture(monkeypatch):
    """A network that finds the middle half of what it is shown, whatever the picture's proportions."""
    task = finder.task(size=(32, 40))
    for width, height in ((61, 47), (200, 20), (5, 83)):
        place = task.preprocess.placement(height, width)
        seen = place.to_model(torch.tensor([[width / 4, height / 4, width * 3 / 4, height * 3 / 4]]))[0]
        centred = torch.stack([seen[0] + seen[2], seen[1] + seen[3], 2 * (seen[2] - seen[0]), 2 * (seen[3] - seen[1])])
        box = (centred / 2 / torch.tensor([40, 32, 40, 32]))[None, None]
        monkeypatch.setattr(task.model, "forward", lambda _, b=box: finder.answer(torch.full((1, 1, 3), 4.0), b))
        predicted = task.predict(picture(width, height))
        expected = [width / 4, height / 4, width * 3 / 4, height * 3 / 4]
        assert predicted.found.boxes[0].tolist() == pytest.approx(expected, abs=1e-3)
        assert predicted.size == (height, width)


def test_predictions_print_and_go_to_json():
    predicted = finder.task().predict(picture(), threshold=0.0)
    record = json.loads(json.dumps(predicted.to_dict()))
    assert record["width"] == 61
    assert len(record["objects"]) == 6
    assert all(o["label"] in finder.LABELS and 0 <= o["score"] <= 1 for o in record["objects"])
    assert all(r["relation"] in finder.RELATIONS and r["subject"] != r["object"] for r in record["relations"])
    assert record["objects"][0]["label"] in str(predicted)
    assert "nothing found" in str(finder.task().predict(picture(), threshold=1.0))


def test_many_pictures_are_what_each_is_alone():
    task, pictures = finder.task(), [picture(seed=i) for i in range(5)]
    many = list(task.predict_all(pictures, threshold=0.0, batch=2))
    for one, source in zip(many, pictures, strict=True):
        alone = task.predict(source, threshold=0.0)
        assert torch.allclose(one.found.boxes, alone.found.boxes, atol=1e-3)
        assert one.labels == alone.labels


def test_the_folder_of_a_model_names_its_task(tmp_path):
    task = finder.task()
    task.save(tmp_path / "run" / "model", scores={"mAP": 0.5})
    back = load(tmp_path / "run")
    assert isinstance(back, DetectTask)
    assert back.labels == finder.LABELS
    assert back.relations == finder.RELATIONS
    assert back.card["scores"] == {"mAP": 0.5}
    a, b = (t.predict(picture(), threshold=0.0) for t in (task, back))
    assert torch.equal(a.found.boxes, b.found.boxes)


@pytest.mark.parametrize(
    ("change", "predicted"),
    [
        ({"task": "juggle"}, "the task 'juggle'"),
        ({"labels": ["cat"]}, "1 labels for the 3"),
        ({"relations": ["a", "a"]}, "different from each other"),
        ({"model": {"classes": 3}}, "not a complete Saccade model"),
    ],
)
def test_a_folder_that_contradicts_itself_is_refused(tmp_path, change, predicted):
    finder.task().save(tmp_path / "model")
    file = tmp_path / "model" / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    with pytest.raises(CheckpointError, match=predicted):
        load(tmp_path)


class Odd:
    """Scenes as a set of other classes, some unreadable."""

    def __init__(self, classes: list[str], broken: tuple[int, ...] = (), on_error: str = "skip"):
        self.scenes = Scenes(5, (37, 41))
        self.title, self.names = "odd scenes", self.scenes.names
        self.classes, self.broken, self.on_error = classes, broken, on_error
        self.relations: list[str] = []
        self.notes: list[str] = []
        self.skipped: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self.scenes)

    def picture(self, index: int) -> Picture:
        return self.scenes.picture(index)

    def objects(self, index: int, masks: bool = True) -> ObjectAnnotations:
        if index in self.broken:
            raise DataError(f"{self.names[index]} is broken")
        found = self.scenes.objects(index)
        return ObjectAnnotations(found.boxes, found.labels % 3, found.size)


def test_val_gives_found_and_true_objects_in_pixels_of_the_pictures():
    found, truth = finder.task().val(Odd(finder.LABELS), init_device("cpu", "fp32"), batch=2)
    assert len(found) == len(truth) == 5
    assert all(o.size == (37, 41) for o in truth)
    assert all((f.boxes[:, 2] <= 41).all() and (f.boxes[:, 3] <= 37).all() for f in found)


def test_val_skips_unreadable_pictures_or_fails():
    data = Odd(finder.LABELS, broken=(1, 3))
    _, truth = finder.task().val(data, init_device("cpu", "fp32"))
    assert len(truth) == 3
    assert list(data.skipped) == [data.names[1], data.names[3]]
    with pytest.raises(DataError, match="is broken"):
        finder.task().val(Odd(finder.LABELS, broken=(1,), on_error="fail"), init_device("cpu", "fp32"))
    with pytest.raises(DataError, match="no picture of"):
        finder.task().val(Odd(finder.LABELS, broken=(0, 1, 2, 3, 4)), init_device("cpu", "fp32"))


def test_val_refuses_other_classes():
    with pytest.raises(DataError, match="they come in another order; the same names in the same order expected"):
        finder.task().val(Odd(["dog", "cat", "한글 이름"]), init_device("cpu", "fp32"))
