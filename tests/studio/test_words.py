"""Words and patches of a matcher: what is told is what whole Jacobians say, and it adds up."""

import io
import re

import pytest
import torch
from rich.console import Console

pytest.importorskip("transformers")

from saccade.checkpoints.matchers import KINDS, load_matcher
from saccade.errors import SaccadeError
from saccade.lens import Tower, interactions
from saccade.studio.look import look
from saccade.studio.views import LookOptions
from saccade.studio.views import attribution as module
from saccade.studio.views.word_attributions import SPECIAL

from ..checkpoints import tiny_matchers
from .detectors import noise
from .page.test_page import content

TEXT = "a Red table, on"


@pytest.fixture
def few_steps(monkeypatch):
    monkeypatch.setattr(module, "MAX_STEPS", 16)


@pytest.mark.parametrize("family", KINDS)
def test_all_families(family, tmp_path, few_steps):
    matcher = load_matcher(tiny_matchers.save(tmp_path, family))
    found = look(matcher, noise(61, 43), LookOptions(texts=[TEXT]))
    assert found.targets.words == ["a", "Red", "table", ",", "on", SPECIAL]
    assert found.grid == (5, 5)
    assert found.places.prefix == (family != "siglip")
    with torch.no_grad():
        f = matcher.embed_images(matcher.preprocess(noise(61, 43).image)[None])
        g = matcher.embed_texts(matcher.read(TEXT).ids)
    assert found.targets.similarity == pytest.approx(float(torch.cosine_similarity(f, g)), abs=1e-5)
    assert len(found.targets.layers) == 3
    for layer in found.targets.layers:
        whole = float(layer.attributions.sum() + layer.elsewhere.sum())
        assert whole == pytest.approx(layer.shared, abs=10 * layer.gap + 1e-5)
    first = found.targets.layers[0]
    assert float(first.elsewhere.abs().max()) < 1e-5, "where the tower begins every token is in its own place"
    assert list(found.extras.features.layers) == [
        call.name for call in found.trace if call.shape[2] == len(found.places)
    ]
    assert found.page(tmp_path / "look.html").layers == 3


def test_maps_are_those_of_the_lens(tmp_path, few_steps):
    matcher = load_matcher(tiny_matchers.save(tmp_path))
    picture = noise(61, 43)
    found, reading = look(matcher, picture, LookOptions(texts=[TEXT])), matcher.read(TEXT)
    pixels = matcher.preprocess(picture.image)[None]
    blocks = [matcher.model.vision_model.encoder.layers, matcher.model.text_model.encoder.layers]
    for layer, i in zip(found.targets.layers, (0, 1, 2), strict=True):
        see = Tower(matcher.embed_images, {"pixel_values": pixels}, {"pixel_values": 0 * pixels}, blocks[0][i])
        blank = {"input_ids": matcher.replace_words_by_padding(reading)}
        tell = Tower(matcher.embed_texts, {"input_ids": reading.ids}, blank, blocks[1][i])
        exact = interactions(see, tell, reading.groups, 16).values
        torch.testing.assert_close(layer.attributions, exact[:, 1:])
        torch.testing.assert_close(layer.elsewhere, exact[:, 0], atol=1e-6, rtol=1e-3)


def test_the_page_and_json(tmp_path, few_steps):
    found = look(load_matcher(tiny_matchers.save(tmp_path)), noise(61, 43), LookOptions(texts=[TEXT]))
    said = content(found.page(tmp_path / "look.html").path)
    assert said["targets"]["names"] == found.targets.words
    assert said["targets"]["text"] == TEXT
    assert said["prefix"] == ["cls"]
    told = found.to_dict()
    assert [one["word"] for one in told["words"]] == found.targets.words
    first = found.targets.layers[0].attributions
    for one, row in zip(told["words"], first, strict=True):
        assert one["adds"] == pytest.approx(float(row.sum()), abs=1e-5)
        torch.testing.assert_close(torch.tensor(one["map"]).flatten(), row, atol=1e-6, rtol=0)
    torch.testing.assert_close(torch.tensor(told["heat"]).flatten(), first.sum(dim=0), atol=1e-6, rtol=0)


