"""One run in one folder at a time."""

import os
import signal
import subprocess
import sys

import pytest

from saccade.errors import SaccadeError
from saccade.train import train
from saccade.train.guards import deterministic

from .points import Points, quick
from .test_loop import assert_same, lines, weights

HOLDS = """
import sys, time
from pathlib import Path
import torch
from saccade.device import Device
from saccade.train.guards import exclusive_folder

with exclusive_folder(Path(sys.argv[1]), Device(torch.device("cpu"), False, 0, 1)):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_second_start_of_a_run_is_refused_and_does_no_harm(tmp_path):
    second = []

    class First(Points):
        def loss(self, *given):
            if len(self.losses) in (3, 11):  # before and after there is a state to resume
                with pytest.raises(SaccadeError, match="is in use") as error:
                    train(Points(), quick(epochs=2), tmp_path / "run", resume=len(self.losses) == 11)
                second.append(str(error.value))
            return super().loss(*given)

    train(First(), quick(epochs=2), tmp_path / "run")
    assert len(second) == 2
    assert all(str(tmp_path / "run") in warning for warning in second)
    train(Points(), quick(epochs=2), tmp_path / "alone")
    assert_same(weights(tmp_path / "run"), weights(tmp_path / "alone"))
    assert [e["step"] for e in lines(tmp_path / "run")] == [e["step"] for e in lines(tmp_path / "alone")]


@pytest.mark.skipif(os.name != "posix", reason="it is killed as it can be on POSIX systems")
def test_a_killed_run_leaves_no_lock(tmp_path):
    folder = tmp_path / "run"
    other = subprocess.Popen([sys.executable, "-c", HOLDS, str(folder)], stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(SaccadeError, match=r"run is in use: another process.*another name"):
            train(Points(), quick(), folder)
        assert [p.name for p in folder.iterdir()] == [".lock"]  # nothing of the other run was touched
    finally:
        other.send_signal(signal.SIGKILL)
        other.communicate(timeout=60)
    assert train(Points(), quick(), folder)


def test_a_run_is_not_started_over_another(tmp_path):
    train(Points(), quick(epochs=2), tmp_path)
    before = weights(tmp_path)
    with pytest.raises(SaccadeError, match="already holds a run: resume it"):
        train(Points(), quick(epochs=1, seed=4), tmp_path)
    assert_same(weights(tmp_path), before)


def test_the_lock_is_free_after_an_error(tmp_path):
    class Broken(Points):
        def loss(self, *given):
            raise OSError("power cut")

    for _ in range(2):
        with pytest.raises(OSError, match="power cut"):
            train(Broken(), quick(), tmp_path)
    assert train(Points(), quick(), tmp_path)


def test_scopes_leave_nothing_behind():
    import torch

    with deterministic(True):
        assert torch.are_deterministic_algorithms_enabled()
    assert not torch.are_deterministic_algorithms_enabled()


def test_where_one_process_is_refused_the_others_are_too(tmp_path, monkeypatch):
    import torch

    from saccade.device import Device
    from saccade.train.guards import exclusive_folder

    # the first process found it held
    monkeypatch.setattr(Device, "sum_over_processes", lambda device, value: value + 0.0)
    with (
        pytest.raises(SaccadeError, match="is in use"),
        exclusive_folder(tmp_path, Device(torch.device("cpu"), False, 1, 2)),
    ):
        raise AssertionError("this process went on alone")
