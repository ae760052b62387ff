"""Where the queries of found objects look: against whole maps, and never the map of another query."""

import json
import zlib
from dataclasses import replace

import pytest
import torch

from saccade.lens import Call, Trace
from saccade.lens.scores import coverage
from saccade.ops.boxes import cxcywh_to_xyxy
from saccade.studio.look import look
from saccade.studio.page.queries import QueryLayer, query_layers
from saccade.studio.views import LookOptions
from saccade.studio.views.objects import MOST
from saccade.tasks.detect.task import filter_by_score, postprocess

from .detectors import CLASSES, noise, task
from .page.test_page import content


@torch.no_grad()
def test_every_object_has_the_map_of_its_own_query():
    detector = task()
    found = look(detector, noise(), LookOptions(threshold=0.3))
    objects = found.targets
    assert objects is not None
    assert len(objects) >= 3
    out = detector.model(detector.preprocess(noise().image)[None])
    sure = out.logits[-1][0].sigmoid().amax(dim=-1)
    assert sure.argsort(descending=True).tolist() != list(range(7)), "else the test shows nothing"
    order = [int((sure - score).abs().argmin()) for score in objects.scores]
    torch.testing.assert_close(objects.boxes, cxcywh_to_xyxy(out.boxes[-1][0, order]).clamp(0, 1), atol=1e-5, rtol=0)
    for i, layer in enumerate(objects.layers):
        cross = found.trace[f"decoder.blocks.{i}.cross_attention"][0]
        own = found.trace[f"decoder.blocks.{i}.self_attention"][0]
        assert layer.name == cross.name
        assert cross.mask is not None, "the bias of the boxes counts"
        torch.testing.assert_close(layer.weights, cross.weights()[0][:, order])
        torch.testing.assert_close(layer.self_weights, own.weights()[0][:, order][:, :, order])
    assert len(objects.layers) == 2
    assert [call.name for call in objects.others] == [call.name for call in found.trace["vit.*"]]
    assert objects.notes == []


@torch.no_grad()
def test_detections_know_their_queries():
    out = task().model(torch.randn(2, 3, 20, 24))
    for i, found in enumerate(postprocess(out, (20, 24))):
        assert found.queries is not None
        assert sorted(found.queries.tolist()) == list(range(7))
        torch.testing.assert_close(out.logits[-1][i, found.queries].sigmoid().amax(-1), found.scores)
        fewer = filter_by_score(found, float(found.scores[2]))
        assert fewer.queries.tolist() == found.queries[:3].tolist()


@pytest.mark.parametrize("size", [None, 32])
def test_boxes_lie_on_the_picture_that_is_shown(size):
    """In a letterbox: from shares of what the model saw to pixels of the picture, as the prediction has them."""
    detector, picture = task(), noise(61, 23)
    found = look(detector, picture, LookOptions(size=size, threshold=0.3))
    side = detector.preprocess.size if size is None else (size, size)
    edges = torch.tensor([side[1], side[0], side[1], side[0]])
    preprocess = detector.preprocess if size is None else detector.preprocess.with_size(size)
    back = preprocess.placement(23, 61).to_picture(found.targets.boxes * edges)
    back = torch.minimum(back.clamp(min=0), torch.tensor([61.0, 23.0, 61.0, 23.0]))
    torch.testing.assert_close(back, found.prediction.found.boxes, atol=1e-3, rtol=0)
    assert found.grid == ((5, 6) if size is None else (8, 8))


def test_the_share_inside_the_box():
    layer = QueryLayer("cross", torch.rand(3, 2, 20).softmax(-1) * 0.7, None, 25)
    boxes = torch.tensor([[0.0, 0.0, 0.4, 0.5], [0.3, 0.3, 0.9, 0.6]])
    cover = coverage(boxes, (4, 5))
    inside = layer.attention_inside_region(cover)
    assert inside.shape == (4, 2)
    for i in range(2):
        weights = layer.weights[:, i]
        by_hand = [sum(float(w[p] * cover[i, p]) for p in range(20)) / float(w.sum()) for w in weights]
        assert inside[1:, i].tolist() == pytest.approx(by_hand)
        both = weights.mean(0)
        assert float(inside[0, i]) == pytest.approx(float((both * cover[i]).sum() / both.sum()))


def test_packed_maps_are_as_exact_as_the_page_says():
    looks = (4 * torch.randn(3, 5, 37)).softmax(-1)
    data, largest = QueryLayer("cross", looks, None, 37).packed()
    coded = torch.frombuffer(bytearray(zlib.decompress(data)), dtype=torch.uint8).view(3, 5, 37).double()
    scale = torch.tensor(largest, dtype=torch.double)
    torch.testing.assert_close(scale.float(), looks.amax(-1), rtol=1e-5, atol=0)
    wrong = (scale[..., None] * (coded / 255) ** 2 - looks).abs() / looks.amax(-1, keepdim=True)
    assert wrong.max() < 0.004


def call(name: str, kind: str, n: int, m: int, **more) -> Call:
    return Call(name, kind, torch.randn(1, 2, n, 5), torch.randn(1, 2, m, 5), **more)


