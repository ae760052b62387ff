"""`saccade train classify`, from pictures to predictions."""

import json
import re
import shutil
import signal
from multiprocessing.reduction import ForkingPickler

import pytest
import torch
from safetensors.torch import load_file

from saccade.models import PRESETS
from saccade.tasks import ClassifyTraining
from saccade.train.batches import Batches

from ..tasks import tiny


@pytest.fixture
def train(saccade, monkeypatch, tmp_path):
    toy = {"depth": 2, "patch": 4, "positions": ("rotary",), "block": {"width": 16, "heads": 2, "hidden": 24}}
    monkeypatch.setitem(PRESETS, "toy", toy)
    tiny.folder(tmp_path / "set", each=8)
    quick = {
        "--data": "set", "--model": "toy", "--size": "16", "--epochs": "2", "--batch": "8", "--precision": "fp32",
        "--compile": "no", "--device": "cpu", "--val-fraction": "0.25",
    }  # fmt: skip

    def run(*arguments):
        usual = [part for option, value in quick.items() if option not in arguments for part in (option, value)]
        return saccade("train", "classify", *usual, *arguments)

    return run


def test_from_pictures_to_predictions(train, saccade, tmp_path):
    completed = train("--name", "colours", "--epochs", "25", "--ema", "0.9", "--no-progressive-resize")
    assert completed.code == 0, completed.err
    assert "6 pictures (25%" in completed.err
    assert "runs/colours/model: top1" in completed.out
    run = tmp_path / "runs" / "colours"
    assert {p.name.split(".")[0] for p in run.glob("[!.]*")} == {"config", "data", "log", "events", "model", "state"}
    assert all(json.loads(line) for line in (run / "log.jsonl").read_text().splitlines())
    assert (run / "data.png").read_bytes().startswith(b"\x89PNG")
    scores = json.loads(saccade("val", "set", "--model", run, "--json").out)
    other = saccade("val", "set")
    assert other.code == 1
    assert other.err.strip().endswith("; the model is tiny-imagenet, the default of --model")
    assert scores["top1"] > 0.8
    completed = json.loads(saccade("predict", "set", "--model", "runs/colours", "--json", "--top", "1").out)
    right = [entry["labels"][0] in entry["name"] for entry in completed]
    assert sum(right) / len(right) == pytest.approx(scores["top1"])
    assert saccade("look", "set/red/0.png", "--model", run).code == 0
    again = train("--name", "from", "--weights", "runs/colours", "--epochs", "1")
    assert again.code == 0


def test_a_name_taken_needs_resume(train):
    assert train().code == 0
    completed = train()
    assert completed.code == 1
    assert "runs/classify already holds a run: --resume" in completed.line
    resumed = train("--resume")
    assert resumed.code == 0
    assert "runs/classify/model: top1" in resumed.out
    other = train("--resume", "--lr", "0.5")
    assert other.code == 1
    assert "started with lr 0.02, and is now given 0.5" in other.err
    assert "mixup" in train("--resume", "--mixup", "0.9").err


def test_a_resumed_run_takes_the_options_it_was_started_with(train, saccade, tmp_path):
    tiny.folder(tmp_path / "held", each=2, first=40)
    tiny.folder(tmp_path / "other", each=7)
    assert train("--name", "base", "--epochs", "1").code == 0
    started = [
        "--name",
        "on",
        "--lr",
        "0.01",
        "--no-progressive-resize",
        "--val",
        "held",
        "--on-error",
        "fail",
        "--weights",
        "runs/base",
    ]
    assert train(*started).code == 0
    config = (tmp_path / "runs" / "on" / "config.json").read_text()
    resumed = saccade("train", "classify", "--name", "on", "--resume")
    assert resumed.code == 0, resumed.err
    assert "runs/on/model: top1" in resumed.out
    assert (tmp_path / "runs" / "on" / "config.json").read_text() == config
    assert (
        saccade("train", "classify", "--name", "on", "--resume", "--compile", "auto", "--no-progressive-resize").code
        == 0
    )
    for given, message in (
        (["--lr", "0.02"], "started with lr 0.01, and is now given 0.02"),
        (["--progressive-resize"], "started with progressive_resize False, and is now given True"),
        (["--epochs", "1"], "started with epochs 2, and is now given 1"),
        (["--data", "other"], "started with other pictures, classes"),
        (["--weights", "runs/nosuch"], "nosuch"),
    ):
        other = saccade("train", "classify", "--name", "on", "--resume", *given)
        assert other.code == 1
        assert message in other.err


def test_a_run_that_does_not_say_where_its_pictures_are(train, saccade, tmp_path):
    assert train().code == 0
    file = tmp_path / "runs" / "classify" / "config.json"
    options = json.loads(file.read_text())
    file.write_text(json.dumps({key: value for key, value in options.items() if key not in ("source", "sha256")}))
    completed = saccade("train", "classify", "--resume")
    assert completed.code == 2
    assert "--data is missing" in completed.line
    assert train("--resume").code == 0
    del options["sha256"]
    file.write_text(json.dumps({**options, "lr": "high"}))
    completed = saccade("train", "classify", "--resume")
    assert completed.code == 1
    assert "runs/classify/config.json of the run to resume: lr" in completed.line


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".", "/tmp/x"])
def test_a_name_is_no_path(train, name, tmp_path):
    completed = train(f"--name={name}")
    assert completed.code == 2
    assert "--name" in completed.line
    assert not (tmp_path / "runs").exists()


def test_a_folder_that_is_no_run_is_not_resumed(train, tmp_path):
    (tmp_path / "runs" / "classify").mkdir(parents=True)
    (tmp_path / "runs" / "classify" / "log.jsonl").write_text("")
    for arguments in ([], ["--resume"]):
        completed = train(*arguments)
        assert completed.code == 1
        assert re.search("no (complete )?state", completed.err)


