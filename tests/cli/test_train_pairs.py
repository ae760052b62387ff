"""`saccade train generate` on pairs of pictures and on style sets."""

import json

import numpy as np
import pytest
from PIL import Image

import saccade as library

QUICK = (
    "--size", "16", "--width", "32", "--depth", "1", "--text-width", "32", "--text-depth", "1", "--views", "1",
    "--batch", "8", "--compile", "no", "--precision", "fp32", "--device", "cpu",
)  # fmt: skip


@pytest.fixture
def train(saccade, tmp_path):
    for seed, name in enumerate(("a", "b")):
        (tmp_path / "set" / name).mkdir(parents=True)
        for i in range(11):
            rng = np.random.default_rng((seed, i))
            pixels = rng.integers(0, 256, (17, 34, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "set" / name / f"{i}.png")
    return lambda *arguments: saccade("train", "generate", *QUICK, *arguments)


def config(run):
    return library.load(run).model.config


def test_pairs_in_two_folders_and_resuming(train, tmp_path):
    given = ("--pairs", "set/a", "set/b", "--val-fraction", "0.2", "--name", "pairs")
    completed = train(*given, "--epochs", "2")
    assert completed.code == 0, completed.err
    assert "set/a and set/b: 11 pairs, 0 of them with captions" in completed.err
    assert "validation: 1 pairs (20%, seed 0) held out" in completed.err
    assert config("runs/pairs").pictures == ("picture",)
    assert json.loads((tmp_path / "runs" / "pairs" / "config.json").read_text())["source"]["pairs"] == [
        "set/a", "set/b",
    ]  # fmt: skip
    resumed = train("--resume", "--name", "pairs")
    assert resumed.code == 0, resumed.err
    assert "from step 2 on" in resumed.out + resumed.err
    other = train("--resume", "--name", "pairs", "--pairs", "set/a", "set/b", "--direction", "BtoA")
    assert other.code == 1
    assert "was started with other pictures" in other.err


def test_pairs_side_by_side(train):
    completed = train("--pairs", "set/a", "--split-at", "middle", "--direction", "BtoA", "--epochs", "1")
    assert completed.code == 0, completed.err
    assert config("runs/generate").pictures == ("picture",)


def test_styles_from_a_generator_without_these_sources(train, tmp_path):
    for i in range(11):
        (tmp_path / "set" / "b" / f"{i}.txt").write_text(f"number {i}")
    assert train("--data", "set/b", "--epochs", "1", "--name", "captions").code == 0
    assert config("runs/captions").pictures == ()
    (tmp_path / "names.txt").write_text("3\n5\n")
    given = ("--styles", "set", "--hold-out-file", "names.txt", "--weights", "runs/captions", "--name", "styles")
    completed = train(*given, "--epochs", "2")
    assert completed.code == 0, completed.err
    assert "2 styles (a, b), 11 names, 11 of them in several styles; 22 pictures, 11 with captions" in completed.err
    assert "validation: 2 names of names.txt" in completed.err
    assert config("runs/styles").pictures == ("picture", "style")
    assert library.load("runs/styles").card["words"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "--data, --pairs or --styles is missing"),
        (("--pairs", "set/a"), "--pairs names 1 folder; two are expected without --split-at"),
        (("--pairs", "set/a", "set/b", "--split-at", "middle"), "names 2 folders; one is expected with --split-at"),
        (("--pairs", "set/a", "set/b", "--styles", "set"), "--pairs and --styles are given: use one of them"),
        (("--styles", "set", "--split-at", "middle"), "--split-at says how --pairs are read"),
        (("--styles", "set", "--direction", "BtoA"), "--direction says how --pairs are read"),
        (("--styles", "set", "--val", "set"), "--val is read with --data"),
        (("--data", "set", "--hold-out-file", "x"), "--hold-out-file is read with --pairs and --styles"),
        (("--pairs", "set/a", "set/c"), "set/c does not exist"),
        (("--pairs", "set/a", "set/a"), "set/a is given twice"),
        (("--styles", "set/a"), "set/a holds no folders with pictures"),
        (("--styles", "set", "--style-share", "0.5"), "--style-share are of drawn scenes"),
    ],
)
def test_bad_input_is_one_line(train, arguments, message):
    completed = train(*arguments)
    assert completed.code in (1, 2)
    assert message in completed.err
    assert all(line.startswith(("saccade: ", "note: ")) for line in completed.err.splitlines())
