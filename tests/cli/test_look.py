"""`saccade look`."""

import json
import os

import pytest
import torch

from ..studio import detectors, segmenters
from ..tasks import tiny


def test_it_says_what_it_sees_and_writes_the_page(saccade, model, red, tmp_path):
    completed = saccade("look", red, "--model", model)
    assert (completed.code, completed.err) == (0, "")
    for part in (
        "tiny",
        "4 x 4 patches",
        *tiny.COLOURS,
        "attention through all layers (rollout): dark",
        "saccade-look.html",
    ):
        assert part in completed.out
    page = (tmp_path / "saccade-look.html").read_text(encoding="utf-8")
    assert page.lower().startswith("<!doctype html>")
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_json(saccade, model, red, tmp_path):
    completed = saccade("look", red, "--model", model, "--json", "-o", "page.html")
    assert completed.code == 0
    result = json.loads(completed.out)
    assert result["grid"] == [4, 4]
    assert [len(row) for row in result["heat"]] == [4] * 4
    assert 0 < sum(map(sum, result["heat"])) <= 1
    assert sorted(result["prediction"]["labels"]) == sorted(tiny.COLOURS)
    assert result["page"]["path"] == "page.html"
    assert result["page"]["bytes"] == (tmp_path / "page.html").stat().st_size
    assert json.loads(saccade("look", red, "--model", model, "--json").out)["heat"] == result["heat"]


def test_a_detector_says_what_it_finds_and_where_it_looks(saccade, tmp_path):
    detectors.task().save(tmp_path / "finder")
    detectors.noise().image.save(tmp_path / "noise.png")
    completed = saccade("look", "noise.png", "--model", "finder", "--threshold", "0.3")
    assert (completed.code, completed.err) == (0, "")
    for part in ("finder", "attention inside", "box covers", *detectors.RELATIONS, "click an object"):
        assert part in completed.out
    assert "no classification head" not in completed.out
    report = json.loads(saccade("look", "noise.png", "--model", "finder", "--threshold", "0.3", "--json").out)
    objects = report["prediction"]["objects"]
    assert all(one["score"] >= 0.3 and len(one["attention_in_box"]) == 2 and one["box_share"] <= 1 for one in objects)
    assert {one["relation"] for one in report["prediction"]["relations"]} <= set(detectors.RELATIONS)
    page = (tmp_path / "saccade-look.html").read_text(encoding="utf-8")
    assert page.count('id="targets-') == 2
    none = saccade("look", "noise.png", "--model", "finder", "--threshold", "1")
    assert none.code == 0
    assert "nothing is found at 100%" in none.out
    assert saccade("look", "noise.png", "--model", "finder", "--threshold", "1.5").code == 2


def test_a_segmenter_says_its_classes_and_where_their_tokens_look(saccade, tmp_path):
    segmenters.task().save(tmp_path / "parts")
    detectors.noise(48, 40).image.save(tmp_path / "noise.png")
    completed = saccade("look", "noise.png", "--model", "parts")
    assert (completed.code, completed.err) == (0, "")
    for part in ("parts", "5 x 6 patches", "share", "attention inside", "road", "click a class"):
        assert part in completed.out
    report = json.loads(saccade("look", "noise.png", "--model", "parts", "--json").out)
    shares = report["prediction"]["classes"]
    assert sum(shares.values()) == pytest.approx(1, abs=1e-4)
    assert json.loads(saccade("predict", "noise.png", "--model", "parts", "--json").out)[0]["classes"] == shares
    assert report["prediction"]["attention"].keys() == shares.keys()
    page = (tmp_path / "saccade-look.html").read_text(encoding="utf-8")
    assert page.count('id="targets-') == 4, "two layers, the mask, what patches are taken for"
    assert json.loads(saccade("look", "noise.png", "--model", "parts", "--size", "40", "--json").out)["grid"] == [
        10,
        12,
    ]


