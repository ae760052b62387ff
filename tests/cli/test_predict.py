"""`saccade predict` and `saccade val`."""

import csv
import io
import json
from pathlib import Path

import pytest
from PIL import Image

from saccade.cli.predict import PictureInputs
from saccade.errors import DataError
from saccade.tasks import load

from ..tasks import tiny


def test_a_table(saccade, model, photos):
    completed = saccade("predict", photos, "--model", model)
    assert (completed.code, completed.err) == (0, "")
    for name in ("blue/0.png", "green/1.png", "red/1.png"):
        assert name in completed.out
    assert completed.out.count("%") == 6 * 3


def test_json_csv_and_text_say_the_same(saccade, model, photos, tmp_path):
    result = json.loads(saccade("predict", photos, "--model", model, "--json", "--top", "2").out)
    assert [entry["name"] for entry in result] == [str(p) for p in sorted(photos.rglob("*.png"))]
    task = load(model)
    for entry in result:
        alone = task.predict(entry["name"], top=2)
        assert tuple(entry["labels"]) == alone.labels
        assert entry["probabilities"] == pytest.approx(alone.probabilities, abs=1e-5)
    rows = list(csv.DictReader(io.StringIO(saccade("predict", photos, "--model", model, "--csv", "--top", "2").out)))
    assert [row["name"] for row in rows] == [entry["name"] for entry in result]
    assert [row["label_1"] for row in rows] == [entry["labels"][0] for entry in result]
    for flag, ending in (("--json", "json"), ("--csv", "csv"), (None, "txt")):
        flags = [flag] if flag else []
        completed = saccade("predict", photos, "--model", model, *flags, "--out", f"names.{ending}", "--top", "2")
        assert (completed.code, completed.out) == (0, "")
        assert f"Results: 6, in names.{ending}" in completed.err
    assert json.loads((tmp_path / "names.json").read_text()) == result
    assert list(csv.DictReader(io.StringIO((tmp_path / "names.csv").read_text()))) == rows
    assert len((tmp_path / "names.txt").read_text().splitlines()) == 6


def test_precision(saccade, model, photos):
    def shares(*options):
        completed = saccade("predict", photos, "--model", model, "--json", *options)
        assert completed.code == 0, completed.err
        found = [dict(zip(e["labels"], e["probabilities"], strict=True)) for e in json.loads(completed.out)]
        return [entry[colour] for entry in found for colour in tiny.COLOURS]

    exact, coarse = shares(), shares("--precision", "bf16")
    assert shares("--precision", "fp32") == exact
    assert coarse != exact
    assert coarse == pytest.approx(exact, abs=0.05)


def test_files_folders_and_patterns(saccade, model, photos, red):
    completed = saccade("predict", red, "photos/*/0.png", photos / "blue", "--model", model, "--json")
    names = [entry["name"] for entry in json.loads(completed.out)]
    assert names == [
        str(red), "photos/blue/0.png", "photos/green/0.png", "photos/red/0.png",
        str(photos / "blue/0.png"), str(photos / "blue/1.png"),
    ]  # fmt: skip


@pytest.mark.parametrize(("given", "message"), [("*.tiff", "no picture matches"), ("empty", "holds no pictures")])
def test_nothing_to_predict(saccade, model, tmp_path, given, message):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("x")
    result = saccade("predict", given, "--model", model)
    assert result.code == 1
    assert message in result.line


def test_unreadable_pictures_are_left_out_and_counted(saccade, model, photos):
    (photos / "blue" / "0.png").write_bytes(b"junk")
    (photos / "green" / "1.png").write_bytes(b"")
    completed = saccade("predict", photos, "--model", model, "--json")
    assert completed.code == 0
    assert len(json.loads(completed.out)) == 4
    assert "2 pictures were skipped" in completed.err
    assert "blue/0.png" in completed.err
    failed = saccade("predict", photos, "--model", model, "--on-error", "fail")
    assert failed.code == 1
    assert "blue/0.png" in failed.line


