"""`saccade search`, and texts ranked by `predict` and `look`."""

import json
import math
import os
import sys

import pytest
from PIL import Image

pytest.importorskip("transformers")

from saccade.tasks.match.index import PictureIndex

from ..checkpoints import tiny_matchers
from ..tasks import tiny
from ..tasks.match.matchers import task as match_task


@pytest.fixture
def clip(tmp_path):
    (tmp_path / "clip").mkdir()
    return tiny_matchers.save(tmp_path / "clip")


@pytest.fixture
def siglip(tmp_path):
    (tmp_path / "siglip").mkdir()
    return tiny_matchers.save(tmp_path / "siglip", "siglip")


def hits(run):
    assert run.code == 0, run.err
    return json.loads(run.out)


def test_pictures_are_ranked(saccade, photos, clip):
    found = hits(saccade("search", "a red ball", photos, "--model", clip, "--json"))
    scores = [hit["score"] for hit in found["hits"]]
    assert (found["text"], found["pictures"], len(scores), found["skipped"]) == ("a red ball", 6, 6, {})
    assert scores == sorted(scores, reverse=True)
    for hit in found["hits"]:
        alone = json.loads(
            saccade("predict", photos / hit["path"], "--model", clip, "--text", "a red ball", "--json").out
        )
        assert alone[0]["texts"][0]["similarity"] == pytest.approx(hit["score"], abs=1e-5)
    two = hits(saccade("search", "a red ball", photos, "--model", clip, "--json", "--top", "2"))
    assert two["hits"] == found["hits"][:2]
    table = saccade("search", "a red ball", photos, "--model", clip)
    assert (table.code, table.err) == (0, "")
    assert table.out.index(found["hits"][0]["path"]) < table.out.index(found["hits"][1]["path"])
    assert "gives no probabilities" in table.out


def test_drawings_of_runs_are_not_searched(saccade, photos, clip):
    run = photos / "runs" / "seven"
    run.mkdir(parents=True)
    tiny.picture("blue").save(run / "data.png")
    (run / "config.json").write_text(json.dumps({"recipe": {}, "source": {}}))
    (run / "log.jsonl").touch()
    found = saccade("search", "a red ball", photos, "--model", clip, "--json")
    assert hits(found)["pictures"] == 6
    assert found.err.strip() == "note: 1 folder of a run of Saccade inside the set was left out: runs/seven"


def test_probabilities_of_siglip(saccade, photos, siglip):
    found = hits(saccade("search", "a red ball", photos, "--model", siglip, "--json"))
    alone = json.loads(
        saccade("predict", photos / found["hits"][0]["path"], "--model", siglip, "--text", "a red ball", "--json").out
    )
    assert found["hits"][0]["score"] == pytest.approx(alone[0]["texts"][0]["score"], abs=1e-5)


def test_the_head_of_a_matcher_ranks(saccade, photos, tmp_path):
    match_task().save(tmp_path / "ours")
    found = hits(saccade("search", "a red ball", photos, "--model", "ours", "--json"))
    scores = [hit["score"] for hit in found["hits"]]
    assert scores == sorted(scores, reverse=True)
    assert len(set(scores)) > 1
    for hit in found["hits"]:
        alone = json.loads(
            saccade("predict", photos / hit["path"], "--model", "ours", "--text", "a red ball", "--json").out
        )
        assert alone[0]["texts"][0]["score"] == pytest.approx(hit["score"], abs=1e-5)


def test_a_model_of_drawn_scenes_says_so(saccade, photos, clip):
    warning = "matcher was trained on drawn scenes: what it answers to a photograph means little"
    assert warning in saccade("search", "a red star", photos).out
    assert "drawn scenes" not in saccade("search", "a red star", photos, "--model", clip).out


def test_the_index_follows_the_folder(saccade, photos, clip, tmp_path, monkeypatch):
    from saccade.tasks.match.public import PublicMatchTask

    encoded = []
    encode = PublicMatchTask.encode_pictures

    def counted(self, pictures):
        encoded.extend(os.path.relpath(picture.name, photos) for picture in pictures)
        return encode(self, pictures)

    monkeypatch.setattr(PublicMatchTask, "encode_pictures", counted)

    def paths():
        encoded.clear()
        found = hits(saccade("search", "red", photos, "--model", clip, "--json", "--top", "100"))
        return {hit["path"] for hit in found["hits"]}

    first = paths()
    assert set(encoded) == first
    assert paths() == first
    assert encoded == []
    tiny.picture("green", seed=9).save(photos / "red" / "1.png")
    tiny.picture("blue", seed=9).save(photos / "new.png")
    (photos / "blue" / "0.png").unlink()
    assert paths() == first - {"blue/0.png"} | {"new.png"}
    assert set(encoded) == {"new.png", "red/1.png"}
    (file,) = (tmp_path / "runs" / "search-clip").iterdir()
    assert [entry.path for entry in PictureIndex.open(file).entries][-1] == "red/1.png", "in the order of the files"
    (photos / "new.png").unlink()
    assert "new.png" not in paths()
    assert encoded == []


def test_an_index_by_another_model_is_made_anew(saccade, photos, clip, siglip):
    first = saccade("search", "red", photos, "--model", clip, "--json", "--index", "kept.index")
    assert (first.code, first.err) == (0, "")
    second = saccade("search", "red", photos, "--model", siglip, "--json", "--index", "kept.index")
    assert "kept.index is by another model or another version of it: it is made anew" in second.err
    assert json.loads(second.out)["pictures"] == 6
    third = saccade("search", "red", photos, "--model", siglip, "--json", "--index", "kept.index")
    assert third.err == ""
    assert third.out == second.out