@pytest.mark.parametrize("files", [[".lock"], [".lock", "config.json", "log.jsonl"]])
def test_a_run_without_a_state_starts_anew(train, saccade, tmp_path, files):
    """As it is when it was killed before the first state was written."""
    assert train("--lr", "0.01").code == 0
    straight = load_file(tmp_path / "runs/classify/model/model.safetensors")
    for place in (tmp_path / "runs" / "classify").iterdir():
        if place.name not in files:
            shutil.rmtree(place) if place.is_dir() else place.unlink()
    if "log.jsonl" in files:
        assert "--resume continues it" in train().line
    arguments = () if "config.json" in files else ("--data", "set", "--lr", "0.01")
    resumed = saccade("train", "classify", "--resume") if not arguments else train("--resume", *arguments)
    assert resumed.code == 0, resumed.err
    assert "it starts from the beginning" in resumed.out
    again = load_file(tmp_path / "runs/classify/model/model.safetensors")
    assert all(torch.equal(again[name], straight[name]) for name in straight)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_interrupted_it_ends_with_the_code_of_the_signal_and_resumes(train, monkeypatch, tmp_path, name):
    loss, steps, number = ClassifyTraining.loss, [], signal.Signals[name]

    def interrupted(self, *given):
        steps.append(1)
        if len(steps) == 3:
            signal.raise_signal(number)
        return loss(self, *given)

    monkeypatch.setattr(ClassifyTraining, "loss", interrupted)
    completed = train()
    assert completed.code == 128 + number
    assert completed.err.splitlines()[-1].startswith("saccade: stopped after step 2; runs/classify can be resumed")
    assert "Traceback" not in completed.err
    assert train("--resume").code == 0
    assert len(steps) == 5  # 18 pictures: two steps an epoch; the third was given up


def test_batches_can_be_sent_to_worker_processes(train, monkeypatch):
    sent = []

    def here(self, steps, workers):
        sent.append(bytes(ForkingPickler.dumps(self)))
        return self._by_a_thread(steps)

    monkeypatch.setattr(Batches, "_by_processes", here)
    assert train("--workers", "2").code == 0
    assert sent


def test_of_several_processes_one_speaks(train, monkeypatch):
    monkeypatch.setenv("RANK", "1")  # of a world of one: all else is as ever
    completed = train("--epochs", "1")
    assert (completed.code, completed.out, completed.err) == (0, "", "")


def test_nothing_to_resume(train):
    completed = train("--resume")
    assert completed.code == 1
    assert "runs/classify holds no complete state to resume from" in completed.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--batch", "12"], "multiple of 8"),
        (["--batch", "64"], "more than the 18 training samples"),
        (["--model", "huge"], "no preset is called 'huge'"),
        (["--size", "2"], "less than one patch"),
        (["--size", "5000"], "saccade: grid.0: Input should be less than"),
        (["--weights", "nosuch"], "no model 'nosuch'"),
        (["--data", "nosuch"], "nosuch does not exist"),
        (["--val", "nosuch"], "nosuch does not exist"),
        (["--device", "mps"], "no device 'mps'"),
    ],
)
def test_runs_that_cannot_be_leave_nothing_behind(train, tmp_path, arguments, message):
    result = train(*arguments)
    assert result.code == 1
    assert result.err.splitlines()[-1].startswith("saccade: ")
    assert message in result.err
    assert "Traceback" not in result.err
    assert not (tmp_path / "runs").exists()


def test_unreadable_pictures_are_left_out_and_counted(train, tmp_path):
    (tmp_path / "set" / "red" / "0.png").write_bytes(b"junk")
    completed = train("--epochs", "1")
    assert completed.code == 0, completed.err
    assert completed.err.count("1 picture was skipped") == 1
    failed = train("--on-error", "fail", "--name", "strict")
    assert failed.code == 1
    assert "red/0.png" in failed.err


def test_a_tar_and_separate_validation_pictures(train, tmp_path):
    import tarfile

    tiny.folder(tmp_path / "held", each=2, first=40)
    with tarfile.open(tmp_path / "set.tar.gz", "w:gz") as tar:
        tar.add(tmp_path / "set", "set")
    completed = train("--data", "set.tar.gz", "--val", "held", "--epochs", "1")
    assert completed.code == 0, completed.err
    assert "validation: held" in completed.err


def test_what_was_read_of_films_is_printed_also_where_they_are_too_few(saccade, tmp_path):
    from fractions import Fraction

    from PIL import Image

    from saccade.data.film_files import write_film

    for name in ("films/0", "films/1", "films/2", "held out/3"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        frames = [Image.new("RGB", (16, 16), (40, 90, 9 * t)) for t in range(9)]
        write_film(tmp_path / f"{name}.gif", frames, Fraction(5))
        (tmp_path / f"{name}.txt").write_text(f"film {name}")
    (tmp_path / "films/text.mp4").write_text("no film")
    (tmp_path / "films/text.txt").write_text("text")
    model = ("--size", "16", "--width", "32", "--depth", "1", "--text-width", "32", "--text-depth", "1")
    films = ("--data", "films", "--val", "held out", "--frames", "3", "--fps", "10", "--batch", "64")
    completed = saccade("train", "generate", *films, *model)
    assert completed.code == 1
    assert "the model takes 3 frames at 10 per second" in completed.err
    assert "films with fewer than 10 frames per second, some of them repeated" in completed.err
    assert "text.mp4 is not a video that can be read" in completed.err
    assert "a batch of 64 is more than the 3 training samples" in completed.err
