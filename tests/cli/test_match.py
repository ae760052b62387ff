"""`saccade train match` and `val` on pictures with captions, from files to scores."""

import json

import pytest

from saccade.models import PRESETS

from ..tasks import tiny
from ..tasks.match.matchers import task as match_task

WORDS = {"red": "빨강", "green": "초록", "blue": "파랑"}


@pytest.fixture
def captioned(tmp_path):
    """captioned/{a,b}/COLOUR-I.png, with captions.tsv by stem: two pictures of each name, each with its own caption."""
    rows = ["code\tname\tkeywords\tsplit"]
    for colour, word in WORDS.items():
        for i in range(8):
            for folder in "ab":
                (tmp_path / "captioned" / folder).mkdir(parents=True, exist_ok=True)
                picture = tiny.picture(colour, seed=2 * i + (folder == "b"))
                picture.save(tmp_path / "captioned" / folder / f"{colour}-{i}.png")
            rows.append(f'{colour}-{i}\t"{word}" {colour} {i}\t{colour}, {word}\t{"val" if i < 2 else "train"}')
    (tmp_path / "captioned" / "captions.tsv").write_text("\n".join(rows), encoding="utf-8")
    return tmp_path / "captioned"


@pytest.fixture
def train(saccade, monkeypatch):
    toy = {"depth": 1, "patch": 8, "grid": (2, 2), "positions": ("rotary",)}
    monkeypatch.setitem(PRESETS, "toy", {**toy, "block": {"width": 16, "heads": 2, "hidden": 24}})
    quick = ("--model", "toy", "--size", "16", "--width", "8", "--text-width", "32", "--text-depth", "1", "--epochs",
             "1", "--batch", "8", "--precision", "fp32", "--compile", "no", "--device", "cpu")  # fmt: skip
    return lambda *arguments: saccade("train", "match", *quick, *arguments)


def test_from_captions_to_scores(train, saccade, captioned, tmp_path):
    (captioned / "a" / "red-7.png").write_bytes(b"no picture")
    done = train("--data", captioned, "--name", "words")
    assert done.code == 0, done.err
    for note in (
        "was read as captions in TSV: 36 pictures, 36 captions",
        "quotes in captions.tsv are not those of CSV: they were kept as text",
        "columns of captions.tsv that are not read: keywords",
        "validation: the split val",
        "1 picture or caption was skipped",
    ):
        assert note in done.err, note
    assert "runs/words/model: recall@1" in done.out
    assert "chance recall@1" in done.out
    resumed = saccade("train", "match", "--name", "words", "--resume")
    assert resumed.code == 0, resumed.err
    found = json.loads(saccade("val", captioned, "--split", "val", "--model", "runs/words", "--json").out)
    assert (found["pictures"], found["candidates"], found["skipped"]) == (12, [12, 12], {})
    assert found["chance recall@1"] == pytest.approx(2 / 12)
    assert json.loads((tmp_path / "runs/val-words/scores.json").read_text()) == found
    details = found["details"]["recall@1"]
    assert set(details) == {"value", "low", "high", "n", "chance"}
    assert details["n"] == 12
    table = saccade("val", captioned, "--split", "train", "--model", "runs/words", "--out", "out")
    assert table.code == 0, table.err
    assert "words on 35 pictures" in table.out
    assert "among at most 100 candidates" in table.out
    assert "1 picture or caption was skipped: " in table.out
    assert "red-7.png" in table.out
    assert (tmp_path / "out" / "scores.png").is_file()
    several = saccade("val", captioned, "--model", "runs/words")
    assert "holds the splits val, train; name one" in several.line


def test_held_out_names_beside_the_nearest_captions(train, saccade, captioned):
    table = captioned / "captions.tsv"
    rows = [line.rpartition("\t")[0] for line in table.read_text(encoding="utf-8").splitlines()]
    table.write_text("\n".join(rows).replace('"', ""), encoding="utf-8")
    trained = train("--data", captioned, "--val-fraction", "0.3", "--name", "words")
    assert trained.code == 0, trained.err
    done = saccade("val", captioned, "--held-out", "0.3", "--model", "runs/words", "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert f"{found['pictures'] // 2} names were held out" in trained.err
    assert found["skipped"].keys() == set()
    assert found["nearest caption recall@5"] > found["chance recall@5"] + 0.2  # the names hold the colours
    assert found["nearest caption recall@10 of pictures"] >= found["nearest caption recall@5 of pictures"] > 0
    assert found["details"]["nearest caption recall@5"]["chance"] == found["chance recall@5"]
    for data, arguments, message in (
        (captioned, ("--split", "val"), "--split val and --held-out are given"),
        ("scenes:9,size=32", (), "--held-out is of pictures with captions"),
    ):
        refused = saccade("val", data, "--held-out", "0.3", "--model", "runs/words", *arguments)
        assert message in refused.line


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (("--data", "captioned", "--hard-captions", "3"), "--hard-captions does not apply to a caption set"),
        (("--data", "scenes:100,size=32", "--hflip"), "--hflip does not apply to scenes"),
        (("--data", "photos"), "photos holds no captions that can be read (found: 6 .png)"),
        (("--data", "captioned", "--on-error", "fail"), "names gone, and no picture has this name"),
    ],
)
def test_mistakes(train, captioned, photos, arguments, found):
    with (captioned / "captions.tsv").open("a") as file:
        file.write("\ngone\ta star\t\ttrain")
    done = train(*arguments)
    assert done.code != 0
    assert found in done.line


def test_a_caption_that_is_too_long(train, captioned):
    with (captioned / "captions.tsv").open("a") as file:
        file.write(f"\nred-0\t{'red ' * 257}\t\tval")
    done = train("--data", captioned, "--name", "words")
    assert done.code == 0, done.err
    assert "has 257 words, more than 256: shorten it" in done.err


def test_scenes_have_no_splits(saccade, tmp_path):
    match_task().save(tmp_path / "ours")
    done = saccade("val", "scenes:20,size=32,objects=1-2", "--model", "ours", "--split", "val")
    assert "--split val: scenes have no splits; leave it out" in done.line
    done = saccade("val", "scenes:20,size=32,objects=1-2", "--model", "ours")
    assert done.code == 0, done.err
    assert "Charts of the scores are in" in done.out
    assert (tmp_path / "runs/val-ours/scores.png").is_file()


@pytest.mark.parametrize("family", ["clip", "siglip"])
def test_public_matchers(saccade, captioned, tmp_path, family):
    pytest.importorskip("transformers")
    from ..checkpoints import tiny_matchers

    (tmp_path / family).mkdir()
    tiny_matchers.save(tmp_path / family, family)
    for path in captioned.glob("*.tsv"):
        path.write_text("stem\tcaption\nred-0\ta red ball\nblue-0\tblue star\ngreen-0\ta tab", encoding="utf-8")
    done = saccade("val", captioned, "--model", family, "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert found["pictures"] == 6
    assert found["recall@5"] == 1
    assert found["chance recall@1"] == pytest.approx(1 / 3)
    assert not any(name.startswith("towers") for name in found)
    assert "does not have; give a folder" in saccade("val", "scenes:20", "--model", family).line