def test_without_a_picture_one_is_drawn(saccade, model):
    completed = saccade("look", "--model", model)
    assert completed.code == 0
    assert "No picture was given" in completed.out
    quiet = saccade("look", "--model", model, "--json")
    assert "No picture was given" in quiet.err
    assert json.loads(quiet.out)["prediction"]["name"] == "a drawn picture"


def test_the_embedded_model_looks(saccade, red):
    from saccade.tasks import bundled

    if not bundled():
        assert "bundled are none" in saccade("look", red).line
        pytest.skip("no model is bundled in this copy of the library")
    completed = saccade("look", red)
    assert completed.code == 0
    assert "tiny-imagenet answers with one of 200 things" in completed.out


def test_words_of_a_text_and_patches(saccade, red, tmp_path):
    pytest.importorskip("transformers")
    from ..checkpoints import tiny_matchers

    (tmp_path / "clip").mkdir()
    tiny_matchers.save(tmp_path / "clip")
    completed = saccade("look", red, "--model", "clip", "--text", "a red table")
    assert completed.code == 0
    for part in ("clip", "5 x 5 patches", "similarity", "table", "begin and end", "click a word"):
        assert part in completed.out
    report = json.loads(saccade("look", red, "--model", "clip", "--text", "a red table", "--json").out)
    assert [one["word"] for one in report["words"]] == ["a", "red", "table", "begin and end"]
    assert all(len(one["map"]) == 5 for one in report["words"])
    assert -1 <= report["similarity"] <= 1
    page = (tmp_path / "saccade-look.html").read_text(encoding="utf-8")
    assert page.count('id="targets-') == 3
    plain = saccade("look", red, "--model", "clip")
    assert plain.code == 0
    assert "give --text" in plain.out, "its picture tower alone"
    for text, found in (("", "--text is empty"), (" ", "--text is empty"), ("a " * 30, "use fewer words")):
        refused = saccade("look", red, "--model", "clip", "--text", text)
        assert refused.code == 1
        assert found in refused.line
    sized = saccade("look", red, "--model", "clip", "--text", "red", "--size", "70")
    assert sized.code == 1
    assert "--size is not for clip" in sized.line


def test_text_for_a_model_without_text(saccade, model, red):
    for name in (model, "cifar"):
        completed = saccade("look", red, "--model", name, "--text", "a cat")
        assert completed.code == 1
        assert (
            "a model that matches text with pictures is needed" in completed.line
            or "there is no model" in completed.line
        )


def test_a_picture_tower_that_is_read_without_text_too(saccade, red, tmp_path):
    pytest.importorskip("transformers")
    from ..checkpoints import tiny_matchers

    (tmp_path / "siglip").mkdir()
    tiny_matchers.save(tmp_path / "siglip", "siglip")
    completed = saccade("look", red, "--model", "siglip")
    assert completed.code == 0
    assert "this model reads text too: give --text" in completed.out
    assert saccade("look", red, "--model", "siglip", "--text", "red").code == 0


def test_size(saccade, model, red):
    finer = json.loads(saccade("look", red, "--model", model, "--size", "24", "--json").out)
    assert finer["grid"] == [6, 6]
    assert finer["notes"] == []
    odd = json.loads(saccade("look", red, "--model", model, "--size", "27", "--json").out)
    assert odd["grid"] == [6, 6]
    assert odd["heat"] == finer["heat"]
    assert "24 is used" in odd["notes"][0]
    assert "27 is not a multiple of the patch" in saccade("look", red, "--model", model, "--size", "27").out
    small = saccade("look", red, "--model", model, "--size", "3")
    assert small.code == 1
    assert "less than one patch of 4" in small.line


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
@pytest.mark.parametrize("command", ["look", "predict"])
def test_a_device_that_is_not_there(saccade, model, red, tmp_path, command):
    completed = saccade(command, red, "--model", model, "--device", "cuda")
    assert completed.code == 1
    assert "no device 'cuda' here; there is cpu" in completed.line
    assert not (tmp_path / "saccade-look.html").exists()
    assert saccade(command, red, "--model", model, "--device", "cpu").code == 0


