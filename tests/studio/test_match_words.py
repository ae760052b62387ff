"""The words of a matcher of ours: their maps are the weights of the head's own calls, text by text."""

import zlib

import pytest
import torch

from saccade.errors import DataError
from saccade.lens import watch
from saccade.studio.look import look
from saccade.studio.views import LookOptions
from saccade.studio.views import match as module
from saccade.tasks import load

from .detectors import noise
from .matchers import task
from .page.test_page import content

TEXTS = ["a red star left of a ring", "blue", "빨간 공"]


def found(*texts, size=None):
    return look(task(), noise(61, 43), LookOptions(texts=texts, size=size))


@torch.no_grad()
def test_maps_are_the_weights_of_the_head():
    view, model = found(*TEXTS), task().model
    pictures = task().encode_pictures([noise(61, 43)])
    for one in view.targets.texts:
        alone = task().encode_texts([one.text])
        with watch(model) as trace:
            match = model.match(pictures.tokens, alone.tokens, alone.mask)
        torch.testing.assert_close(one.logits, match.words[0])
        for kind, weights in (("cross", "weights"), ("self", "self_weights")):
            calls = [call for call in trace if call.kind == kind]
            assert len(calls) == len(one.layers) == 2
            for layer, call in zip(one.layers, calls, strict=True):
                torch.testing.assert_close(getattr(layer, weights), call.weights()[0])
        assert [layer.name for layer in one.layers] == [call.name for call in trace if call.kind == "cross"]
    assert float(view.targets.layers[0].weights.std()) > 0.01, "weights of a head that attends everywhere alike"


def test_the_bundled_matcher_says_what_it_saw_and_what_it_was_trained_on():
    view = look(load("matcher"), noise(61, 43), LookOptions(texts=TEXTS[:1]))
    assert view.seen.how == "it saw the whole picture, enlarged to 64 x 64 pixels"
    warning = "matcher was trained on drawn scenes: what it answers to a photograph means little"
    assert list(view.seen.doubts) == [warning]
    said = str(view)
    assert said.index(view.seen.how) < said.index("the words of") < said.index(warning)
    assert not view.page_input().trace.missed  # of the pooling after the encoder


def test_words_of_all_texts_best_first():
    view = found(*TEXTS)
    assert [one.text for one in view.targets.texts] == list(view.text_comparison.ranking.texts)
    assert sorted(view.text_comparison.ranking.texts) == sorted(TEXTS)
    assert view.targets.names == [word for text in view.text_comparison.ranking.texts for word in text.split()]
    weights = torch.cat([one.layers[1].weights for one in view.targets.texts], dim=1)
    torch.testing.assert_close(view.targets.layers[1].weights, weights)
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(3, 10))
    first = view.targets.texts[0]
    score = torch.sigmoid(first.logits.numel() * torch.ones(()).log() - torch.logsumexp(-first.logits, 0)).item()
    assert score <= view.text_comparison.ranking.scores[0] + 1e-5
    assert view.click_hint == "a word"


def test_the_picture_is_encoded_once(monkeypatch):
    matcher, calls = task(), []
    matcher.model.vit.register_forward_hook(lambda *_: calls.append(1))
    look(matcher, noise(61, 43), LookOptions(texts=TEXTS))
    assert len(calls) == 1


def test_the_page(tmp_path):
    view = found(*TEXTS)
    page = view.page(tmp_path / "look.html").path
    said = content(page)["targets"]
    assert said["kind"] == "words"
    assert said["names"] == view.targets.names
    assert [one["text"] for one in said["texts"]] == [one["text"] for one in said["comparison"]["texts"]]
    assert sum(one["words"] for one in said["texts"]) == len(said["names"])
    logits = torch.cat([one.logits for one in view.targets.texts])
    torch.testing.assert_close(torch.tensor(said["scores"]), logits.sigmoid(), rtol=1e-3, atol=0)
    for text, among in zip(view.targets.texts, said["layers"][1]["among"], strict=True):
        torch.testing.assert_close(torch.tensor(among), text.layers[1].self_weights, rtol=1e-2, atol=0)
    data, planes = view.targets.content()
    words, patches = len(said["names"]), 16
    bytes_ = torch.frombuffer(bytearray(zlib.decompress(planes["1"])), dtype=torch.uint8).view(3, words, patches)
    back = (bytes_.float() / 255) ** 2 * torch.tensor(data["layers"][1]["largest"])[..., None]
    torch.testing.assert_close(back, view.targets.layers[1].weights, atol=1 / 255, rtol=0)


def test_without_a_text(tmp_path):
    view = look(task(), noise(61, 43))
    assert (view.targets, view.text_comparison, view.click_hint) == (None, None, "a patch")
    assert any("no text is given" in note for note in view.notes)
    assert "targets" not in content(view.page(tmp_path / "look.html").path)


def test_size_holds_for_words_and_scores():
    own, finer = found("red"), found("red", size=24)
    assert (own.grid, finer.grid) == ((4, 4), (6, 6))
    assert finer.targets.texts[0].layers[0].weights.shape == (3, 1, 36)
    assert own.text_comparison.ranking.scores != finer.text_comparison.ranking.scores


def test_many_texts(monkeypatch):
    monkeypatch.setattr(module, "MOST", 2)
    view = found(*TEXTS)
    assert len(view.targets.texts) == 2
    assert len(view.text_comparison.ranking.texts) == 3
    assert view.targets.notes == ["the page shows the words of the 2 best of 3 texts"]


def test_fewer_words_where_the_page_is_full():
    targets = found(*TEXTS).targets
    first = targets.texts[0]
    cut = targets.fitting(sum(len(layer.packed()[0]) for layer in targets.layers))
    assert 0 < len(cut) < len(targets)
    assert cut.notes == [f"the page shows the first {len(cut)} words, to stay small"]
    assert cut.names == targets.names[: len(cut)]
    one = targets.first_targets(len(first.words) - 1 or 1)
    assert one.texts[0].words == first.words[: len(one)]
    assert one.layers[0].weights.shape[1] == len(one.texts[0].logits) == len(one)
    assert one.content()[0]["layers"][0]["heads"] == 3


def test_texts_that_cannot_be_read():
    with pytest.raises(DataError):
        found("red", " ")
