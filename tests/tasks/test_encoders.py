"""What a new network takes from a pretrained one: rows of classes by their names."""

import pytest
import torch
from torch import nn

from saccade.data.preprocess import Preprocess
from saccade.errors import UsageError
from saccade.models import Classifier
from saccade.models.detector import Detector
from saccade.models.segmenter import Segmenter, SegmenterConfig
from saccade.tasks import SegmentTask
from saccade.tasks.encoders import freeze_encoder, load_pretrained

from . import finder, tiny


def randomized(task):
    with torch.no_grad():
        for p in task.model.parameters():
            nn.init.normal_(p)
    return task


def segmenter(labels):
    vit = finder.task().vit.config
    return SegmentTask(Segmenter(SegmenterConfig(vit=vit, classes=len(labels), depth=1)), Preprocess((32, 40)), "s",
                       labels=list(labels))  # fmt: skip


@pytest.mark.parametrize("labels", [["red", "blue", "green"], ["green", "red"], ["pink", "green", "grey", "blue"]])
def test_a_classifier_takes_rows_by_name(labels):
    start = randomized(tiny.task(("blue", "green", "red")))
    model = Classifier(tiny.config(len(labels)))
    before = model.head.weight.clone()
    note = load_pretrained(model, start, labels)
    for i, label in enumerate(labels):
        known = label in start.labels
        row = start.model.head.weight[start.labels.index(label)] if known else before[i]
        assert torch.equal(model.head.weight[i], row)
        assert label in note.split("new " if not known else "taken ")[1]
    assert all(torch.equal(a, b) for a, b in zip(model.vit.parameters(), start.vit.parameters(), strict=True))


def test_the_order_of_classes_changes_no_score():
    start = randomized(finder.task())
    labels, relations = start.labels[::-1], start.relations[::-1]
    other = finder.task(seed=7)
    note = load_pretrained(other.model, start, labels, relations)
    pictures = torch.randn(2, 3, 32, 40)
    with torch.no_grad():
        a, b = start.model.eval()(pictures), other.model.eval()(pictures)
    torch.testing.assert_close(a.logits[-1], b.logits[-1].flip(-1), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(a.relations, b.relations.flip(-1), rtol=1e-4, atol=1e-4)
    embedding, known = other.model.label_embedding.weight, start.model.label_embedding.weight
    assert torch.equal(embedding[[2, 1, 0, 3]], known)  # the last row is of no class
    assert "classes: taken" in note
    assert "relations: taken" in note
    assert "new" not in note


def test_a_segmenter_takes_its_class_tokens_by_name():
    start, model = randomized(segmenter("abc")), segmenter("cdaeb").model
    note = load_pretrained(model, start, list("cdaeb"))
    for label, row in zip("cab", (0, 2, 4), strict=True):
        assert torch.equal(model.class_tokens[row], start.model.class_tokens["abc".index(label)])
    assert "taken c, a, b" in note
    assert "new d, e" in note
    assert load_pretrained(segmenter("a").model, start, ["a"]).endswith("not used b, c")


def test_of_another_network_only_the_encoder_is_taken():
    start = tiny.task(("cat", "dog"), patch=8, grid=(4, 5))
    model = Detector(finder.task().model.config.model_copy(update={"vit": start.vit.config}))
    note = load_pretrained(model, start, ["cat", "dog", "bird"], [])
    assert "(new: proposal_head, query_projection, label_embedding" in note
    assert "taken" not in note


def test_a_deeper_decoder_is_new_in_part():
    start, other = finder.task(), finder.task(depth=3)
    note = load_pretrained(other.model, start, start.labels, start.relations)
    assert "new: decoder, box_bias, heads, relation_head" in note


def test_a_frozen_encoder_needs_pretrained_weights():
    task = tiny.task()
    with pytest.raises(UsageError, match=r"--freeze-encoder.*--weights"):
        freeze_encoder(task.model, None)
    freeze_encoder(task.model, task)
    assert {n for n, p in task.model.named_parameters() if p.requires_grad} == {"head.weight", "head.bias"}