def test_notes_of_the_picture_are_reported(saccade, model, tmp_path):
    tiny.picture("red").convert("RGBA").save(tmp_path / "clear.png")
    picture = tiny.picture("red").convert("RGBA")
    picture.putalpha(99)
    picture.save(tmp_path / "clear.png")
    assert "transparency laid on white" in saccade("look", "clear.png", "--model", model).out


@pytest.mark.parametrize("content", [b"", b"text", b"\x89PNG\r\n\x1a\n" + b"\0" * 40])
def test_a_picture_that_cannot_be_read(saccade, model, tmp_path, content):
    (tmp_path / "bad.png").write_bytes(content)
    completed = saccade("look", "bad.png", "--model", model)
    assert completed.code == 1
    assert "bad.png" in completed.line


def test_a_folder_is_no_picture(saccade, model, photos):
    completed = saccade("look", photos, "--model", model)
    assert completed.code == 1
    assert "is a folder" in completed.line


@pytest.mark.parametrize(
    ("out", "named"),
    [("nowhere/page.html", "nowhere is not a folder"), (".", "."), ("/proc/page.html", "/proc/page.html")],
)
def test_a_page_that_cannot_be_written(saccade, model, red, out, named):
    completed = saccade("look", red, "--model", model, "--out", out)
    assert completed.code == 1
    assert named in completed.line


def test_the_page_does_not_replace_the_picture(saccade, model, red):
    before = red.read_bytes()
    for command in ("look", "predict"):
        completed = saccade(command, red, "--model", model, "--out", red)
        assert completed.code == 1
        assert "would destroy it" in completed.line
    assert red.read_bytes() == before


def test_the_page_replaces_no_model(saccade, model, red, tmp_path):
    before = (model / "model.safetensors").read_bytes()
    for out in (model / "model.safetensors", tmp_path / "page.png"):
        completed = saccade("look", red, "--model", model, "--out", out)
        assert completed.code == 2
        assert "give a name that ends in .html" in completed.line
    assert (model / "model.safetensors").read_bytes() == before
    assert saccade("look", red, "--model", model, "--out", os.devnull).code == 0


def test_pickles_and_other_files_are_refused(saccade, red, tmp_path):
    (tmp_path / "weights.pth").write_bytes(b"\x80\x04cos\nsystem\n")
    completed = saccade("look", red, "--model", "weights.pth")
    assert completed.code == 1
    assert "pickle" in completed.line
    assert saccade("look", red, "--model", red).code == 1
    (tmp_path / "cut.safetensors").write_bytes(b"\xff\0\0\0\0\0\0\0{")
    completed = saccade("look", red, "--model", "cut.safetensors")
    assert completed.code == 1
    assert "not a complete safetensors file" in completed.line


def test_a_model_without_a_head_only_looks(saccade, red, tmp_path):
    from saccade.checkpoints import save_checkpoint

    task = tiny.task(positions=("learned",), antialias=False, block={
        "width": 16, "heads": 2, "hidden": 24, "norm": "layer", "bias": True, "qk_norm": False,
    })  # fmt: skip
    save_checkpoint(task.vit, tmp_path / "bare", "vit")
    completed = saccade("look", red, "--model", "bare")
    assert completed.code == 0
    assert "has no classification head" in completed.out
    assert json.loads(saccade("look", red, "--model", "bare", "--json").out)["prediction"] is None
    refused = saccade("predict", red, "--model", "bare")
    assert refused.code == 1
    assert "has no head to predict with" in refused.line


def test_open_opens_the_page(saccade, model, red, tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    assert saccade("look", red, "--model", model, "--open", "-o", "my page.html").code == 0
    assert opened == [(tmp_path / "my page.html").resolve().as_uri()]