def test_queries_among_the_patches():
    """YOLOS: one self-attention over cls, 12 patches and 7 queries."""
    calls = Trace([call(f"layer.{i}.attention", "self", 20, 20) for i in range(2)])
    queries = torch.tensor([5, 0, 3])
    seen = query_layers(calls, queries, 7, 12, prefix=1)
    assert len(seen.layers) == 2
    weights = calls[1].weights()[0]
    torch.testing.assert_close(seen.layers[1].weights, weights[:, 13 + queries, 1:13])
    torch.testing.assert_close(seen.layers[1].self_weights, weights[:, 13 + queries][:, :, 13 + queries])
    assert seen.layers[1].tokens == 20
    assert len(seen.others) == 0


def test_what_does_not_fit_is_named_not_guessed():
    """As many queries as patches; a decoder with two self-attentions; cross-attention to something else."""
    calls = Trace(
        [
            call("encoder.0.self", "self", 6, 6),
            call("decoder.0.self", "self", 6, 6),
            call("decoder.0.cross", "cross", 6, 6),
            call("decoder.1.first", "self", 6, 6),
            call("decoder.1.second", "self", 6, 6),
            call("decoder.1.cross", "cross", 6, 6),
            call("decoder.2.cross", "cross", 6, 11),
            call("decoder.3.cross", "cross", 6, 6, run=1),
        ]
    )
    seen = query_layers(calls, torch.tensor([4, 1]), 6, 6)
    assert [layer.name for layer in seen.layers] == ["decoder.0.cross", "decoder.1.cross"]
    torch.testing.assert_close(seen.layers[0].self_weights, calls[1].weights()[0][:, [4, 1]][:, :, [4, 1]])
    assert seen.layers[1].self_weights is None
    assert [one.name for one in seen.others][:3] == ["encoder.0.self", "decoder.1.first", "decoder.1.second"]
    said = " ".join(seen.notes)
    assert "decoder.1.cross: its queries' own self-attention is ambiguous" in said
    assert "decoder.2.cross: 6 targets attend to 11 sources" in said
    assert "decoder.3.cross: it belongs to another forward pass" in said


def test_no_layer_of_queries():
    seen = query_layers(Trace([call("encoder", "self", 12, 12)]), torch.tensor([0]), 7, 12)
    assert seen.layers == []
    assert "there are no maps" in seen.notes[0]


def test_the_page_holds_them(tmp_path):
    found = look(task(), noise(), LookOptions(threshold=0.3))
    report = found.page(tmp_path / "look.html")
    text = report.path.read_text(encoding="utf-8")
    said = content(report.path)
    assert report.layers == report.layers_kept == 2, "the encoder's own attention is there as before"
    assert text.count('id="targets-') == 2
    objects = said["targets"]
    assert objects["names"] == found.targets.names
    assert len(set(objects["names"])) == len(objects["names"])
    assert set(objects["labels"]) <= set(CLASSES)
    assert objects["queries"] == 7
    assert len(objects["relations"]) == len(found.prediction.relations)
    torch.testing.assert_close(torch.tensor(objects["boxes"]), found.targets.boxes, atol=1e-4, rtol=1e-4)
    assert not any("classification head" in note for note in said["notes"])
    assert found.task.target == "mean"
    patches = torch.cat([torch.zeros(1), torch.ones(30)])
    torch.testing.assert_close(found.heat.flatten(), found.targets.others.rollout(patches)[0, 1:])
    told = found.to_dict()["prediction"]
    assert json.loads(json.dumps(told)) == told
    inside = [layer.attention_inside_region(found.targets.region_coverage)[0] for layer in found.targets.layers]
    assert told["objects"][1]["attention_in_box"] == pytest.approx([float(one[1]) for one in inside], abs=1e-4)


def test_nothing_found(tmp_path):
    found = look(task(), noise(), LookOptions(threshold=1.0))
    assert len(found.targets) == 0
    assert "nothing is found at 100% or more; the highest score is" in found.notes[0]
    said = content(found.page(tmp_path / "look.html").path)
    assert said["targets"]["names"] == []
    assert said["layers"]


def test_many_objects(tmp_path):
    found = look(task(queries=30), noise(), LookOptions(threshold=0.0))
    assert len(found.prediction.found) == 30
    assert len(found.targets) == MOST
    assert found.targets.layers[0].weights.shape[1] == MOST
    assert found.targets.layers[0].self_weights.shape[1:] == (MOST, MOST)
    assert f"the page shows the {MOST} highest-scoring of 30 objects" in found.notes
    assert all(max(i, j) < MOST for i, _, j, _ in found.targets.relations)
    told = found.to_dict()["prediction"]["objects"]
    assert len(told) == 30
    assert "box_share" in told[MOST - 1]
    assert "box_share" not in told[MOST]
    whole = sum(len(layer.packed()[0]) for layer in found.targets.layers) * 4 / 3
    fewer = found.targets.fitting(whole / 2)
    assert 1 <= len(fewer) <= 13
    assert "highest-scoring of 30 objects, to stay small" in fewer.notes[-1]
    assert len(found.targets.fitting(1)) == 1
    assert found.targets.fitting(whole + 1) is found.targets


def test_names_tell_objects_apart():
    objects = look(task(), noise(), LookOptions(threshold=0.3)).targets
    named = replace(objects, labels=["star", "disc", "star"])
    assert named.names == ["star 1", "disc", "star 2"]