def test_nothing_readable_at_all(saccade, model, tmp_path):
    (tmp_path / "a.png").write_bytes(b"junk")
    completed = saccade("predict", "a.png", "--model", model)
    assert completed.code == 1
    assert "a.png is not a picture" in completed.line
    (tmp_path / "b.png").write_bytes(b"junk")
    assert "none of 2 pictures could be read" in saccade("predict", "a.png", "b.png", "--model", model).line


def test_drawings_of_runs_are_no_pictures_to_predict(saccade, model, red, tmp_path):
    for name in ("seven", "twenty"):
        run = tmp_path / "runs" / name
        run.mkdir(parents=True)
        tiny.picture("blue").save(run / "data.png")
        (run / "config.json").write_text(json.dumps({"recipe": {}, "source": {}}))
        (run / "log.jsonl").touch()
    found = saccade("predict", ".", "--model", model, "--json")
    assert [Path(each["name"]).name for each in json.loads(found.out)] == ["red.png"]
    left = "2 folders of runs of Saccade inside the set were left out: "
    assert found.err.strip() == f"note: {left}runs/seven, runs/twenty"
    assert f"(found: nothing; {left}seven, twenty)" in saccade("predict", "runs", "--model", model).line
    assert len(json.loads(saccade("predict", "runs/seven", "runs/*/*.png", "--model", model, "--json").out)) == 2


def test_results_do_not_replace_a_model(saccade, model, red, tmp_path):
    for name in ("config.json", "model.safetensors"):
        before = (model / name).read_bytes()
        assert "is a file of a model" in saccade("predict", red, "--model", model, "--out", model / name).line
        assert (model / name).read_bytes() == before


@pytest.mark.parametrize(("out", "named"), [("nowhere/names.csv", "nowhere is not a folder"), (".", ". is a folder")])
def test_an_out_that_cannot_be_written(saccade, model, red, out, named):
    completed = saccade("predict", red, "--model", model, "--out", out)
    assert completed.code == 1
    assert named in completed.line