def test_the_sheet(saccade, photos, clip, tmp_path):
    done = saccade("search", "빨간 공", photos, "--model", clip, "--sheet", "found.png", "--top", "4")
    assert (done.code, done.err) == (0, "")
    assert "found.png" in done.out
    with Image.open(tmp_path / "found.png") as sheet:
        colours = {pixel for _, pixel in sheet.getcolors(sheet.width * sheet.height)}
        assert sheet.width == 12 + 4 * 172
        assert len(colours) > 500, "it shows the pictures"


def test_pictures_that_cannot_be_read(saccade, photos, clip):
    (photos / "broken.png").write_bytes(b"no picture")
    done = saccade("search", "red", photos, "--model", clip, "--json")
    assert "1 picture was skipped" in done.err
    assert list(json.loads(done.out)["skipped"]) == ["broken.png"]
    assert json.loads(done.out)["pictures"] == 6
    failed = saccade("search", "red", photos, "--model", clip, "--on-error", "fail", "--index", "other")
    assert failed.code == 1
    assert "broken.png" in failed.line


@pytest.mark.parametrize(
    ("arguments", "code", "found"),
    [
        ((" ", "photos"), 2, "the text is empty: give the words to look for"),
        (("red", "nosuch"), 1, "nosuch does not exist"),
        (("photos", "a red star"), 2, "a red star does not exist: the text comes first, then the folder"),
        (("red", "photos/red/0.png"), 1, "0.png is a file: give the folder"),
        (("red", "photos", "--sheet", "sheet.jpg"), 2, "give a name that ends in .png"),
        (("red", "photos", "--sheet", "no/sheet.png"), 1, "no is not a folder"),
        (("red", "photos", "--index", "photos/red/0.png"), 1, "writing there would destroy it"),
        (("red", "photos", "--top", "0"), 2, "Must be >= 1"),
        (("red", "photos", "--model", "nosuch"), 1, "there is no model 'nosuch'"),
        (("red", "photos", "--model", "clip", "--index", "clip/config.json"), 1, "is no index of pictures"),
        (("a " * 30, "photos", "--model", "clip"), 1, "use fewer words"),
    ],
)
def test_mistakes(saccade, photos, clip, arguments, code, found):
    done = saccade("search", *arguments)
    assert done.code == code
    assert found in done.line


def test_approximate_search(saccade, photos, clip, tmp_path, monkeypatch):
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "usearch", None)
        assert "which is not installed" in saccade("search", "red", photos, "--model", clip, "--approximate").line
    pytest.importorskip("usearch")
    exact, found = (
        json.loads(saccade("search", "red", photos, "--model", clip, "--index", "i", "--json", *more).out)
        for more in ((), ("--approximate",))
    )
    assert [hit["path"] for hit in found["hits"]] == [hit["path"] for hit in exact["hits"]]
    assert list(tmp_path.glob("i.*.usearch"))


def test_a_classifier_does_not_search(saccade, photos, model):
    assert "does not match texts with pictures" in saccade("search", "red", photos, "--model", model).line


@pytest.mark.parametrize("family", ["clip", "siglip"])
def test_look_ranks_several_texts(saccade, red, tmp_path, family):
    (tmp_path / family).mkdir()
    tiny_matchers.save(tmp_path / family, family)
    texts = ("--text", "a red ball", "--text", "blue star", "--text", "a tab")
    done = saccade("look", red, "--model", family, *texts)
    assert (done.code, done.err) == (0, "")
    assert "unrelated texts ('" in done.out
    found = json.loads(saccade("look", red, "--model", family, *texts, "--json").out)
    assert {each["text"] for each in found["texts"]} == {"a red ball", "blue star", "a tab"}
    assert found["text"] == found["texts"][0]["text"], "the page shows the best"
    assert found["similarity"] == pytest.approx(found["texts"][0]["similarity"], abs=1e-5)
    assert len(found["unrelated"]) == 7
    ranked = json.loads(saccade("predict", red, "--model", family, *texts, "--json").out)
    assert ranked[0]["texts"] == found["texts"]
    empty = saccade("look", red, "--model", family, "--text", "red", "--text", " ")
    assert "--text is empty" in empty.line


def test_look_with_a_matcher_of_ours(saccade, red, tmp_path):
    match_task().save(tmp_path / "ours")
    done = saccade("look", red, "--model", "ours", "--text", "a red ball", "--text", "blue")
    assert done.code == 0, done.err
    for part in ("a red ball", "blue", "each on its own", "to the patch in", "click a word"):
        assert part in done.out
    plain = saccade("look", red, "--model", "ours", "--json")
    assert plain.code == 0
    assert "words" not in json.loads(plain.out)
    found = json.loads(saccade("look", red, "--model", "ours", "--text", "a red ball", "--json").out)
    assert found["texts"][0]["text"] == found["text"] == "a red ball"
    assert [each["word"] for each in found["words"]] == ["a", "red", "ball"]
    for each in found["words"]:
        assert sum(map(sum, each["map"])) == pytest.approx(1, abs=1e-4)
    logits = [each["logit"] for each in found["words"]]
    worst = -math.log(sum(math.exp(-logit) for logit in logits) / 3)
    assert found["texts"][0]["score"] == pytest.approx(1 / (1 + math.exp(-worst)), abs=1e-4)
    finer = saccade("look", red, "--model", "ours", "--text", "red", "--size", "24", "--json")
    assert [len(row) for row in json.loads(finer.out)["words"][0]["map"]] == [6] * 6
