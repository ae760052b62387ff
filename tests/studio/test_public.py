"""Other people's detectors: the map of each object is its query's, or the reason why there is none is said."""

import re

import pytest
import torch

pytest.importorskip("transformers")

from saccade.checkpoints.detectors import PublicDetector
from saccade.errors import SaccadeError
from saccade.studio.look import look
from saccade.studio.views import LookOptions
from saccade.tasks.detect.public import PublicDetectTask

from ..checkpoints.tiny_detectors import NAMES, processor, tiny
from .detectors import noise
from .page.test_page import content


def public(family):
    return PublicDetectTask(PublicDetector(tiny(family), list(NAMES), processor(family), family, f"tiny {family}"))


def test_detr(tmp_path):
    task, picture = public("detr"), noise(61, 43)
    found = look(task, picture, LookOptions(threshold=0.0))
    objects = found.targets
    order = _order(task, picture)
    assert order != sorted(order), "else the test shows nothing"
    for i, layer in enumerate(objects.layers):
        cross = found.trace[f"model.decoder.layers.{i}.encoder_attn"][0]
        own = found.trace[f"model.decoder.layers.{i}.self_attn"][0]
        torch.testing.assert_close(layer.weights, cross.weights()[0][:, order])
        torch.testing.assert_close(layer.self_weights, own.weights()[0][:, order][:, :, order])
    assert len(objects.layers) == 2
    assert found.grid[0] * found.grid[1] == objects.layers[0].weights.shape[2]
    report = found.page(tmp_path / "look.html")
    assert report.layers == 2, "the encoder's own attention"
    assert content(report.path)["targets"]["names"] == objects.names
    assert found.to_dict()["prediction"]["objects"][0]["attention_in_box"]


def test_yolos(tmp_path):
    """Its queries are tokens after the patches of one self-attention."""
    task, picture = public("yolos"), noise(61, 43)
    found = look(task, picture, LookOptions(threshold=0.0))
    order = torch.tensor(_order(task, picture))
    patches, call = found.grid[0] * found.grid[1], found.trace[0]
    weights = call.weights()[0][:, 1 + patches + order]
    torch.testing.assert_close(found.targets.layers[0].weights, weights[..., 1 : 1 + patches])
    torch.testing.assert_close(found.targets.layers[0].self_weights, weights[..., 1 + patches + order])
    assert found.decoder.prefix == 1
    assert any("attention of patches alone is not shown" in note for note in found.notes)
    report = found.page(tmp_path / "look.html")
    assert report.layers == 0, "patches, cls and queries attend together: there is no attention of patches alone"
    assert content(report.path)["targets"]["layers"]


def _order(task, picture):
    with torch.no_grad():
        out = task.model(**task.detector.preprocess([picture.image]))
    scores = out.logits[0].softmax(-1)[:, :-1].amax(-1)
    return scores.argsort(descending=True, stable=True).tolist()


@torch.no_grad()
def test_pairs_of_query_and_class():
    """A query may stand for several objects: each has that query's map."""
    task, picture = public("conditional_detr"), noise(61, 43)
    found = look(task, picture, LookOptions(threshold=0.0))
    queries = found.prediction.found.queries
    out = task.model(**task.detector.preprocess([picture.image]))
    told = out.logits[0].sigmoid()[queries, found.prediction.found.labels]
    torch.testing.assert_close(told, found.prediction.found.scores, atol=1e-5, rtol=0)


def test_attention_that_cannot_be_seen_is_said_not_guessed():
    message = r"cannot be looked into: no attention of its \d+ queries to the patches"
    with pytest.raises(SaccadeError, match=message):
        look(public("deformable_detr"), noise(61, 43))
    found = look(public("rt_detr"), noise(61, 43))  # its encoder has maps
    assert found.targets.layers[0].name == "model.encoder.aifi.0.layers.0.self_attn"
    assert re.search(message, found.notes[-1])


@pytest.mark.parametrize("family", ["table-transformer", "dab-detr"])
def test_attention_in_separate_operations_is_looked_into(family):
    found = look(public(family), noise(61, 43), LookOptions(threshold=0.0))
    for layer in found.targets.layers:
        torch.testing.assert_close(layer.weights.sum(-1), torch.ones_like(layer.weights[..., 0]), atol=1e-4, rtol=0)