HOSTILE = [
    "with space.png", "[bold]red.png", "[red on blue]x[red].png", "[link=x]y.png", ":smile:.png",
    "고양이.png", "two\nlines.png", "bell\a\x1b[31m.png", "'; rm -rf x.png", "100% {x} \\n.png",
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_shown_as_they_are(saccade, model, tmp_path, name):
    tiny.picture("red").save(tmp_path / name)
    readable = name.replace("\n", "\\n").replace("\a", "\\x07").replace("\x1b", "\\x1b")
    table = saccade("predict", tmp_path / name, "--model", model)
    assert (table.code, table.err) == (0, "")
    assert readable in table.out
    assert "\x1b" not in table.out
    assert "\a" not in table.out
    (entry,) = json.loads(saccade("predict", tmp_path / name, "--model", model, "--json").out)
    assert entry["name"].endswith(name)
    look = saccade("look", tmp_path / name, "--model", model, "--out", tmp_path / f"{name}.html")
    assert look.code == 0
    assert f"{readable}.html" in look.out
    assert "\x1b" not in look.out
    assert (tmp_path / f"{name}.html").is_file()


@pytest.mark.parametrize("name", ["--json", "-x", "--debug"])
def test_names_like_options(saccade, model, tmp_path, name):
    tiny.picture("red").save(tmp_path / name, format="PNG")
    for arguments in ([f"./{name}", "--model", model], ["--model", model, "--", name]):
        completed = saccade("predict", *arguments)
        assert completed.code == 0, completed.err
        assert name in completed.out


def test_names_and_labels_are_no_formulas_in_a_table(saccade, tmp_path):
    tiny.task(("=HYPERLINK(1)", "@cat", "dog")).save(tmp_path / "m")
    tiny.picture("red").save(tmp_path / "=1+1.png")
    completed = saccade("predict", "=1+1.png", "--model", "m", "--csv")
    (row,) = csv.reader(io.StringIO(completed.out.split("\n", 1)[1]))
    assert row[0] == "'=1+1.png"
    assert sorted(row[1:7:2]) == ["'=HYPERLINK(1)", "'@cat", "dog"]
    assert all(0 < float(share) < 1 for share in row[2:7:2])
    margin, unsure, *unknown = row[7:]  # a model without an out-of-distribution detector
    assert float(margin) == pytest.approx(float(row[2]) - float(row[4]), abs=2e-6)
    assert unsure == str(int(float(margin) < 0.1))
    assert unknown == ["", "", ""]
    (entry,) = json.loads(saccade("predict", "=1+1.png", "--model", "m", "--json").out)
    assert entry["name"] == "=1+1.png"  # a program reads it as it is


def test_hostile_labels_and_model_names_are_shown_as_they_are(saccade, tmp_path, red):
    labels = ("[red]a[/red]", "[/b]", ":smile:")
    tiny.task(labels).save(tmp_path / "[bold]m")
    for command in ("predict", "look"):
        completed = saccade(command, red, "--model", "[bold]m")
        assert completed.code == 0, completed.err
        assert "[red]a[/red]" in completed.out
        assert "[/b]" in completed.out
        assert ":smile:" in completed.out
    assert "[bold]m" in completed.out


def test_a_long_name_stays_on_its_line(saccade, model, tmp_path):
    name = "a" * 200 + ".png"
    tiny.picture("red").save(tmp_path / name)
    assert name in saccade("predict", tmp_path / name, "--model", model).out


def test_val(saccade, model, photos, tmp_path):
    completed = saccade("val", photos, "--model", model, "--out", "scores")
    assert completed.code == 0
    for part in ("tiny on 6 pictures", "top1", "top5", "ece", *tiny.COLOURS, "scores"):
        assert part in completed.out
    for name in ("confusion.png", "calibration.png"):
        with Image.open(tmp_path / "scores" / name) as drawn:
            drawn.load()
    result = json.loads((tmp_path / "scores" / "scores.json").read_text())
    assert result["pictures"] == 6
    assert result["skipped"] == {}
    assert result["top1"] == pytest.approx(sum(result["per_class"].values()) / 3)
    task = load(model)
    right = [task.predict(p).label == p.parent.name for p in sorted(photos.rglob("*.png"))]
    assert result["top1"] == pytest.approx(sum(right) / 6)
    assert json.loads(saccade("val", photos, "--model", model, "--json").out) == result
    assert (tmp_path / "runs" / "val-tiny" / "scores.json").is_file()


def test_val_of_a_split_and_of_skipped_pictures(saccade, model, tmp_path):
    tiny.folder(tmp_path / "set" / "train", each=2)
    tiny.folder(tmp_path / "set" / "test", each=3)
    (tmp_path / "set" / "test" / "red" / "2.png").write_bytes(b"junk")
    assert "splits" in saccade("val", "set", "--model", model).line
    completed = saccade("val", "set", "--split", "test", "--model", model, "--json")
    assert json.loads(completed.out)["pictures"] == 8
    assert list(json.loads(completed.out)["skipped"]) == ["red/2.png"]
    assert "1 picture was skipped" in saccade("val", "set", "--split", "test", "--model", model).out
    failed = saccade("val", "set", "--split", "test", "--model", model, "--on-error", "fail")
    assert failed.code == 1
    assert "red/2.png" in failed.line


def test_pictures_are_decoded_ahead_and_each_keeps_its_place(tmp_path, monkeypatch):
    """More pictures than are decoded at once, some of which cannot be read; large ones wait for the model alone."""
    for i in range(23):
        Image.new("RGB", (5 + i, 7)).save(tmp_path / f"{i:02}.png")
    for i in (0, 11, 22):
        (tmp_path / f"{i:02}.png").write_bytes(b"not a picture")
    files = sorted(tmp_path.glob("*.png"))
    for waiting in (1 << 28, 1):
        monkeypatch.setattr("saccade.cli.predict.WAITING_BYTES", waiting)
        inputs = PictureInputs(files, "skip", keep_pictures=False)
        for picture in inputs:
            frame = inputs.pending.popleft()
            assert (str(frame.file), picture.image.width) == (picture.name, 5 + files.index(frame.file))
        assert list(inputs.skipped) == [str(files[i]) for i in (0, 11, 22)]
    read, failing = [], PictureInputs(files[1:], "fail", keep_pictures=False)
    with pytest.raises(DataError, match=r"11\.png is not a picture"):
        read.extend(picture.name for picture in failing)
    assert read == list(map(str, files[1:11]))


def test_val_of_other_classes(saccade, model, tmp_path):
    tiny.folder(tmp_path / "set", classes=("blue", "red"))
    completed = saccade("val", "set", "--model", model)
    assert completed.code == 0
    assert "has no picture of green" in completed.err
    tiny.folder(tmp_path / "other", classes=("blue", "red"))
    (tmp_path / "other" / "red").rename(tmp_path / "other" / "pink")
    completed = saccade("val", "other", "--model", model)
    assert completed.code == 1
    assert "adds pink" in completed.line


def test_val_with_an_out_that_cannot_be_made(saccade, model, photos, red):
    completed = saccade("val", photos, "--model", model, "--out", red)
    assert completed.code == 1
    assert "red.png" in completed.line


def test_val_writes_nothing_into_its_data(saccade, model, tmp_path):
    tiny.folder(tmp_path / "set", each=1)
    before = sorted((tmp_path / "set").rglob("*"))
    for out in ("set", "set/red/scores"):
        completed = saccade("val", "set", "--model", model, "--out", out)
        assert completed.code == 1
        assert f"{out} lies inside set, which is never written to; choose another folder" in completed.err
    assert sorted((tmp_path / "set").rglob("*")) == before


@pytest.mark.parametrize("form", ["--csv", "--json"])
def test_results_for_a_closed_output_are_not_lost_without_a_word(saccade, model, photos, monkeypatch, form):
    monkeypatch.setattr("saccade.cli.results.sys.stdout", None)
    completed = saccade("predict", photos, "--model", model, form)
    assert completed.code == 2
    assert "standard output is closed, and the results were to be printed there: give --out FILE" in completed.err


def test_doubts_are_in_every_form(saccade, tmp_path):
    Image.new("RGB", (64, 64), "red").save(tmp_path / "plain.png")
    table = saccade("predict", "plain.png", "--model", "cifar").out
    assert "cifar answers with one of 10 things: airplane, automobile, bird" in table
    assert "unlike the training pictures" in table
    (entry,) = json.loads(saccade("predict", "plain.png", "--model", "cifar", "--json").out)
    assert entry["out_of_distribution"] is True
    assert entry["out_of_distribution_score"] > entry["out_of_distribution_threshold"]
    (row,) = csv.DictReader(io.StringIO(saccade("predict", "plain.png", "--model", "cifar", "--csv").out))
    assert row["out_of_distribution"] == "1"
    assert float(row["out_of_distribution_score"]) == entry["out_of_distribution_score"]
    looked = saccade("look", "plain.png", "--model", "cifar").out
    assert "it may be none of its 10 things" in " ".join(looked.split())
    assert "it saw the whole picture, reduced to 32 x 32 and enlarged to 40 x 40 pixels" in looked


def test_a_validation_that_fails_leaves_no_folder(saccade, model, photos, tmp_path):
    assert saccade("val", photos, "--model", model, "--split", "none", "--out", "scored").code == 1
    assert not (tmp_path / "scored").exists()
