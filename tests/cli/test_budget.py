"""`saccade train --budget`: a run that ends on time."""

import json
import time

import pytest

from saccade.models import PRESETS

from ..tasks import tiny


@pytest.fixture
def train(saccade, monkeypatch, tmp_path):
    toy = {"depth": 2, "patch": 4, "positions": ("rotary",), "block": {"width": 16, "heads": 2, "hidden": 24}}
    monkeypatch.setitem(PRESETS, "toy", toy)
    tiny.folder(tmp_path / "set", each=11)
    usual = ("--data", "set", "--model", "toy", "--size", "16", "--batch", "8", "--device", "cpu")
    return lambda *arguments: saccade("train", "classify", *usual, *arguments)


def test_a_run_of_seconds(train, tmp_path):
    assert train("--epochs", "1", "--name", "warm").code == 0  # imports
    begun = time.monotonic()
    completed = train("--budget", "5s", "--ema", "0.9")
    took = time.monotonic() - begun
    assert completed.code == 0, completed.err
    assert 2 < took < 12  # on a busy machine a step that would not end in time is left out; calibration, disk are slow
    assert "5 s in steps of 8" in completed.out + completed.err
    run = tmp_path / "runs" / "classify"
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    rates = [line["lr"] for line in lines if "lr" in line]
    assert rates[-1] < 0.02 * 0.2  # also where the last steps were left out
    assert sum("epoch" in line for line in lines) > 2
    options = json.loads((run / "config.json").read_text())
    assert (options["budget"], options["epochs"]) == (5.0, None)
    again = train("--resume")
    assert again.code == 0, again.err
    assert len((run / "log.jsonl").read_text().splitlines()) == len(lines)
    assert again.out.splitlines()[-1] == completed.out.splitlines()[-1]


def test_what_is_refused(train):
    both = train("--budget", "1h", "--epochs", "3")
    assert both.code == 2
    assert both.line == "saccade: --budget ends a run by time and --epochs by passes: give one of them"
    for bad in ("1h30", "0s", "soon"):
        refused = train("--budget", bad)
        assert refused.code == 2
        assert f"--budget {bad}: " in refused.line
    assert train("--epochs", "1").code == 0
    assert "a length of 1 epoch: resume it without --budget" in train("--resume", "--budget", "1h").line