@pytest.mark.parametrize("late", [False, True])
def test_numbers_that_add_up_to_the_similarity(late, tmp_path, monkeypatch):
    """As printed: the parts to the similarity, and the words' to the first of the parts."""
    if late:
        monkeypatch.setattr(module, "MAX_COST", 1)
    found = look(load_matcher(tiny_matchers.save(tmp_path)), noise(61, 43), LookOptions(texts=[TEXT]))
    console = Console(file=io.StringIO(), width=120, force_terminal=False)
    found.print_summary(console)
    head, *lines = console.file.getvalue().splitlines()
    parts = [float(line.split()[0]) for line in lines if line.startswith("  ")]
    adds = [float(re.search(r" ([+-]\d\.\d{4}) .*│", line)[1]) for line in lines if "│" in line]
    assert len(parts) == 2 + late
    assert len(adds) == 6
    loose = found.targets.layers[0].gap * 6 + 1e-4
    assert sum(parts) == pytest.approx(float(head.split()[1]), abs=2e-4)
    assert sum(adds) == pytest.approx(parts[0], abs=loose + 3e-4)
    assert abs(parts[-1]) > 10 * loose, "so that the words' numbers alone are not the similarity"
    assert "(begin and end)" in console.file.getvalue()
    told = found.to_dict()
    assert [one["is_word"] for one in told["words"]] == [True] * 5 + [False]
    assert sum(one["adds"] for one in told["words"]) + told["elsewhere"] == pytest.approx(told["shared"], abs=loose)
    assert told["similarity"] - told["shared"] == pytest.approx(parts[-1], abs=1e-4)


def test_steps_are_doubled_until_the_parts_add_up(tmp_path, monkeypatch):
    matcher = load_matcher(tiny_matchers.save(tmp_path))
    asked = []
    real = module.interactions

    def counted(see, tell, groups, steps):
        asked.append(steps)
        return real(see, tell, groups, steps)

    monkeypatch.setattr(module, "interactions", counted)
    monkeypatch.setattr(module, "STEPS", 1)
    found = look(matcher, noise(61, 43), LookOptions(texts=[TEXT]))
    assert len(asked) > 3
    assert all(layer.gap <= 0.01 * max(abs(layer.shared), 0.01) for layer in found.targets.layers)
    assert not found.notes
    monkeypatch.setattr(module, "MAX_STEPS", 1)
    rough = look(matcher, noise(61, 43), LookOptions(texts=[TEXT]))
    assert any("add up to" in note and "only to within" in note for note in rough.notes)


def test_layers_that_take_too_long_are_left_out_and_said(tmp_path, monkeypatch, few_steps):
    monkeypatch.setattr(module, "MAX_COST", 1)
    found = look(load_matcher(tiny_matchers.save(tmp_path)), noise(61, 43), LookOptions(texts=["red"]))
    assert [layer.name for layer in found.targets.layers] == [
        "vision_model.encoder.layers.2, text_model.encoder.layers.2"
    ]
    assert any("attributed at late layers only" in note for note in found.notes)


def test_packed_maps(tmp_path, few_steps):
    import zlib

    layer = look(load_matcher(tiny_matchers.save(tmp_path)), noise(61, 43), LookOptions(texts=[TEXT])).targets.layers[
        -1
    ]
    packed, largest = layer.packed()
    t = (torch.frombuffer(bytearray(zlib.decompress(packed)), dtype=torch.uint8).view(6, 25).float() - 128) / 127
    back = torch.tensor(largest)[:, None] * t * t.abs()
    assert float((back - layer.attributions).abs().max()) <= float(layer.attributions.abs().max()) / 127
    assert (layer.attributions < 0).any()


def test_damaged_weights_are_named(tmp_path):
    matcher = load_matcher(tiny_matchers.save(tmp_path))
    next(matcher.model.vision_model.parameters()).data.fill_(torch.nan)
    with pytest.raises(SaccadeError, match="an embedding is not finite"):
        look(matcher, noise(61, 43), LookOptions(texts=["red"]))


def test_a_tokenizer_of_another_model_is_named(tmp_path):
    """Its mark of the end is not the one where this model reads the text off, so that no word counts."""
    matcher = load_matcher(tiny_matchers.save(tmp_path))
    matcher.model.text_model.eos_token_id = 1
    with pytest.raises(SaccadeError, match=r"'red' as it does a text without words: its tokenizer.json is of another"):
        look(matcher, noise(61, 43), LookOptions(texts=["red"]))
